"""A run's cached features, and a head that learns from some of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.datasets.splits import assign_folds, count_groups, draw_subset, group_of
from tlcore.errors import RunError
from tlcore.models.catalog import output_units
from tlcore.settings import Settings
from tlcore.training.batches import FeatureArray, Positions, SplitData, encode_targets
from tlcore.training.config import RunConfig
from tlcore.training.feature_cache import Floats
from tlcore.training.features import FeatureSource
from tlcore.training.head import Head
from tlcore.training.history import find_best_epoch
from tlcore.training.loop import FitOptions, fit
from tlcore.training.provenance import list_samples, read_classes
from tlcore.training.recipe import initial_checkpoint
from tlcore.training.run import Run
from tlcore.training.store import load_run

WORK = 2e11  # weights × images × epochs of a study at most: a minute on one core or so
OVERHEAD = 20_000  # what an image costs beside the arithmetic, in weights


@dataclass(frozen=True, eq=False)
class RunFeatures:
    """A run's cached features with their classes."""

    config: RunConfig
    train: Floats  # (n, features)
    train_labels: npt.NDArray[np.int64]
    val: Floats
    val_labels: npt.NDArray[np.int64]
    classes: int
    epochs: int = 10  # after which the run's head was the one that is kept
    groups: tuple[str, ...] = ()  # of the images, of train and then of val: no study parts one


def load_run_features(run: str, settings: Settings) -> RunFeatures:
    """Return the features that a run has left in the cache.

    Raises:
        RunError: no such run, or its features are not there (any more).
    """
    found = load_run(run, settings)
    info, classes = found.info, read_classes(found.info)
    supply = FeatureSource(info.config, len(classes), settings)
    try:
        parts = [_features(supply, list_samples(info, part), classes) for part in ("train", "val")]
    finally:
        supply.close()
    (train, train_labels, learned), (val, val_labels, judged) = parts
    if not len(train) or not len(val):
        raise RunError(
            f"Expected run {run} with its features in the cache. Received none: they were cleared "
            "away, or it never had a head. Run it again."
        )
    return RunFeatures(
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
    best = find_best_epoch(head)
    if best and run.info.keeps_best:
        return best.epoch
    return len(head) or run.info.config.epochs or 10


def _features(
    supply: FeatureSource, samples: list[Sample], classes: tuple[str, ...]
) -> tuple[Floats, npt.NDArray[np.int64], tuple[str, ...]]:
    load_run_features, values = supply.kept(samples)
    labels = np.array([classes.index(sample.label) for sample in load_run_features], np.int64)
    return values, labels, tuple(group_of(sample) for sample in load_run_features)


def within(data: RunFeatures, images: int) -> RunFeatures:
    """Let the heads of a study learn no longer than WORK allows.

    Args:
        data: with the epochs that the run's own head took.
        images: that all heads of the study together see in an epoch.
    """
    sides = [data.train[0].size, *data.config.hidden_units, units_of(data)]
    weights = sum(before * behind for before, behind in pairwise(sides))
    most = int(WORK / (images * (weights + OVERHEAD)))
    return replace(data, epochs=max(1, min(data.epochs, most)))


def accuracy(data: RunFeatures, subset: Positions, repeat: int) -> float:
    seed = (data.config.seed + repeat) % 2**31
    config = replace(data.config, epochs=data.epochs, seed=seed, patience=0)
    labels = data.train_labels[subset]
    train = SplitData(
        FeatureArray(data.train[subset]), labels, encode_targets(labels, units_of(data))
    )
    val = SplitData(
        FeatureArray(data.val), data.val_labels, encode_targets(data.val_labels, units_of(data))
    )
    loop = FitOptions(
        config, config.epochs, config.learning_rate, lambda _: None, lambda: False, lambda _: None
    )
    return fit(head_of(data, config), train, val, loop, initial_checkpoint(config)).best_accuracy


def head_of(data: RunFeatures, config: RunConfig) -> Head:
    return Head(config, data.train[0].size, units_of(data))


def units_of(data: RunFeatures) -> int:
    return output_units(data.classes, data.config.classifier_activation)


def too_few(wanted: int, of: str, received: int) -> RunError:
    return RunError(
        f"Expected at least {wanted} images of {of}. Received {received} of the smallest. Add "
        "images and start a new run."
    )


# How accurate is the head with fewer images?


REPEATS = 5  # subsets drawn for each number of images
FEWEST = 2  # images a class
Z_95 = 1.96
T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}


