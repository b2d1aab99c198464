"""Studies of a run's cached features: learning curve and cross-validation of its head.

Each study trains many small heads, in seconds, and none of them runs the network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.datasets.splits import assign_folds, count_groups, draw_subset, duplicate_group
from tlcore.errors import RunError
from tlcore.models.catalog import output_units
from tlcore.models.predictions import Floats
from tlcore.settings import Settings
from tlcore.training.batches import FeatureArray, Labels, Positions, SplitData, encode_targets
from tlcore.training.checkpoint import initial_checkpoint
from tlcore.training.config import RunConfig
from tlcore.training.features import FeatureSource
from tlcore.training.head import Head
from tlcore.training.history import find_best_epoch
from tlcore.training.loop import FitOptions, fit
from tlcore.training.provenance import list_samples, read_classes
from tlcore.training.run import Run
from tlcore.training.store import load_run

WORK = 2e11  # weights × images × epochs of a study at most: about a minute on one core
OVERHEAD = 20_000  # the cost of an image beside the arithmetic, in weights
REPEATS = 5  # subsets drawn for each number of images
FEWEST = 2  # images a class
Z_95 = 1.96
T_95 = 2.78  # Student's, for REPEATS draws


@dataclass(frozen=True, eq=False)
class StudyData:
    """The cached features of a run, training images first, then those of validation."""

    config: RunConfig
    classes: int
    values: Floats  # (n, features)
    labels: Labels  # (n,)
    groups: tuple[str, ...]  # (n,) images of one group stay on one side of every division
    trained: int  # the first so many are the training images
    epochs: int  # of a head in a study


@dataclass(frozen=True)
class LearningCurvePoint:
    """Accuracy with so many images of each class.

    The interval adds up two uncertainties: which images were drawn (Student's, of the mean) and
    how few images validate (Agresti and Coull, 1998).
    """

    images: int  # of each class, all different, to train on
    accuracy: float  # mean over the subsets, 0…1
    low: float  # 95% interval
    high: float
    draws: tuple[float, ...] = ()  # accuracy of each subset, 0…1; at equal positions nested ones
    validated: int = 0  # validation images


@dataclass(frozen=True)
class Improvement:
    """What the last of the images, about half of them, have brought."""

    before: LearningCurvePoint  # with two thirds of the images at most
    after: LearningCurvePoint
    clear: bool  # more than chance would bring


def load_study_data(run: str, settings: Settings) -> StudyData:
    """Return the features of a run that are in the cache.

    Raises:
        RunError: no such run, or none of its training or validation features are in the cache.
    """
    stored = load_run(run, settings)
    classes = read_classes(stored.info)
    source = FeatureSource(stored.info.config, len(classes), settings)
    train, train_values = source.load_cached(list_samples(stored.info, "train"))
    val, val_values = source.load_cached(list_samples(stored.info, "val"))
    if not train or not val:
        raise RunError(
            f"Expected run {run} with its features in the cache. Received none: they were cleared "
            "away, or it never had a head. Run it again."
        )
    samples: list[Sample] = [*train, *val]
    return StudyData(
        config=stored.info.config,
        classes=len(classes),
        values=np.concatenate([train_values, val_values]),
        labels=np.array([classes.index(sample.label) for sample in samples], np.int64),
        groups=tuple(duplicate_group(sample) for sample in samples),
        trained=len(train),
        epochs=_best_head_epoch(stored),
    )


def compute_learning_curve(run: str, settings: Settings) -> tuple[LearningCurvePoint, ...]:
    """Return the validation accuracy over the number of training images.

    REPEATS subsets are drawn class by class for each number; numbers double up to all different
    images of the smallest class. Every head makes as many optimizer steps as the run's own, however
    small its subset: with equal epochs, fewer images would also mean fewer steps, and a run that
    was merely short would look as if it needed more images. Takes a minute at most.

    Raises:
        RunError: as ``load_study_data``, or a class has fewer than FEWEST training images.
    """
    data = load_study_data(run, settings)
    validation = np.arange(data.trained, len(data.labels))
    validation_groups = set(data.groups[data.trained :])
    candidates = [i for i in range(data.trained) if data.groups[i] not in validation_groups]
    labels = data.labels[candidates].tolist()
    groups = [data.groups[i] for i in candidates]
    smallest = _smallest_class(data, labels, groups)
    if smallest < FEWEST:
        raise _too_few("each class to learn from, new to validation", smallest)
    doubled = [FEWEST * 2**power for power in range(int(math.log2(smallest / FEWEST)) + 1)]
    numbers = list(dict.fromkeys([*doubled, smallest]))
    data = _limit_epochs(data, REPEATS * len(numbers) * data.trained)
    points = []
    for images in numbers:
        accuracies = []
        for repeat in range(REPEATS):
            subset = draw_subset(labels, groups, images, (data.config.seed, repeat))
            train, epochs = _fill_up(data, np.array(candidates)[subset])
            accuracies.append(_train_head(data, train, validation, repeat, epochs))
        points.append(_point(images, accuracies, len(validation)))
    return tuple(points)


def cross_validate(run: str, settings: Settings, k: int = 5) -> tuple[float, ...]:
    """Return the accuracy on each of ``k`` stratified folds, trained on the others.

    There are fewer folds where a class has fewer than ``k`` images. Copies of an image are in one
    fold, and the folds are equally large. Takes a minute at most.

    Raises:
        RunError: as ``load_study_data``, or a class has fewer than two different images.
    """
    data = load_study_data(run, settings)
    labels = data.labels.tolist()
    k = min(k, _smallest_class(data, labels, data.groups))
    if k < FEWEST:
        raise _too_few("each class, all different", k)
    data = _limit_epochs(data, (k - 1) * len(labels))
    fold = np.array(assign_folds(labels, data.groups, k, (data.config.seed, k)))
    return tuple(
        _train_head(
            data, np.flatnonzero(fold != number), np.flatnonzero(fold == number), number,
            data.epochs,
        )
        for number in range(k)
    )  # fmt: skip


def judge_last_images(points: Sequence[LearningCurvePoint]) -> Improvement | None:
    """Judge what the last of the images have brought; None where there are too few points.

    The mean difference of nested subsets is compared with its own 95% interval (Student's, of the
    draws) and with the least that chance does to so few validation images: of the images whose
    prediction changed, at least as many as the net gain, each fell to one side.
    """
    after = points[-1]
    before = next((p for p in reversed(points) if 1.5 * p.images <= after.images), None)
    if before is None or len(after.draws) < 2:
        return None
    gains = np.subtract(after.draws, before.draws)
    gain = float(gains.mean())
    chance = Z_95 * math.sqrt(max(gain, 0.0) / after.validated)
    return Improvement(before, after, gain > math.hypot(_half_interval(gains), chance))


def _best_head_epoch(run: Run) -> int:
    """Return after how many epochs the head had the weights that the run kept."""
    head = [epoch for epoch in run.history if epoch.stage == "head"]
    best = find_best_epoch(head)
    if best and run.info.keeps_best:
        return best.epoch
    return len(head) or run.info.config.epochs or 10


def _limit_epochs(data: StudyData, images: int) -> StudyData:
    """Let the heads of a study, which see so many images an epoch, train no longer than WORK."""
    sizes = [data.values.shape[1], *data.config.hidden_units, _units(data)]
    weights = sum(inputs * outputs for inputs, outputs in pairwise(sizes))
    most = int(WORK / (images * (weights + OVERHEAD)))
    return replace(data, epochs=max(1, min(data.epochs, most)))


def _train_head(
    data: StudyData, train: Positions, val: Positions, repeat: int, epochs: int
) -> float:
    """Train a head of the run's recipe on some images; return its accuracy on others."""
    config = replace(
        data.config, epochs=epochs, seed=(data.config.seed + repeat) % 2**31, patience=0
    )
    splits = [
        SplitData(
            FeatureArray(data.values[rows]),
            data.labels[rows],
            encode_targets(data.labels[rows], _units(data)),
        )
        for rows in (train, val)
    ]
    head = Head(config, data.values.shape[1], _units(data))
    options = FitOptions(config, epochs, config.learning_rate)
    return fit(head, splits[0], splits[1], options, initial_checkpoint(config)).best_accuracy


def _fill_up(data: StudyData, subset: Positions) -> tuple[Positions, int]:
    """Repeat a subset so that its batches are full; return it with the epochs that make as many
    steps as the run made on all its images."""
    repeated = np.tile(subset, max(1, data.trained // len(subset)))
    size = data.config.batch_size
    steps = data.epochs * math.ceil(data.trained / size)
    return repeated, max(1, round(steps / math.ceil(len(repeated) / size)))


def _point(images: int, accuracies: Sequence[float], validated: int) -> LearningCurvePoint:
    mean = float(np.mean(accuracies))
    near = (mean * validated + 2) / (validated + 4)  # two more of each: never quite certain
    half = math.hypot(
        _half_interval(accuracies), Z_95 * math.sqrt(near * (1 - near) / (validated + 4))
    )
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return LearningCurvePoint(images, mean, low, high, tuple(accuracies), validated)


def _half_interval(draws: Sequence[float] | np.ndarray) -> float:
    """Return half of the 95% interval of the mean of REPEATS draws."""
    return T_95 * float(np.std(draws, ddof=1)) / math.sqrt(len(draws))


def _units(data: StudyData) -> int:
    return output_units(data.classes, data.config.classifier_activation)


def _smallest_class(data: StudyData, labels: Sequence[int], groups: Sequence[str]) -> int:
    """Return the number of different images of the smallest class."""
    counts = count_groups(labels, groups)
    return min(counts.get(label, 0) for label in range(data.classes))


def _too_few(what: str, smallest: int) -> RunError:
    return RunError(
        f"Expected at least {FEWEST} images of {what}. Received {smallest} of the smallest. Add "
        "images and start a new run."
    )
