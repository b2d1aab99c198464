"""The order of an epoch's images, and its random numbers: functions of (seed, stage, epoch).

Nothing is carried from one epoch to the next, so an epoch can be begun anew after a stop or a
kill, and is the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.training.augmentation import ORIGINAL, ImageCopy
from tlcore.training.config import RunConfig, check_classes, empty_split_error
from tlcore.training.feature_cache import MISSING, FeatureStore, Floats, here
from tlcore.training.features import FeatureSource
from tlcore.training.history import StopRequested

Positions = npt.NDArray[np.int64]

STAGES = {"head": 1, "fine-tune": 2}  # part of the seed: never renumber
ORDER, MASKS, START, COPIES = range(4)  # what the numbers are for


def random_numbers(seed: int, stage: str, epoch: int, what: int) -> np.random.Generator:
    """Return the random numbers of one purpose in one epoch (0-based)."""
    return np.random.default_rng([seed, STAGES[stage], epoch, what])


def draw_order(
    labels: npt.NDArray[np.int64], draw: np.random.Generator, *, even: bool
) -> Positions:
    """Return the positions of an epoch's images in the order in which they come.

    Args:
        labels: int (n,), the class of each image.
        draw: this epoch's numbers.
        even: every class comes as often as the others; images of rare classes are repeated,
            some of the common ones left out, and the epoch stays as long as it was.
    """
    count = len(labels)
    if not even:
        return draw.permutation(count)
    classes = np.unique(labels)
    drawn = [
        _repeated(np.flatnonzero(labels == label), -(-count // len(classes)), draw)
        for label in classes
    ]
    return draw.permutation(np.concatenate(drawn))[:count]


def _repeated(positions: Positions, count: int, draw: np.random.Generator) -> Positions:
    """Return ``count`` of these, none a second time before all have come once."""
    rounds = -(-count // len(positions))
    return np.concatenate([draw.permutation(positions) for _ in range(rounds)])[:count]


def compute_class_weights(labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float32]:
    """Return what an image of each class weighs so that all classes weigh the same, mean 1."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)


def draw_copies(images: int, views: int, draw: np.random.Generator) -> Positions:
    """Return which of its stored views each image shows in this epoch."""
    return draw.integers(0, views, images)


# What a stage learns from and is judged by, batch by batch in the order of an epoch.


FIRST_FRESH_COPY = 1000  # number of the first view that is drawn freely; stored ones count from 0


class Source(Protocol):
    """Where the values of images come from."""

    @property
    def image_bytes(self) -> int:
        """What the values of one image take."""

    def batches(self, order: Positions, size: int, epoch: int) -> Iterator[Floats]:
        """Yield the values of the images at ``order``, ``size`` at a time."""


@dataclass(frozen=True, eq=False)
class SplitData:
    """The images of one part, with their targets."""

    source: Source
    labels: npt.NDArray[np.int64]  # (n,), index of each image's class
    targets: Floats  # (n, units): one-hot, or 0 and 1 for a sigmoid unit
    sha256: tuple[str, ...] = ()  # (n,) of the images; empty where nobody asks which they are

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """Values from the cache; with several views each epoch draws one for each image."""

    shelf: FeatureStore
    rows: npt.NDArray[np.int64]  # (views, n)
    seed: int
    stage: str

    @property
    def image_bytes(self) -> int:
        return self.shelf.row_bytes

    def batches(self, order: Positions, size: int, epoch: int) -> Iterator[Floats]:
        rows = self.rows[0]
        if len(self.rows) > 1:
            draw = random_numbers(self.seed, self.stage, epoch, COPIES)
            rows = self.rows[draw_copies(len(rows), len(self.rows), draw), np.arange(len(rows))]
        rows = rows[order]
        here(rows)
        for start in range(0, len(order), size):
            yield self.shelf.take(rows[start : start + size])


@dataclass(frozen=True, eq=False)
class FeatureArray:
    """Values that are in memory."""

    values: Floats  # (n, …)

    @property
    def image_bytes(self) -> int:
        return self.values.nbytes // max(1, len(self.values))

    def batches(self, order: Positions, size: int, epoch: int) -> Iterator[Floats]:
        for start in range(0, len(order), size):
            yield self.values[order[start : start + size]]


