"""How accurate is the head with fewer pictures?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tlcore.datasets.splits import count_groups, draw_subset
from tlcore.settings import Settings
from tlcore.training.order import Positions
from tlcore.training.studies.known import Known, accuracy, known, too_few, within

REPEATS = 5  # subsets drawn for each number of pictures
FEWEST = 2  # pictures a class
Z_95 = 1.96
T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}


@dataclass(frozen=True)
class Point:
    """Accuracy with so many pictures of each class.

    The interval adds up what is uncertain: which pictures were drawn (Student's, of the mean) and
    that it is judged by so few (Agresti and Coull, 1998, on the validation pictures).
    """

    pictures: int  # a class, all different, to learn from
    accuracy: float  # mean over the subsets, 0…1
    low: float  # 95% interval
    high: float
    draws: tuple[float, ...] = ()  # accuracy of each subset, 0…1; at equal places nested ones
    judged: int = 0  # validation pictures


@dataclass(frozen=True)
class Rise:
    """What the last of the pictures, about half of them, have brought."""

    before: Point  # with two thirds of the pictures at most
    after: Point
    clear: bool  # more than chance would bring


def enough(run: str, settings: Settings) -> tuple[Point, ...]:
    """Return the accuracy on validation over the number of pictures to learn from.

    Subsets are drawn class by class, REPEATS times for each number; numbers double up to all
    different ones that the smallest class has. Every head makes as many optimizer steps as the
    run's own, however small its subset: with the same epochs, fewer pictures would also mean fewer
    steps, and a run that was merely short would look as if it wanted pictures. Takes a minute at
    most, see above.

    Raises:
        RunError: as ``known``, or a class has fewer than FEWEST pictures to learn from.
    """
    data = known(run, settings)
    learned = len(data.train)
    judged_by = set(data.groups[learned:])
    places = [at for at in range(learned) if data.groups[at] not in judged_by]
    labels = data.train_labels[places].tolist()
    groups = [data.groups[at] for at in places]
    counts = count_groups(labels, groups)
    smallest = min(counts.get(label, 0) for label in range(data.classes))
    if smallest < FEWEST:
        raise too_few(FEWEST, "each class to learn from, new to validation", smallest)
    steps = [FEWEST * 2**power for power in range(int(math.log2(smallest / FEWEST)) + 1)]
    numbers = list(dict.fromkeys([*steps, smallest]))
    data = within(data, REPEATS * len(numbers) * learned)
    points = []
    for pictures in numbers:
        found = []
        for repeat in range(REPEATS):
            subset = draw_subset(labels, groups, pictures, (data.config.seed, repeat))
            found.append(_learn_as_long(data, np.array(places)[subset], repeat))
        points.append(_point(pictures, found, len(data.val)))
    return tuple(points)


def last_rise(points: Sequence[Point]) -> Rise | None:
    """Judge what the last of the pictures have brought; None where there are too few points.

    The mean difference of nested subsets is held against its own 95% interval (Student's, of the
    draws) and against the least that chance does to so few validation pictures: of the pictures
    whose answer changed, at least as many as the net gain, each fell to one side.
    """
    after = points[-1]
    before = next((p for p in reversed(points) if 1.5 * p.pictures <= after.pictures), None)
    if before is None or len(after.draws) < 2:
        return None
    gains = np.subtract(after.draws, before.draws)
    gain = float(gains.mean())
    drawn = T_95[len(gains)] * float(gains.std(ddof=1)) / math.sqrt(len(gains))
    judged = Z_95 * math.sqrt(max(gain, 0.0) / after.judged)
    return Rise(before, after, gain > math.hypot(drawn, judged))


def _learn_as_long(data: Known, subset: Positions, repeat: int) -> float:
    """Train on a subset with as many steps as the run made on all; return the accuracy.

    A pass goes through the subset as often as it fits into all pictures, so that batches are full.
    """
    whole = np.tile(subset, max(1, len(data.train) // len(subset)))
    size = data.config.batch_size
    steps = data.epochs * math.ceil(len(data.train) / size)
    epochs = max(1, round(steps / math.ceil(len(whole) / size)))
    return accuracy(replace(data, epochs=epochs), whole, repeat)


def _point(pictures: int, found: list[float], judged: int) -> Point:
    mean = float(np.mean(found))
    drawn = T_95[len(found)] * float(np.std(found, ddof=1)) / math.sqrt(len(found))
    near = (mean * judged + 2) / (judged + 4)  # two more of each: never quite sure
    half = math.hypot(drawn, Z_95 * math.sqrt(near * (1 - near) / (judged + 4)))
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return Point(pictures, mean, low, high, tuple(found), judged)
