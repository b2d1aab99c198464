"""Questions that only a head has to be trained for: on cached features each takes seconds.

How accurate is the head with fewer pictures, how much does it depend on the division, which
learning rate suits it. All of them ask a run that has its features; nothing here needs Keras.
The heads learn from the pictures as they are, without views, for as many epochs as the run's own
head needed; for fewer where a study would else take more than about a minute (``WORK``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tlcore.errors import RunError
from tlcore.images.dataset import Sample
from tlcore.networks.units import units
from tlcore.runs.cache.shelf import Floats
from tlcore.runs.config import RunConfig
from tlcore.runs.parts import classes_of, pictures_of
from tlcore.runs.run import Run
from tlcore.runs.store import load_run
from tlcore.runs.training.fit import Loop, fit
from tlcore.runs.training.head import Head
from tlcore.runs.training.inputs import Held as Held
from tlcore.runs.training.inputs import Part, targets_of
from tlcore.runs.training.order import Positions
from tlcore.runs.training.supply import Supply
from tlcore.runs.training.train import beginning
from tlcore.settings import Settings

REPEATS = 5  # subsets drawn for each number of pictures
FEWEST = 2  # pictures a class
LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 120  # of the learning-rate finder
CALM = 0.9  # share of the smoothed loss that each step keeps
WORK = 2e11  # weights × pictures × epochs of a study at most: a minute on one core or so
OVERHEAD = 20_000  # what a picture costs beside the arithmetic, in weights
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


@dataclass(frozen=True)
class Rates:
    """The smoothed loss while the learning rate grows from step to step."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float  # a tenth of the rate at which the loss was lowest


@dataclass(frozen=True, eq=False)
class Known:
    """A run's cached features with their classes."""

    config: RunConfig
    train: Floats  # (n, features)
    train_labels: npt.NDArray[np.int64]
    val: Floats
    val_labels: npt.NDArray[np.int64]
    classes: int
    epochs: int = 10  # after which the run's head was the one that is kept
    contents: tuple[str, ...] = ()  # sha256 of the pictures, of train and then of val


def known(run: str, settings: Settings) -> Known:
    """Return the features that a run has left in the cache.

    Raises:
        RunError: no such run, or its features are not there (any more).
    """
    found = load_run(run, settings)
    info, classes = found.info, classes_of(found.info)
    supply = Supply(info.config, len(classes), settings)
    try:
        parts = [_features(supply, pictures_of(info, part), classes) for part in ("train", "val")]
    finally:
        supply.close()
    (train, train_labels, learned), (val, val_labels, judged) = parts
    if not len(train) or not len(val):
        raise RunError(
            f"Expected run {run} with its features in the cache. Received none: they were cleared "
            "away, or it never had a head. Run it again."
        )
    return Known(
        info.config,
        train,
        train_labels,
        val,
        val_labels,
        len(classes),
        _epochs_of(found),
        (*learned, *judged),
    )


def _epochs_of(run: Run) -> int:
    """Return after how many epochs the run's head was the one that it kept."""
    head = [epoch for epoch in run.history if epoch.stage == "head"]
    if run.info.config.patience and head:
        return min(head, key=lambda epoch: epoch.val_loss).epoch
    return len(head) or run.info.config.epochs or 10


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
        raise _too_few(FEWEST, "each class to learn from", smallest)
    steps = [FEWEST * 2**power for power in range(int(math.log2(smallest / FEWEST)) + 1)]
    numbers = list(dict.fromkeys([*steps, smallest]))
    data = _within(data, REPEATS * data.classes * sum(numbers))
    points = []
    for pictures in numbers:
        found = []
        for repeat in range(REPEATS):
            draw = np.random.default_rng([data.config.seed, pictures, repeat])
            subset = np.concatenate([draw.choice(place, pictures, False) for place in places])
            found.append(_accuracy(data, subset, repeat))
        points.append(_point(pictures, found, len(data.val)))
    return tuple(points)


def folds(run: str, settings: Settings, k: int = 5) -> tuple[float, ...]:
    """Return the accuracy on each of ``k`` stratified parts, learned from the others.

    There are fewer parts where a class has fewer than ``k`` pictures. Copies of a picture are in
    one part. Takes a minute at most, see above.

    Raises:
        RunError: as ``known``, or a class has not two different pictures.
    """
    data = known(run, settings)
    values = np.concatenate([data.train, data.val])
    labels = np.concatenate([data.train_labels, data.val_labels])
    k = min(k, *(len({data.contents[at] for at in np.flatnonzero(labels == label)})
                 for label in range(data.classes)))  # fmt: skip
    if k < 2:
        raise _too_few(2, "each class, all different", k)
    data = _within(data, (k - 1) * len(labels))
    fold = stratified(labels, k, [data.config.seed, k], data.contents)
    found = []
    for number in range(k):
        out = fold == number
        part = replace(
            data,
            train=values[~out],
            train_labels=labels[~out],
            val=values[out],
            val_labels=labels[out],
        )
        found.append(_accuracy(part, np.arange(len(part.train)), number))
    return tuple(found)


