"""The feature pass: features of images, read from the cache and computed where they are missing.

The backbone is built only when something has to be computed; with a full cache the head is trained
without TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import cached_property
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.errors import BadConfig, BadImage
from tlcore.models.catalog import get_backbone
from tlcore.models.predictions import Floats
from tlcore.models.weights import find_weights
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training.augmentation import FORWARD, Decoded, ImageCopy, InputSpec, decode_batches
from tlcore.training.config import RunConfig
from tlcore.training.feature_cache import (
    MISSING,
    FeatureKey,
    FeatureStore,
    bytes_of,
    evict,
    hash_network,
)

if TYPE_CHECKING:
    from tlcore.training.transfer_model import TransferModel

FLUSH = 256  # rows after which a segment is written, or
FLUSH_SHARE = 4  # a fourth of those written so far, so that a long pass makes few segments, or
FLUSH_BYTES = 32 * 2**20
WAIT = 0.1  # s between two checks whether to stop while the network is built


class FeatureSource:
    """The features of the backbone of one recipe, within ``settings.cache_bytes``."""

    def __init__(self, config: RunConfig, classes: int, settings: Settings) -> None:
        """Make a source for a recipe and so many classes; nothing is built or read yet."""
        self.config, self.classes, self.settings = config, classes, settings
        self.spec = InputSpec(
            config.backbone,
            config.size,
            config.fit,
            config.augmentations,
            config.seed,
            settings.limits,
        )
        self._stores: dict[str, FeatureStore] = {}
        self._wanted: set[str] = set()  # ids of all features that the run reads

    @cached_property
    def transfer_model(self) -> TransferModel:
        """The backbone with its head. Raises as ``build_backbone`` does."""
        from tlcore.training.transfer_model import TransferModel  # loads TensorFlow

        return TransferModel(self.config, self.classes, self.settings)

    @property
    def pooling_layer(self) -> str:
        """The layer whose output the head learns from."""
        return f"pooling-{self.config.pooling}"

    @property
    def head_inputs(self) -> int:
        """The number of features of one image that the head learns from."""
        return math.prod(self.shape(self.pooling_layer))

    def shape(self, layer: str) -> tuple[int, ...]:
        """Return the shape of a layer's features of one image."""
        return self.store(layer).shape or self.transfer_model.shape(layer)

    def store(self, layer: str) -> FeatureStore:
        """Return the cached features of a layer."""
        if layer not in self._stores:
            self._stores[layer] = FeatureStore(self.settings.features, self._key(layer))
        return self._stores[layer]

    def prepare(self, waiting: Callable[[], None], layers: Sequence[str] = ()) -> None:
        """Build the network, and trace it for these layers, in a thread of its own: TensorFlow's
        import cannot be interrupted, only left behind.

        Args:
            waiting: called ten times a second meanwhile; may raise to end it.
            layers: those that ``compute`` will run, all in one pass.
        """
        ready: Future[None] = Future()

        def work() -> None:
            try:
                network = self.transfer_model
                if layers:
                    network.trace(layers)
                ready.set_result(None)
            except BaseException as error:  # raised again where the result is wanted
                ready.set_exception(error)

        Thread(target=work, daemon=True).start()
        while wait([ready], WAIT).not_done:
            waiting()
        ready.result()

    def missing(self, layers: Sequence[str], copies: Sequence[ImageCopy]) -> list[ImageCopy]:
        """Return the copies of which some layer has no features yet, each once. All of
        ``copies`` stay in the cache as long as this source lives."""
        ids = [copy.id(self.spec) for copy in copies]
        self._wanted.update(each for each in ids if each)
        absent = np.zeros(len(copies), bool)
        for layer in layers:
            absent |= self.store(layer).find(ids) == MISSING
        places = np.flatnonzero(absent).tolist()
        return list({ids[place] or copies[place]: copies[place] for place in places}.values())

    def compute(
        self,
        layers: Sequence[str],
        copies: Sequence[ImageCopy],
        *,
        done: Callable[[int], None] = lambda count: None,
        skipped: Callable[[str, str], None] = lambda file, reason: None,
    ) -> None:
        """Run the network over copies and store the outputs of the layers.

        Args:
            layers: all in one pass.
            copies: what ``missing`` returned.
            done: called with the number of copies behind after each batch, and with 0 while the
                network is built; may raise to end it.
            skipped: called with the name and the reason of a file that cannot be read.

        Raises:
            BadConfig: the features do not fit into the cache.
        """
        if not copies:
            return
        with decode_batches(copies, self.spec, FORWARD) as batches:  # while the network is built
            self.prepare(lambda: done(0), layers)
            shapes = [self.shape(layer) for layer in layers]
            needed = sum(bytes_of(shape, len(self._wanted)) for shape in shapes)
            check_cache_size(len(self._wanted), needed, self.settings)
            largest = max(FORWARD, FLUSH_BYTES // sum(bytes_of(shape, 1) for shape in shapes))
            segment = _Unwritten(layers)
            behind = 0
            try:
                for batch in batches:
                    readable, pixels = select_readable(batch, skipped)
                    if readable:
                        values = self.transfer_model.forward(pixels, layers)
                        segment.add([copy.id(self.spec) for copy in readable], values)
                    behind += len(batch)
                    if len(segment.ids) >= min(largest, max(FLUSH, behind // FLUSH_SHARE)):
                        self._write(segment)
                    done(behind)
            finally:
                self._write(segment)

    def load_cached(self, samples: Sequence[Sample]) -> tuple[list[Sample], Floats]:
        """Return the images whose bottleneck features are in the cache, not augmented, and those
        features, float32 (n, features)."""
        store = self.store(self.pooling_layer)
        rows = store.find([ImageCopy(sample).id(self.spec) for sample in samples])
        here = np.flatnonzero(rows != MISSING)
        values = store.take(rows[here]).reshape(len(here), math.prod(store.shape or (0,)))
        return [samples[place] for place in here.tolist()], values

    def compute_fresh(self, layer: str, copies: Sequence[ImageCopy]) -> Iterator[Floats]:
        """Yield features that are used once and not stored, some at a time.

        Raises:
            BadImage: a file cannot be read any more.
        """
        with decode_batches(copies, self.spec, FORWARD) as batches:
            for batch in batches:
                yield self.transfer_model.forward(select_readable(batch, _refuse)[1], [layer])[0]

    def _write(self, segment: _Unwritten) -> None:
        """Write the features gathered so far, after older segments have made room for them."""
        if not segment.ids:
            return
        layers, in_use = segment.values, [each.segments_in_use for each in self._stores.values()]
        size = sum(bytes_of(self.shape(layer), len(segment.ids)) for layer in layers)
        evict(self.settings.features, self.settings.cache_bytes - size, set().union(*in_use))
        for layer, values in layers.items():
            self.store(layer).append(segment.ids, np.concatenate(values))
        segment.clear()

    def _key(self, layer: str) -> FeatureKey:
        config = self.config
        weights = "random"
        if not config.random_weights:
            row = get_backbone(config.backbone)
            weights = hash_network(
                row, find_weights(row, config.size, self.settings, top=False).path
            )
        return FeatureKey(config.backbone, weights, layer, config.size, config.fit)


class _Unwritten:
    """Features of several layers that are not on disk yet."""

    def __init__(self, layers: Sequence[str]) -> None:
        self.ids: list[str] = []
        self.values: dict[str, list[Floats]] = {layer: [] for layer in layers}

    def add(self, ids: Sequence[str], values: Sequence[Floats]) -> None:
        self.ids += ids
        for batches, batch in zip(self.values.values(), values, strict=True):
            batches.append(batch)

    def clear(self) -> None:
        self.ids = []
        for batches in self.values.values():
            batches.clear()


def check_cache_size(copies: int, needed: int, settings: Settings) -> None:
    """Refuse features that the cache may not hold.

    Raises:
        BadConfig: ``needed`` bytes are more than ``settings.cache_bytes``.
    """
    if needed > settings.cache_bytes:
        raise BadConfig(
            f"Expected features of at most {file_size(settings.cache_bytes)} "
            f"(TLCORE_CACHE_BYTES). Received {copies:,} images and augmented copies that need "
            f"{file_size(needed)}. Allow more, or choose a smaller size, fewer copies, another "
            "pooling or a later layer to unfreeze from."
        )


def select_readable(
    batch: Decoded, skipped: Callable[[str, str], None]
) -> tuple[list[ImageCopy], np.ndarray]:
    """Return the copies that could be read with their pixels, and report the others."""
    readable: list[ImageCopy] = []
    squares: list[np.ndarray] = []
    for copy, pixels in batch:
        if isinstance(pixels, BadImage):
            skipped(copy.sample.file, str(pixels))
        else:
            readable.append(copy)
            squares.append(pixels)
    return readable, np.stack(squares) if squares else np.zeros(0, np.uint8)


def _refuse(file: str, reason: str) -> None:
    raise BadImage(reason)
