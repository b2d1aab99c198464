"""The batches of an epoch: in which order the images come, with which features and weights.

All is a function of (seed, stage, epoch) and nothing is carried from one epoch to the next, so that
an epoch that was interrupted is begun again and is the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.models.predictions import Floats
from tlcore.training.augmentation import ORIGINAL, ImageCopy
from tlcore.training.config import RunConfig, check_classes, empty_split_error
from tlcore.training.feature_cache import MISSING, RESIDENT, FeatureStore
from tlcore.training.features import FeatureSource
from tlcore.training.history import StopRequested

Positions = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]
Batch = tuple[Floats, Floats, Floats | None]  # features, targets, sample weights

STAGES = {"head": 1, "fine-tune": 2}  # part of the seed: never renumber
ORDER, MASKS, START, COPIES = range(4)  # what random numbers are for; part of the seed too
FIRST_FRESH_COPY = 1000  # number of the first copy that is not stored; stored ones count from 0


def random_numbers(seed: int, stage: str, epoch: int, purpose: int) -> np.random.Generator:
    """Return the random numbers of one purpose in one epoch (0-based)."""
    return np.random.default_rng([seed, STAGES[stage], epoch, purpose])


def draw_order(labels: Labels, draw: np.random.Generator, *, even: bool) -> Positions:
    """Return the positions of an epoch's images in the order in which they come.

    Args:
        labels: int (n,), the class of each image.
        draw: this epoch's random numbers.
        even: oversampling: every class comes equally often; images of rare classes are repeated,
            some of the common ones left out, and the epoch keeps its length.
    """
    count = len(labels)
    if not even:
        return draw.permutation(count)
    classes = np.unique(labels)
    drawn = [
        _draw_evenly(np.flatnonzero(labels == label), -(-count // len(classes)), draw)
        for label in classes
    ]
    return draw.permutation(np.concatenate(drawn))[:count]


def _draw_evenly(positions: Positions, count: int, draw: np.random.Generator) -> Positions:
    """Return ``count`` positions, none a second time before all have come once."""
    rounds = -(-count // len(positions))
    return np.concatenate([draw.permutation(positions) for _ in range(rounds)])[:count]


def draw_copies(images: int, copies: int, draw: np.random.Generator) -> Positions:
    """Return which of its stored copies each image shows in this epoch."""
    return draw.integers(0, copies, images)


def compute_class_weights(labels: Labels, classes: int) -> Floats:
    """Return the weight of an image of each class with which all classes weigh the same, mean 1."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)


def encode_targets(labels: Labels, units: int) -> Floats:
    """Return the targets (n, units): the class itself for one unit, one-hot for more."""
    if units == 1:
        return labels[:, None].astype(np.float32)
    return np.eye(units, dtype=np.float32)[labels]


class Source(Protocol):
    """Where the features of the images of a split come from."""

    @property
    def image_bytes(self) -> int:
        """The bytes of the features of one image."""

    def batches(self, order: Positions, size: int, epoch: int) -> Iterator[Floats]:
        """Yield the features of the images at ``order``, ``size`` at a time."""


@dataclass(frozen=True, eq=False)
class SplitData:
    """The images of a split with their targets."""

    source: Source
    labels: Labels  # (n,), index of each image's class
    targets: Floats  # (n, units): one-hot, or 0 and 1 for a sigmoid unit
    sha256: tuple[str, ...] = ()  # (n,) of the images; empty where they are not identified

    def __len__(self) -> int:
        return len(self.labels)


def training_batches(data: SplitData, config: RunConfig, stage: str, epoch: int) -> Iterator[Batch]:
    """Yield the batches of one epoch (0-based) of a stage, in its order and with its weights."""
    draw = random_numbers(config.seed, stage, epoch, ORDER)
    order = draw_order(data.labels, draw, even=config.class_weights == "oversampling")
    weights = None
    if config.class_weights == "balanced":
        weights = compute_class_weights(data.labels, int(data.labels.max()) + 1)[data.labels]
    size = config.batch_size
    for number, features in enumerate(data.source.batches(order, size, epoch)):
        batch = order[number * size : (number + 1) * size]
        targets = data.targets.take(batch, axis=0)
        yield features, targets, None if weights is None else weights[batch]


@dataclass(frozen=True, eq=False)
class FeatureArray:
    """Features in memory."""

    values: Floats  # (n, …)

    @property
    def image_bytes(self) -> int:
        return self.values.nbytes // max(1, len(self.values))

    def batches(self, order: Positions, size: int, epoch: int) -> Iterator[Floats]:
        for start in range(0, len(order), size):
            yield self.values.take(order[start : start + size], axis=0)


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """Features of the cache; of several augmented copies each epoch draws one for each image."""

    take: Callable[[Positions], Floats]  # rows → features
    rows: Positions  # (copies, n)
    image_bytes: int
    seed: int
    stage: str

    def batches(self, order: Positions, size: int, epoch: int) -> Iterator[Floats]:
        copies, images = self.rows.shape
        rows = self.rows[0]
        if copies > 1:
            draw = random_numbers(self.seed, self.stage, epoch, COPIES)
            rows = self.rows[draw_copies(images, copies, draw), np.arange(images)]
        for start in range(0, len(order), size):
            yield self.take(rows[order[start : start + size]])