def _too_few(wanted: int, of: str, received: int) -> RunError:
    return RunError(
        f"Expected at least {wanted} pictures of {of}. Received {received} of the smallest. Add "
        "pictures and start a new run."
    )


def _within(data: Known, pictures: int) -> Known:
    """Let the heads of a study learn no longer than WORK allows.

    Args:
        data: with the epochs that the run's own head took.
        pictures: that all heads of the study together see in an epoch.
    """
    sides = [data.train[0].size, *data.config.hidden, _units(data)]
    weights = sum(before * behind for before, behind in pairwise(sides))
    most = int(WORK / (pictures * (weights + OVERHEAD)))
    return replace(data, epochs=max(1, min(data.epochs, most)))


def stratified(
    labels: npt.NDArray[np.int64], k: int, seed: Sequence[int], contents: Sequence[str] = ()
) -> npt.NDArray[np.int64]:
    """Return the fold of each picture, (n,) of 0…k − 1, each class spread evenly over them.

    Args:
        labels: (n,) the class of each picture.
        k: number of folds.
        seed: another seed gives other folds.
        contents: what each picture shows, as a hash; equal ones come into one fold. None: all
            differ.
    """
    draw = np.random.default_rng(seed)
    fold = np.zeros(len(labels), np.int64)
    first = {content: place for place, content in reversed(list(enumerate(contents)))}
    for label in np.unique(labels):
        mine = draw.permutation(np.flatnonzero(labels == label))
        if first:
            mine = mine[[first[contents[place]] == place for place in mine.tolist()]]
        fold[mine] = np.arange(len(mine)) % k
    return fold[[first[content] for content in contents]] if first else fold


def find_rate(run: str, settings: Settings) -> Rates:
    """Let the learning rate grow from step to step until the loss explodes (Smith, 2017).

    Raises:
        RunError: as ``known``, or the loss is no finite number from the first step on.
    """
    return sweep(known(run, settings))


def sweep(data: Known) -> Rates:
    """Do what ``find_rate`` does, on features that are known."""
    head = _head(data, data.config)
    targets = targets_of(data.train_labels, _units(data))
    draw = np.random.default_rng(data.config.seed)
    rates, losses = [], []
    calm = 0.0
    for step in range(STEPS):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
        batch = draw.choice(len(data.train), min(len(data.train), data.config.batch_size), False)
        with np.errstate(all="ignore"):  # what overflows ends as a loss that is not finite
            score = head.step(data.train[batch], targets[batch], None, rate)
        if not math.isfinite(score.loss):
            break
        calm = CALM * calm + (1 - CALM) * score.loss / score.pictures
        rates.append(rate)
        losses.append(calm / (1 - CALM ** (step + 1)))
        if losses[-1] > 4 * min(losses):
            break
    if not rates:
        raise RunError(
            f"Expected features that a head can learn from. Received a loss of {score.loss:g} in "
            "the first step. Choose another backbone or pooling."
        )
    suggested = rates[int(np.argmin(losses))] / 10
    return Rates(tuple(rates), tuple(losses), suggested)


def _features(
    supply: Supply, samples: list[Sample], classes: tuple[str, ...]
) -> tuple[Floats, npt.NDArray[np.int64], tuple[str, ...]]:
    known, values = supply.kept(samples)
    labels = np.array([classes.index(sample.label) for sample in known], np.int64)
    return values, labels, tuple(sample.sha256 for sample in known)


def _accuracy(data: Known, subset: Positions, repeat: int) -> float:
    seed = (data.config.seed + repeat) % 2**31
    config = replace(data.config, epochs=data.epochs, seed=seed, patience=0)
    labels = data.train_labels[subset]
    train = Part(Held(data.train[subset]), labels, targets_of(labels, _units(data)))
    val = Part(Held(data.val), data.val_labels, targets_of(data.val_labels, _units(data)))
    loop = Loop(
        config, config.epochs, config.learning_rate, lambda _: None, lambda: False, lambda _: None
    )
    return fit(_head(data, config), train, val, loop, beginning(config)).best_accuracy


def _head(data: Known, config: RunConfig) -> Head:
    return Head(config, data.train[0].size, _units(data))


def _units(data: Known) -> int:
    return units(data.classes, data.config.output)


def _point(pictures: int, found: list[float], judged: int) -> Point:
    mean = float(np.mean(found))
    drawn = T_95[len(found)] * float(np.std(found, ddof=1)) / math.sqrt(len(found))
    near = (mean * judged + 2) / (judged + 4)  # two more of each: never quite sure
    half = math.hypot(drawn, Z_95 * math.sqrt(near * (1 - near) / (judged + 4)))
    return Point(pictures, mean, max(0.0, mean - half), min(1.0, mean + half))
