"""How accurate is the head with fewer pictures?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tlcore.settings import Settings
from tlcore.training.studies.known import accuracy, known, too_few, within

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

    pictures: int  # a class, to learn from
    accuracy: float  # mean over the subsets, 0…1
    low: float  # 95% interval
    high: float


def enough(run: str, settings: Settings) -> tuple[Point, ...]:
    """Return the accuracy on validation over the number of pictures to learn from.

    Subsets are drawn class by class, REPEATS times for each number; numbers double up to all that
    the smallest class has. Takes a minute at most, see above.

    Raises:
        RunError: as ``known``, or a class has fewer than FEWEST pictures to learn from.
    """
    data = known(run, settings)
    places = [np.flatnonzero(data.train_labels == label) for label in range(data.classes)]
    smallest = min(len(place) for place in places)
    if smallest < FEWEST:
        raise too_few(FEWEST, "each class to learn from", smallest)
    steps = [FEWEST * 2**power for power in range(int(math.log2(smallest / FEWEST)) + 1)]
    numbers = list(dict.fromkeys([*steps, smallest]))
    data = within(data, REPEATS * data.classes * sum(numbers))
    points = []
    for pictures in numbers:
        found = []
        for repeat in range(REPEATS):
            draw = np.random.default_rng([data.config.seed, pictures, repeat])
            subset = np.concatenate([draw.choice(place, pictures, False) for place in places])
            found.append(accuracy(data, subset, repeat))
        points.append(_point(pictures, found, len(data.val)))
    return tuple(points)


def _point(pictures: int, found: list[float], judged: int) -> Point:
    mean = float(np.mean(found))
    drawn = T_95[len(found)] * float(np.std(found, ddof=1)) / math.sqrt(len(found))
    near = (mean * judged + 2) / (judged + 4)  # two more of each: never quite sure
    half = math.hypot(drawn, Z_95 * math.sqrt(near * (1 - near) / (judged + 4)))
    return Point(pictures, mean, max(0.0, mean - half), min(1.0, mean + half))