@dataclass(frozen=True)
class LearningCurvePoint:
    """Accuracy with so many images of each class.

    The interval adds up what is uncertain: which images were drawn (Student's, of the mean) and
    that it is judged by so few (Agresti and Coull, 1998, on the validation images).
    """

    images: int  # a class, all different, to learn from
    accuracy: float  # mean over the subsets, 0…1
    low: float  # 95% interval
    high: float
    draws: tuple[float, ...] = ()  # accuracy of each subset, 0…1; at equal places nested ones
    judged: int = 0  # validation images


@dataclass(frozen=True)
class Improvement:
    """What the last of the images, about half of them, have brought."""

    before: LearningCurvePoint  # with two thirds of the images at most
    after: LearningCurvePoint
    clear: bool  # more than chance would bring


def compute_learning_curve(run: str, settings: Settings) -> tuple[LearningCurvePoint, ...]:
    """Return the accuracy on validation over the number of images to learn from.

    Subsets are drawn class by class, REPEATS times for each number; numbers double up to all
    different ones that the smallest class has. Every head makes as many optimizer steps as the
    run's own, however small its subset: with the same epochs, fewer images would also mean fewer
    steps, and a run that was merely short would look as if it wanted images. Takes a minute at
    most, see above.

    Raises:
        RunError: as ``load_run_features``, or a class has fewer than FEWEST images to learn from.
    """
    data = load_run_features(run, settings)
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
    for images in numbers:
        found = []
        for repeat in range(REPEATS):
            subset = draw_subset(labels, groups, images, (data.config.seed, repeat))
            found.append(_learn_as_long(data, np.array(places)[subset], repeat))
        points.append(_point(images, found, len(data.val)))
    return tuple(points)


def judge_last_images(points: Sequence[LearningCurvePoint]) -> Improvement | None:
    """Judge what the last of the images have brought; None where there are too few points.

    The mean difference of nested subsets is held against its own 95% interval (Student's, of the
    draws) and against the least that chance does to so few validation images: of the images
    whose answer changed, at least as many as the net gain, each fell to one side.
    """
    after = points[-1]
    before = next((p for p in reversed(points) if 1.5 * p.images <= after.images), None)
    if before is None or len(after.draws) < 2:
        return None
    gains = np.subtract(after.draws, before.draws)
    gain = float(gains.mean())
    drawn = T_95[len(gains)] * float(gains.std(ddof=1)) / math.sqrt(len(gains))
    judged = Z_95 * math.sqrt(max(gain, 0.0) / after.judged)
    return Improvement(before, after, gain > math.hypot(drawn, judged))


def _learn_as_long(data: RunFeatures, subset: Positions, repeat: int) -> float:
    """Train on a subset with as many steps as the run made on all; return the accuracy.

    A pass goes through the subset as often as it fits into all images, so that batches are full.
    """
    whole = np.tile(subset, max(1, len(data.train) // len(subset)))
    size = data.config.batch_size
    steps = data.epochs * math.ceil(len(data.train) / size)
    epochs = max(1, round(steps / math.ceil(len(whole) / size)))
    return accuracy(replace(data, epochs=epochs), whole, repeat)


def _point(images: int, found: list[float], judged: int) -> LearningCurvePoint:
    mean = float(np.mean(found))
    drawn = T_95[len(found)] * float(np.std(found, ddof=1)) / math.sqrt(len(found))
    near = (mean * judged + 2) / (judged + 4)  # two more of each: never quite sure
    half = math.hypot(drawn, Z_95 * math.sqrt(near * (1 - near) / (judged + 4)))
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return LearningCurvePoint(images, mean, low, high, tuple(found), judged)


# How much does the head depend on the division? Cross-validation.


def cross_validate(run: str, settings: Settings, k: int = 5) -> tuple[float, ...]:
    """Return the accuracy on each of ``k`` stratified parts, learned from the others.

    There are fewer parts where a class has fewer than ``k`` images. Copies of an image are in
    one part, and the parts are equally large. Takes a minute at most, see above.

    Raises:
        RunError: as ``load_run_features``, or a class has not two different images.
    """
    data = load_run_features(run, settings)
    values = np.concatenate([data.train, data.val])
    labels = np.concatenate([data.train_labels, data.val_labels])
    counts = count_groups(labels.tolist(), data.groups)
    k = min(k, *(counts.get(label, 0) for label in range(data.classes)))
    if k < 2:
        raise too_few(2, "each class, all different", k)
    data = within(data, (k - 1) * len(labels))
    fold = np.array(assign_folds(labels.tolist(), data.groups, k, (data.config.seed, k)))
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
        found.append(accuracy(part, np.arange(len(part.train)), number))
    return tuple(found)
