"""Studies of a recipe's head on cached features: learning curve, cross-validation, learning rate.

Each trains small heads, in seconds; only the learning-rate finder computes features that are
missing. It is that of L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV
2017, section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.datasets.decoding import hash_samples
from tlcore.datasets.splits import assign_folds, count_groups, draw_subset, duplicate_group
from tlcore.errors import RunError
from tlcore.models.catalog import output_units
from tlcore.models.predictions import Floats
from tlcore.settings import Settings
from tlcore.training import batches
from tlcore.training.batches import FeatureArray, Labels, Positions, SplitData
from tlcore.training.checkpoint import initial_checkpoint
from tlcore.training.config import RunConfig
from tlcore.training.features import FeatureSource
from tlcore.training.head import Head
from tlcore.training.history import find_best_epoch
from tlcore.training.loop import FitOptions, fit, limit_blas_threads
from tlcore.training.provenance import list_samples, read_splits
from tlcore.training.store import load_run, load_run_info

WORK = 2e11  # weights × images × epochs of a study at most: about a minute on one core
OVERHEAD = 20_000  # the cost of an image beside the arithmetic, in weights
REPEATS = 5  # subsets drawn for each number of images
FEWEST = 2  # images a class
Z_95 = 1.96
T_95 = 2.78  # Student's, for REPEATS draws
LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 120  # the learning rates that are tried
SMOOTHING = 0.9  # share of the smoothed loss that each step keeps
EXPLODED = 4  # times the lowest loss, where the scan ends


@dataclass(frozen=True, eq=False)
class StudyData:
    """The cached features of a run, training images first, then those of validation."""

    config: RunConfig
    classes: int
    values: Floats  # (n, features)
    labels: Labels  # (n,)
    contents: tuple[str, ...]  # (n,) images of one content teach as much as one of them
    groups: tuple[str, ...]  # (n,) images of one group stay on one side of every division
    trained: int  # the first so many are the training images
    epochs: int  # of a head in a study

    @property
    def units(self) -> int:
        return output_units(self.classes, self.config.classifier_activation)

    def smallest_class(self, labels: Sequence[int], groups: Sequence[str]) -> int:
        """Return the number of different images of the smallest class."""
        counts = count_groups(labels, groups)
        return min(counts.get(label, 0) for label in range(self.classes))


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
    classes = read_splits(stored.info.folder).classes
    source = FeatureSource(replace(stored.info.config, fine_tune_epochs=0), len(classes), settings)
    train, train_values = source.load_cached(list_samples(stored.info, "train"))
    val, val_values = source.load_cached(list_samples(stored.info, "val"))
    if not train or not val:
        raise RunError(
            f"Expected run {run} with its features in the cache. Received none: they were cleared "
            "away, or it never had a head. Run it again."
        )
    head = [epoch for epoch in stored.history if epoch.stage == "head"]
    best = find_best_epoch(head) if stored.info.keeps_best else None
    return StudyData(
        config=stored.info.config,
        classes=len(classes),
        values=np.concatenate([train_values, val_values]),
        labels=np.array([classes.index(sample.label) for sample in train + val], np.int64),
        contents=tuple(sample.sha256 for sample in train + val),
        groups=tuple(duplicate_group(sample) for sample in train + val),
        trained=len(train),
        epochs=best.epoch if best else len(head) or stored.info.config.epochs or 10,
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
    contents = [data.contents[i] for i in candidates]
    smallest = data.smallest_class(labels, contents)
    if smallest < FEWEST:
        raise _too_few("each class to learn from, new to validation", smallest)
    doubled = [FEWEST * 2**power for power in range(int(math.log2(smallest / FEWEST)) + 1)]
    numbers = list(dict.fromkeys([*doubled, smallest]))
    data = _limit_epochs(data, REPEATS * len(numbers) * data.trained)
    points = []
    for images in numbers:
        accuracies = []
        for repeat in range(REPEATS):
            subset = draw_subset(labels, contents, images, (data.config.seed, repeat))
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
    k = min(k, data.smallest_class(labels, data.groups))
    if k < FEWEST:
        raise _too_few("each class, all different", k)
    data = _limit_epochs(data, (k - 1) * len(labels))
    fold = np.array(assign_folds(labels, data.groups, k, (data.config.seed, k)))
    accuracies = []
    for number in range(k):
        train, held_out = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        accuracies.append(_train_head(data, train, held_out, number, data.epochs))
    return tuple(accuracies)


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


def _limit_epochs(data: StudyData, images: int) -> StudyData:
    """Let the heads of a study, which see so many images an epoch, train no longer than WORK."""
    sizes = [data.values.shape[1], *data.config.hidden_units, data.units]
    weights = sum(inputs * outputs for inputs, outputs in pairwise(sizes))
    most = int(WORK / (images * (weights + OVERHEAD)))
    return replace(data, epochs=max(1, min(data.epochs, most)))


def _train_head(
    data: StudyData, train: Positions, val: Positions, repeat: int, epochs: int
) -> float:
    """Train a head of the run's recipe on some images; return its accuracy on others."""
    seed = (data.config.seed + repeat) % 2**31
    config = replace(data.config, epochs=epochs, seed=seed, patience=0)

    def select(rows: Positions) -> SplitData:
        targets = batches.encode_targets(data.labels[rows], data.units)
        return SplitData(FeatureArray(data.values[rows]), data.labels[rows], targets)

    head = Head(config, data.values.shape[1], data.units)
    options = FitOptions(config, epochs, config.learning_rate)
    return fit(head, select(train), select(val), options, initial_checkpoint(config)).best_accuracy


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
    chance = Z_95 * math.sqrt(near * (1 - near) / (validated + 4))
    half = math.hypot(_half_interval(accuracies), chance)
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return LearningCurvePoint(images, mean, low, high, tuple(accuracies), validated)


