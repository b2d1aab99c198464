"""The feature pass: features of images, read from the cache and computed where they are missing.

The backbone is built only when something has to be computed; with a full cache the head is trained
without TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.datasets.decoding import decode_in_order
from tlcore.errors import BadConfig, BadImage
from tlcore.models.catalog import output_units, preprocess
from tlcore.models.predictions import Floats, ModelRef
from tlcore.models.runtime import (
    TEMPLATE,
    Network,
    NotConverted,
    Runtime,
    backbone_network,
    open_runtime,
    wait_for_runtime,
)
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training import feature_cache as cache
from tlcore.training.augmentation import FORWARD, ImageCopy, InputSpec, load_pixels
from tlcore.training.config import RunConfig
from tlcore.training.keras_file import write_head_model
from tlcore.training.status import MODEL

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
        kinds, limits = config.augmentations, settings.limits
        self.spec = InputSpec(config.backbone, config.size, config.fit, kinds, config.seed, limits)
        self._stores: dict[str, cache.FeatureStore] = {}
        self._wanted: set[str] = set()  # ids of all features that the run reads

    @cached_property
    def transfer_model(self) -> TransferModel:
        """The backbone with its head. Raises as ``build_backbone`` does, and NotConverted in a
        process without TensorFlow."""
        if self.settings.runtime == "litert":  # fine-tuning needs Keras in any case
            raise NotConverted if self.config.fine_tune_epochs else NotConverted(self.network)
        from tlcore.training.transfer_model import TransferModel  # loads TensorFlow

        return TransferModel(self.config, self.classes, self.settings)

    @cached_property
    def network(self) -> Network:
        """The backbone up to what the stages learn from. Raises WeightsMissing."""
        config = self.config
        ref = ModelRef(config.backbone, config.size, random=config.random_weights)
        cut = (self.transfer_model.cut,) if config.fine_tune_epochs else ()
        return backbone_network(ref, self.settings, *cut)

    @cached_property
    def runtime(self) -> Runtime | None:
        """What computes the features without TensorFlow; None where Keras does."""
        if self.settings.runtime == "keras":
            return None
        return open_runtime(self.network, self.settings)

    def prepare_runtime(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Convert the network for LiteRT, unless that has been done.

        Also for a few images: two runs of one seed have equal bits only if the same engine has
        computed both. ``waiting`` is as for ``wait_for_runtime``.
        """
        if self.settings.runtime != "keras":
            self.runtime = wait_for_runtime(self.network, self.settings, waiting)

    @property
    def pooling_layer(self) -> str:
        """The layer whose output the head learns from."""
        return f"pooling-{self.config.pooling}"

    def layer(self, stage: str) -> str:
        """Return the layer whose features a stage learns from."""
        return self.pooling_layer if stage == "head" else self.transfer_model.cut

    @property
    def units(self) -> int:
        """Units of the head's last dense layer."""
        return output_units(self.classes, self.config.classifier_activation)

    @property
    def head_inputs(self) -> int:
        """The number of features of one image that the head learns from."""
        return math.prod(self.shape(self.pooling_layer))

    def shape(self, layer: str) -> tuple[int, ...]:
        """Return the shape of a layer's features of one image."""
        if shape := self.store(layer).shape:
            return shape
        return self.runtime.shape(layer) if self.runtime else self.transfer_model.shape(layer)

    def outputs(
        self, layers: Sequence[str], copies: Sequence[ImageCopy]
    ) -> Generator[list[Floats] | BadImage, None, None]:
        """Yield each copy's outputs of the layers, in order, or why it cannot be read."""
        if self.runtime is None:
            return self._forward(layers, copies)
        return decode_in_order(partial(self._compute_copy, layers, self.runtime), copies)

    def _compute_copy(
        self, layers: Sequence[str], runtime: Runtime, copy: ImageCopy
    ) -> list[Floats] | BadImage:
        pixels = load_pixels(copy, self.spec)
        if isinstance(pixels, BadImage):
            return pixels
        inputs = preprocess(pixels, self.config.backbone)[None]
        return [values[0] for values in runtime.compute(inputs, layers, alone=False)]

    def _forward(
        self, layers: Sequence[str], copies: Sequence[ImageCopy]
    ) -> Generator[list[Floats] | BadImage, None, None]:
        """Yield what Keras computes, FORWARD images at a time."""
        load = partial(load_pixels, spec=self.spec)
        with closing(decode_in_order(load, copies, ahead=2 * FORWARD)) as pixels:
            while batch := list(islice(pixels, FORWARD)):
                readable = [each for each in batch if not isinstance(each, BadImage)]
                stack = np.stack(readable) if readable else None
                values = [] if stack is None else self.transfer_model.forward(stack, layers)
                rows = map(list, zip(*values, strict=True))
                yield from (each if isinstance(each, BadImage) else next(rows) for each in batch)

    def save_model(self, folder: Path, weights: Sequence[Floats]) -> None:
        """Save the frozen backbone with a head of these weights as a run's ``model.keras``."""
        if self.runtime and (template := self.runtime.folder / TEMPLATE).exists():
            write_head_model(folder / MODEL, template, self.config, weights)
        else:
            self.transfer_model.set_head_weights(weights)
            self.transfer_model.save(folder)

    def store(self, layer: str) -> cache.FeatureStore:
        """Return the cached features of a layer."""
        if layer not in self._stores:
            self._stores[layer] = cache.FeatureStore(self.settings.features, self._key(layer))
        return self._stores[layer]

    def prepare(self, waiting: Callable[[], None], layers: Sequence[str] = ()) -> None:
        """Build the network, and trace it for these layers, in a thread of its own: TensorFlow's
        import cannot be interrupted, only left behind.

        ``waiting`` is called ten times a second meanwhile, and may raise to end it.
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
            absent |= self.store(layer).find(ids) == cache.MISSING
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
        """Run the network over what ``missing`` returned and store the outputs of the layers.

        Args:
            layers: all in one pass.
            copies: with their hashes.
            done: called with the number of copies behind after each one, and with 0 while the
                network is built; may raise to end it.
            skipped: called with the name and the reason of a file that cannot be read.

        Raises:
            BadConfig: the features do not fit into the cache.
        """
        if not copies:
            return
        if self.runtime is None:
            self.prepare(lambda: done(0), layers)
        row_bytes = sum(cache.bytes_of(self.shape(layer), 1) for layer in layers)
        wanted = len(self._wanted)
        check_cache_size(wanted, wanted * row_bytes, self.settings)
        unwritten: list[tuple[str, list[Floats]]] = []  # id and features in each layer
        try:
            with closing(self.outputs(layers, copies)) as outputs:
                for behind, (copy, values) in enumerate(zip(copies, outputs, strict=True), 1):
                    if isinstance(values, BadImage):
                        skipped(copy.sample.file, str(values))
                    else:
                        unwritten.append((copy.id(self.spec), values))
                    rows = max(FLUSH, behind // FLUSH_SHARE)
                    if len(unwritten) >= min(rows, max(FORWARD, FLUSH_BYTES // row_bytes)):
                        self._write(layers, unwritten)
                    done(behind)
        finally:
            self._write(layers, unwritten)

    def load_cached(self, samples: Sequence[Sample]) -> tuple[list[Sample], Floats]:
        """Return the images whose bottleneck features are in the cache, not augmented, and those
        features, float32 (n, features)."""
        key = self._key(self.pooling_layer)
        ids = [ImageCopy(sample).id(self.spec) for sample in samples]
        keys = [replace(key, engine=engine) for engine in cache.ENGINES]
        stores = [cache.FeatureStore(self.settings.features, each) for each in keys]
        found = [(store, store.find(ids)) for store in stores]
        store, rows = max(found, key=lambda pair: np.count_nonzero(pair[1] != cache.MISSING))
        here = np.flatnonzero(rows != cache.MISSING)
        values = store.take(rows[here]).reshape(len(here), math.prod(store.shape or (0,)))
        return [samples[place] for place in here.tolist()], values

    def _write(self, layers: Sequence[str], unwritten: list[tuple[str, list[Floats]]]) -> None:
        """Write the features gathered so far, after older segments have made room for them."""
        if not unwritten:
            return
        ids, values = zip(*unwritten, strict=True)
        in_use = set().union(*(store.segments_in_use for store in self._stores.values()))
        size = sum(cache.bytes_of(self.shape(layer), len(ids)) for layer in layers)
        cache.evict(self.settings.features, self.settings.cache_bytes - size, in_use)
        for layer, rows in zip(layers, zip(*values, strict=True), strict=True):
            self.store(layer).append(ids, np.stack(rows))
        unwritten.clear()

    def _key(self, layer: str) -> cache.FeatureKey:
        config, engine = self.config, cache.ENGINES[self.runtime is None]
        weights = self.network.weights
        return cache.FeatureKey(config.backbone, weights, layer, config.size, config.fit, engine)


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