@dataclass(frozen=True, eq=False)
class FreshFeatures:
    """Values computed for each epoch anew, of views that never come again."""

    supply: FeatureSource
    layer: str
    samples: Sequence[Sample]
    before: int  # epochs of earlier stages
    stopping: Callable[[], bool]  # asked between two passes of the network

    @property
    def image_bytes(self) -> int:
        return self.supply.shelf(self.layer).row_bytes

    def batches(self, order: Positions, size: int, epoch: int) -> Iterator[Floats]:
        number = FIRST_FRESH_COPY + self.before + epoch
        requests = [ImageCopy(self.samples[at], number) for at in order.tolist()]
        held = np.zeros((0, *self.supply.shelf(self.layer).shape), np.float32)
        for values in self.supply.fresh(self.layer, requests):
            held = np.concatenate([held, values])
            while len(held) >= size:
                yield held[:size]
                held = held[size:]
            if self.stopping():
                raise StopRequested
        if len(held):
            yield held


@dataclass(frozen=True, eq=False)
class StageSpec:
    """What a stage needs of both parts."""

    layer: str
    stage: str
    classes: tuple[str, ...]
    units: int
    before: int  # epochs of earlier stages
    stopping: Callable[[], bool]


def list_copies(
    config: RunConfig, train: Sequence[Sample], val: Sequence[Sample]
) -> list[ImageCopy]:
    """Return all that a run reads from the cache."""
    learned = [] if config.on_the_fly_augmentation else views_of(config)
    return [
        *(ImageCopy(sample, number) for number in learned for sample in train),
        *(ImageCopy(sample) for sample in val),
        # Free views need none of it, but unreadable images must be known before they are drawn.
        *(ImageCopy(sample) for sample in train if config.on_the_fly_augmentation),
    ]


def list_layers(supply: FeatureSource) -> list[str]:
    """Return the layers whose values a run's stages read.

    Raises:
        UnknownName: the network has no layer of that name to unfreeze from.
    """
    layers = [supply.pooled] if supply.config.epochs else []
    if supply.config.fine_tune_epochs:
        layers.append(supply.cut)
    return layers


def views_of(config: RunConfig) -> list[int]:
    """Return the numbers of the views that are stored of each image to learn from."""
    return [ORIGINAL, *range(config.augmented_copies)]


def build_training_data(
    supply: FeatureSource, samples: Sequence[Sample], asked: StageSpec
) -> SplitData:
    """Return the images to learn from, without those that cannot be read."""
    config = supply.config
    shelf = supply.shelf(asked.layer)
    rows = [_rows(supply, shelf, samples, number) for number in (
        [ORIGINAL] if config.on_the_fly_augmentation else views_of(config)
    )]  # fmt: skip
    kept = np.flatnonzero((np.stack(rows) != MISSING).all(axis=0))
    good = [samples[place] for place in kept.tolist()]
    check_classes(asked.classes, good)
    source: Source
    if config.on_the_fly_augmentation:
        source = FreshFeatures(supply, asked.layer, good, asked.before, asked.stopping)
    else:
        source = CachedFeatures(shelf, np.stack(rows)[:, kept], config.seed, asked.stage)
    return _part(source, good, asked, "training")


def build_validation_data(
    supply: FeatureSource, samples: Sequence[Sample], asked: StageSpec
) -> SplitData:
    """Return the images to judge by, as they are, without those that cannot be read."""
    shelf = supply.shelf(asked.layer)
    rows = _rows(supply, shelf, samples, ORIGINAL)
    kept = np.flatnonzero(rows != MISSING)
    source = CachedFeatures(shelf, rows[None, kept], supply.config.seed, asked.stage)
    return _part(source, [samples[place] for place in kept.tolist()], asked, "validation")


def _rows(
    supply: FeatureSource, shelf: FeatureStore, samples: Sequence[Sample], number: int
) -> npt.NDArray[np.int64]:
    return shelf.find(
        [
            ImageCopy(sample, number).id(supply.looking) if sample.sha256 else b""
            for sample in samples
        ]
    )


def _part(source: Source, samples: Sequence[Sample], asked: StageSpec, name: str) -> SplitData:
    if not samples:
        raise empty_split_error(name)
    index = {label: place for place, label in enumerate(asked.classes)}
    labels = np.array([index[sample.label] for sample in samples], np.int64)
    hashes = tuple(sample.sha256 for sample in samples)
    return SplitData(source, labels, encode_targets(labels, asked.units), hashes)


def encode_targets(labels: npt.NDArray[np.int64], units: int) -> Floats:
    """Return (n, units): the class itself for one unit, one-hot for more."""
    if units == 1:
        return labels[:, None].astype(np.float32)
    return np.eye(units, dtype=np.float32)[labels]