@dataclass(frozen=True, eq=False)
class FreshFeatures:
    """Features computed in each epoch, of augmented copies that do not come a second time."""

    source: FeatureSource
    layer: str
    samples: Sequence[Sample]
    epochs_before: int  # of earlier stages
    stopping: Callable[[], bool]  # called between two passes of the network

    @property
    def image_bytes(self) -> int:
        return 4 * int(np.prod(self.source.shape(self.layer)))

    def batches(self, order: Positions, size: int, epoch: int) -> Iterator[Floats]:
        number = FIRST_FRESH_COPY + self.epochs_before + epoch
        copies = [ImageCopy(self.samples[position], number) for position in order.tolist()]
        waiting = np.zeros((0, *self.source.shape(self.layer)), np.float32)
        for features in self.source.compute_fresh(self.layer, copies):
            waiting = np.concatenate([waiting, features])
            while len(waiting) >= size:
                yield waiting[:size]
                waiting = waiting[size:]
            if self.stopping():
                raise StopRequested
        if len(waiting):
            yield waiting


@dataclass(frozen=True, eq=False)
class StageSpec:
    """What the data of a stage depend on beside the images."""

    layer: str  # whose features are learned from
    stage: str
    classes: tuple[str, ...]
    units: int
    epochs_before: int  # of earlier stages
    stopping: Callable[[], bool]


def list_layers(source: FeatureSource) -> list[str]:
    """Return the layers whose features the stages of a run learn from.

    Raises:
        UnknownName: the backbone has no layer of that name to unfreeze from.
    """
    layers = [source.pooling_layer] if source.config.epochs else []
    if source.config.fine_tune_epochs:
        layers.append(source.transfer_model.cut)
    return layers


def list_copies(
    config: RunConfig, train: Sequence[Sample], val: Sequence[Sample]
) -> list[ImageCopy]:
    """Return all images and augmented copies whose features a run reads from the cache.

    With on-the-fly augmentation the training images are among them all the same: those that
    cannot be read must be known before an epoch begins.
    """
    copies = [ImageCopy(sample, number) for number in _stored_copies(config) for sample in train]
    return copies + [ImageCopy(sample) for sample in val]


def _stored_copies(config: RunConfig) -> list[int]:
    """Return the numbers of the copies that are stored of each training image."""
    return [ORIGINAL, *range(config.augmented_copies)]


def build_training_data(
    source: FeatureSource, samples: Sequence[Sample], spec: StageSpec
) -> SplitData:
    """Return the training images, without those that cannot be read.

    Raises:
        BadDataset: none can be read, also of one class.
    """
    config, store = source.config, source.store(spec.layer)
    rows = np.stack([_find(source, store, samples, copy) for copy in _stored_copies(config)])
    complete = np.flatnonzero((rows != MISSING).all(axis=0))
    readable = [samples[position] for position in complete.tolist()]
    check_classes(spec.classes, readable)
    if config.on_the_fly_augmentation:
        fresh = FreshFeatures(source, spec.layer, readable, spec.epochs_before, spec.stopping)
        return _with_targets(fresh, readable, spec, "training")
    cached = read_features(store, rows[:, complete], config.seed, spec.stage)
    return _with_targets(cached, readable, spec, "training")


def build_validation_data(
    source: FeatureSource, samples: Sequence[Sample], spec: StageSpec
) -> SplitData:
    """Return the validation images, not augmented, without those that cannot be read.

    Raises:
        BadDataset: none can be read.
    """
    store = source.store(spec.layer)
    rows = _find(source, store, samples, ORIGINAL)
    complete = np.flatnonzero(rows != MISSING)
    readable = [samples[position] for position in complete.tolist()]
    cached = read_features(store, rows[None, complete], source.config.seed, spec.stage)
    return _with_targets(cached, readable, spec, "validation")


def _find(
    source: FeatureSource, store: FeatureStore, samples: Sequence[Sample], number: int
) -> Positions:
    return store.find([ImageCopy(sample, number).id(source.spec) for sample in samples])


def read_features(store: FeatureStore, rows: Positions, seed: int, stage: str) -> CachedFeatures:
    """Read rows (copies, n) into memory, or leave them on disk where they are too large."""
    row_bytes = 4 * int(np.prod(store.shape or ()))
    if row_bytes * rows.size > RESIDENT:
        return CachedFeatures(store.take, rows, row_bytes, seed, stage)
    values = store.take(rows.ravel())
    places = np.arange(rows.size).reshape(rows.shape)
    return CachedFeatures(
        lambda wanted: values.take(wanted, axis=0), places, row_bytes, seed, stage
    )


def _with_targets(
    source: Source, samples: Sequence[Sample], spec: StageSpec, split: str
) -> SplitData:
    if not samples:
        raise empty_split_error(split)
    index = {label: number for number, label in enumerate(spec.classes)}
    labels = np.array([index[sample.label] for sample in samples], np.int64)
    hashes = tuple(sample.sha256 for sample in samples)
    return SplitData(source, labels, encode_targets(labels, spec.units), hashes)
