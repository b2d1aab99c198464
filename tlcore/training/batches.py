"""The batches of an epoch: in which order the images come, with which features and weights.

All is a function of (seed, stage, epoch) and nothing is carried from one epoch to the next, so that
an epoch that was interrupted is begun again and is the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.errors import BadImage
from tlcore.models.predictions import Floats
from tlcore.training.augmentation import ORIGINAL, ImageCopy
from tlcore.training.config import RunConfig, check_classes, empty_split_error
from tlcore.training.feature_cache import MISSING
from tlcore.training.features import FeatureSource
from tlcore.training.history import StageName, StopRequested

Positions = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]
Batch = tuple[Floats, Floats, Floats | None]  # features, targets, sample weights

STAGES = {"head": 1, "fine-tune": 2}  # part of the seed: never renumber
ORDER, MASKS, START, COPIES = range(4)  # what random numbers are for; part of the seed too
RESIDENT = 256 * 2**20  # bytes of features that are read into memory; more stay mapped
FIRST_FRESH_COPY = 1000  # number of the first copy that is not stored; stored ones count from 0


def random_numbers(seed: int, stage: str, epoch: int, purpose: int) -> np.random.Generator:
    """Return the random numbers of one purpose in one epoch (0-based)."""
    return np.random.default_rng([seed, STAGES[stage], epoch, purpose])


def draw_order(labels: Labels, draw: np.random.Generator, *, even: bool) -> Positions:
    """Return the positions of images with these classes (n,) in the order in which they come.

    ``even`` is oversampling: every class comes equally often; images of rare classes are repeated,
    some of the common ones left out, and the epoch keeps its length.
    """
    if not even:
        return draw.permutation(len(labels))
    classes = np.unique(labels)
    each = -(-len(labels) // len(classes))
    drawn = []
    for label in classes:  # none a second time before all of its class have come once
        positions = np.flatnonzero(labels == label)
        rounds = [draw.permutation(positions) for _ in range(-(-each // len(positions)))]
        drawn.append(np.concatenate(rounds)[:each])
    return draw.permutation(np.concatenate(drawn))[: len(labels)]


def compute_class_weights(labels: Labels, classes: int) -> Floats:
    """Return the weight of an image of each class with which all classes weigh the same, mean 1."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)


def encode_targets(labels: Labels, units: int) -> Floats:
    """Return the targets (n, units): the class itself for one unit, one-hot for more."""
    if units == 1:
        return labels[:, None].astype(np.float32)
    return np.eye(units, dtype=np.float32)[labels]


@dataclass(frozen=True, eq=False)
class SplitData:
    """The images of a split with their targets."""

    source: FeatureArray | CachedFeatures | FreshFeatures
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


# Where the features of the images of a split come from. Each of these sources knows the bytes of
# those of one image, and yields those of the images at ``order``, ``size`` at a time.


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
            rows = self.rows[draw.integers(0, copies, images), np.arange(images)]
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
        batch: list[Floats] = []
        with closing(self.source.outputs([self.layer], copies)) as outputs:
            for values in outputs:
                if self.stopping():
                    raise StopRequested
                if isinstance(values, BadImage):  # it could be read before
                    raise values
                batch.append(values[0])
                if len(batch) == size:
                    yield np.stack(batch)
                    batch.clear()
        if batch:
            yield np.stack(batch)


def list_layers(source: FeatureSource) -> list[str]:
    """Return the layers whose features the stages of a run learn from.

    Raises:
        UnknownName: the backbone has no layer of that name to unfreeze from.
    """
    config = source.config
    stages = {"head": config.epochs, "fine-tune": config.fine_tune_epochs}
    return [source.layer(stage) for stage, epochs in stages.items() if epochs]


def list_copies(
    config: RunConfig, train: Sequence[Sample], val: Sequence[Sample]
) -> list[ImageCopy]:
    """Return all images and augmented copies whose features a run reads from the cache.

    With on-the-fly augmentation the training images are among them all the same: those that
    cannot be read must be known before an epoch begins.
    """
    numbers = [ORIGINAL, *range(config.augmented_copies)]
    copies = [ImageCopy(sample, number) for number in numbers for sample in train]
    return copies + [ImageCopy(sample) for sample in val]


def build_training_data(
    source: FeatureSource,
    samples: Sequence[Sample],
    classes: Sequence[str],
    stage: StageName = "head",
    epochs_before: int = 0,
    stopping: Callable[[], bool] = lambda: False,
) -> SplitData:
    """Return the training images of a stage, without those that cannot be read.

    The samples have their hashes, the classes are in the order of the output units.
    ``epochs_before`` is the number of epochs of earlier stages; ``stopping`` is called between two
    passes of the network with on-the-fly augmentation.

    Raises:
        BadDataset: none can be read, also of one class.
    """
    numbers = [ORIGINAL, *range(source.config.augmented_copies)]
    readable, cached = _find_readable(source, samples, stage, numbers)
    check_classes(classes, readable)
    if not source.config.on_the_fly_augmentation:
        return _with_targets(cached, readable, classes, source)
    layer = source.layer(stage)
    fresh = FreshFeatures(source, layer, readable, epochs_before, stopping)
    return _with_targets(fresh, readable, classes, source)


def build_validation_data(
    source: FeatureSource, samples: Sequence[Sample], classes: Sequence[str], stage: StageName
) -> SplitData:
    """Return the validation images, not augmented, without those that cannot be read.

    Raises:
        BadDataset: none can be read.
    """
    readable, cached = _find_readable(source, samples, stage, [ORIGINAL])
    if not readable:
        raise empty_split_error("validation")
    return _with_targets(cached, readable, classes, source)


def _find_readable(
    source: FeatureSource, samples: Sequence[Sample], stage: StageName, numbers: Sequence[int]
) -> tuple[list[Sample], CachedFeatures]:
    """Return the images of which all these copies are in the cache, with their features: in memory,
    or mapped where they are too large for it."""
    store, spec = source.store(source.layer(stage)), source.spec
    found = [store.find([ImageCopy(s, number).id(spec) for s in samples]) for number in numbers]
    complete = np.flatnonzero((np.stack(found) != MISSING).all(axis=0))
    rows = np.stack(found)[:, complete]
    row_bytes = 4 * int(np.prod(store.shape or ()))
    cached = CachedFeatures(store.take, rows, row_bytes, source.config.seed, stage)
    if row_bytes * rows.size <= RESIDENT:
        values = store.take(rows.ravel())
        places = np.arange(rows.size).reshape(rows.shape)
        cached = replace(cached, take=lambda wanted: values.take(wanted, axis=0), rows=places)
    return [samples[position] for position in complete.tolist()], cached


def _with_targets(
    features: CachedFeatures | FreshFeatures,
    samples: Sequence[Sample],
    classes: Sequence[str],
    source: FeatureSource,
) -> SplitData:
    index = {label: number for number, label in enumerate(classes)}
    labels = np.array([index[sample.label] for sample in samples], np.int64)
    hashes = tuple(sample.sha256 for sample in samples)
    return SplitData(features, labels, encode_targets(labels, source.units), hashes)