def _half_interval(draws: Sequence[float] | np.ndarray) -> float:
    """Return half of the 95% interval of the mean of REPEATS draws."""
    return T_95 * float(np.std(draws, ddof=1)) / math.sqrt(len(draws))


def _too_few(what: str, smallest: int) -> RunError:
    return RunError(
        f"Expected at least {FEWEST} images of {what}. Received {smallest} of the smallest. Add "
        "images and start a new run."
    )


@dataclass(frozen=True)
class LearningRateScan:
    """The smoothed loss while the learning rate grows from step to step."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float  # the rate at the middle of the fall of the loss
    computed: int = 0  # images and augmented copies whose features had to be computed


def find_learning_rate(run: str, settings: Settings) -> LearningRateScan:
    """Scan the rates for a run's own recipe and images; errors as ``find_learning_rate_for``."""
    info = load_run_info(run, settings)
    train = list_samples(info, "train")
    return find_learning_rate_for(info.config, read_splits(info.folder).classes, train, settings)


def find_learning_rate_for(
    config: RunConfig, classes: Sequence[str], train: Sequence[Sample], settings: Settings
) -> LearningRateScan:
    """Let the learning rate grow from step to step until the loss explodes.

    Each step is the recipe's own: its backbone, size and geometry, batches, optimizer, dropout,
    label smoothing, class weights or oversampling, and augmented copies. Features that are not in
    the cache are computed and stored.

    ``select_head_recipe`` says what has no influence; the classes are in the order of the output
    units.

    Raises:
        BadDataset: no image can be read, also of one class.
        WeightsMissing: something has to be computed and the backbone's weights are not here.
        RunError: the loss is not finite from the first step on.
    """
    config = select_head_recipe(config)
    source = FeatureSource(config, len(classes), settings)
    source.prepare_runtime()
    samples, layers = tuple(hash_samples(train)), batches.list_layers(source)
    missing = source.missing(layers, batches.list_copies(config, samples, ()))
    source.compute(layers, missing)
    data = batches.build_training_data(source, samples, classes)
    head = Head(config, source.head_inputs, source.units)
    return replace(scan_learning_rates(head, data, config), computed=len(missing))


def select_head_recipe(config: RunConfig) -> RunConfig:
    """Return what the head's rate depends on: the recipe without rates, epochs and fine-tuning."""
    config = replace(config, epochs=1, fine_tune_epochs=0, learning_rate=1e-3, patience=0)
    return replace(config, fine_tune_learning_rate=0.0, learning_rate_schedule="constant")


def scan_learning_rates(head: Head, train: SplitData, config: RunConfig) -> LearningRateScan:
    """Scan the rates on features that are here. See ``find_learning_rate_for``."""
    rates: list[float] = []
    losses: list[float] = []
    smoothed = loss = 0.0
    endless = _endless_batches(head, train, config)
    with limit_blas_threads(), np.errstate(all="ignore"):  # an overflow ends as a loss of inf
        for step in range(STEPS):
            rate = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
            loss = head.step(*next(endless), rate).mean_loss
            if not math.isfinite(loss):
                break
            smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * loss
            rates.append(rate)
            losses.append(smoothed / (1 - SMOOTHING ** (step + 1)))
            if losses[-1] > EXPLODED * min(losses):
                break
    if not rates:
        raise RunError(
            f"Expected features that a head can learn from. Received a loss of {loss:g} in "
            "the first step. Choose another backbone or pooling."
        )
    # The middle of the fall. The lowest point will not do: the loss of one dense layer on frozen
    # features falls until the scan ends. On 397 and 1,980 images, five recipes, the middle was
    # within a factor of 3 of the rate with the lowest validation loss after ten epochs.
    middle = (losses[0] + min(losses)) / 2
    suggested = rates[int(np.argmax(np.array(losses) <= middle))]
    return LearningRateScan(tuple(rates), tuple(losses), suggested)


def _endless_batches(head: Head, train: SplitData, config: RunConfig) -> Iterator[batches.Batch]:
    """Yield the batches of epoch after epoch, as a run has them."""
    for epoch in count():
        head.begin_epoch(epoch)
        yield from batches.training_batches(train, config, head.stage, epoch)
