"""The values a stage learns from: found in the cache, computed where they are not.

The network is built only when something has to be computed; with a warm cache a head starts
without it.
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
from tlcore.models.weights import find_weights
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training.augmentation import FORWARD, ImageCopy, InputSpec, decode_batches
from tlcore.training.config import RunConfig
from tlcore.training.feature_cache import (
    MISSING,
    FeatureStore,
    Floats,
    bytes_in,
    counting,
    log_damage,
    make_room,
    shape_of,
)
from tlcore.training.feature_keys import FeatureKey, hash_network

if TYPE_CHECKING:
    from tlcore.training.transfer_model import TransferModel

FLUSH = 256  # images after which the values are put on disk, or
FLUSH_BYTES = 32 * 2**20  # of values
WAIT = 0.1  # s between two looks whether to stop while the network is built
SPARE = 8  # a full cache is emptied by an eighth at least: moving what stays is work


class FeatureSource:
    """Cached values of one recipe's network, within ``settings.cache_bytes``."""

    def __init__(self, config: RunConfig, classes: int, settings: Settings) -> None:
        self.config, self.settings = config, settings
        self.classes = classes
        self.looking = InputSpec(
            config.backbone,
            config.size,
            config.fit,
            config.augmentations,
            config.seed,
            settings.limits,
        )
        self._shelves: dict[str, FeatureStore] = {}
        self._asked: set[bytes] = set()  # ids of values that no other may push out

    @cached_property
    def whole(self) -> TransferModel:
        """The network. Raises as ``build`` does."""
        from tlcore.training.transfer_model import TransferModel  # loads TensorFlow

        return TransferModel(self.config, self.classes, self.settings)

    @property
    def pooled(self) -> str:
        """The layer whose values the head learns from."""
        return f"pooling-{self.config.pooling}"

    @property
    def cut(self) -> str:
        """The layer whose values the top blocks learn from. Raises UnknownName."""
        return self.whole.cut

    @property
    def head_inputs(self) -> int:
        """The features that the head learns from, of one image."""
        return math.prod(self.shelf(self.pooled).shape)

    def shelf(self, layer: str) -> FeatureStore:
        """Return the open shelf of a layer."""
        known = self._known_shelf(layer)
        return self._open(layer, self.whole.shape(layer)) if known is None else known

    def prepare(self, waiting: Callable[[], None], layers: Sequence[str] = ()) -> None:
        """Build the network, and trace it for these layers, in a thread of its own: nothing can
        interrupt TensorFlow's import, so that whoever wants to stop can only leave it behind.

        Args:
            waiting: called again and again meanwhile; may raise to end it.
            layers: that ``compute`` will be asked for, all in one pass.
        """
        ready: Future[None] = Future()

        def work() -> None:
            try:
                whole = self.whole
                if layers:
                    whole.trace(layers)
                ready.set_result(None)
            except BaseException as error:  # whoever waits for it gets it
                ready.set_exception(error)

        Thread(target=work, daemon=True).start()
        while wait([ready], WAIT).not_done:
            waiting()
        ready.result()

    def missing(self, layers: Sequence[str], requests: Sequence[ImageCopy]) -> list[ImageCopy]:
        """Return those that some of the layers have no value of, each once.

        Whatever was asked for stays in the cache while this supply is open.
        """
        ids = [request.id(self.looking) if request.sample.sha256 else b"" for request in requests]
        self._asked.update(each for each in ids if each)
        gone = np.zeros(len(requests), bool)
        for layer in layers:
            shelf = self._known_shelf(layer)
            gone |= True if shelf is None else shelf.find(ids) == MISSING
        once = {
            ids[place] or requests[place]: requests[place]
            for place in np.flatnonzero(gone).tolist()
        }
        return list(once.values())

    def compute(
        self,
        layers: Sequence[str],
        requests: Sequence[ImageCopy],
        *,
        done: Callable[[int], None],
        skipped: Callable[[str, str], None],
    ) -> None:
        """Run the network over these and keep what the layers make of them.

        Args:
            layers: all in one pass.
            requests: what ``missing`` returned.
            done: told the number of images behind, after each batch and, while the network is
                built, again and again; may raise to end it.
            skipped: told the name and reason of a file that cannot be read.

        Raises:
            BadConfig: the cache may not grow as large as that.
        """
        if not requests:
            return
        held: list[tuple[list[bytes], list[Floats]]] = []
        behind = 0
        with decode_batches(
            requests, self.looking, FORWARD
        ) as batches:  # while the network is built
            self.prepare(lambda: done(0), layers)
            for layer in layers:
                self._reopen_if_other_shape(layer)
            image_bytes = sum(self.shelf(layer).row_bytes for layer in layers)
            with counting(self.settings.features):
                self._make_room(layers, len(requests))
            flush = min(FLUSH, max(FORWARD, FLUSH_BYTES // image_bytes))
            try:
                for batch in batches:
                    good, pixels = select_readable(batch, skipped)
                    if good:
                        ids = [request.id(self.looking) for request in good]
                        held.append((ids, self.whole.forward(pixels, layers)))
                    behind += len(batch)
                    if len(held) * FORWARD >= flush:
                        self._flush(layers, held)
                    done(behind)
            finally:
                self._flush(layers, held)

    def kept(self, samples: Sequence[Sample]) -> tuple[list[Sample], Floats]:
        """Return the images whose bottleneck features are in the cache, as they are without a
        view, and those, (n, features), flat."""
        hashed = [sample for sample in samples if sample.sha256]
        shelf = self.shelf(self.pooled)
        rows = shelf.find([ImageCopy(sample).id(self.looking) for sample in hashed])
        here = np.flatnonzero(rows != MISSING)
        values = shelf.gather(rows[here]).reshape(len(here), math.prod(shelf.shape))
        return [hashed[place] for place in here.tolist()], values

    def fresh(self, layer: str, requests: Sequence[ImageCopy]) -> Iterator[Floats]:
        """Compute values that are used once, some at a time, and keep none of them. All files
        were read before.

        Raises:
            BadImage: one of them cannot be read any more.
        """
        with decode_batches(requests, self.looking, FORWARD) as batches:
            for batch in batches:
                yield self.whole.forward(select_readable(batch, _refuse)[1], [layer])[0]

    def close(self) -> None:
        for shelf in self._shelves.values():
            shelf.close()
        self._shelves.clear()

    def _flush(self, layers: Sequence[str], held: list[tuple[list[bytes], list[Floats]]]) -> None:
        if not held:
            return
        ids = [each for part, _ in held for each in part]
        with counting(self.settings.features):
            self._make_room(layers, len(ids))
            for place, layer in enumerate(layers):
                values = np.concatenate([values[place] for _, values in held])
                self.shelf(layer).append(ids, values)
        held.clear()

    def _known_shelf(self, layer: str) -> FeatureStore | None:
        """Return the shelf of a layer; None where there is none yet, as only the network knows
        the shape of its values."""
        if layer in self._shelves:
            return self._shelves[layer]
        key = self._key(layer)
        shape, folder = shape_of(self.settings.features, key), self.settings.features / key.name
        if shape is None and (folder / "values").exists():
            log_damage(folder)
        return self._open(layer, shape) if shape else None

    def _reopen_if_other_shape(self, layer: str) -> None:
        """Open a shelf anew whose file said another shape than the network has."""
        shape = self.whole.shape(layer)
        if self.shelf(layer).shape != shape:
            log_damage(self.shelf(layer).folder)
            self._shelves.pop(layer).close()
            self._open(layer, shape)

    def _open(self, layer: str, shape: tuple[int, ...]) -> FeatureStore:
        self._shelves[layer] = FeatureStore(self.settings.features, self._key(layer), shape)
        return self._shelves[layer]

    def _make_room(self, layers: Sequence[str], images: int) -> None:
        """See to it that so many values can be added: other shelves go, those used longest ago
        first, then the oldest values of the run's own that it does not need."""
        root, shelves = self.settings.features, [self.shelf(layer) for layer in layers]
        most = self.settings.cache_bytes
        needed = sum(shelf.bytes_of(len(self._asked)) for shelf in shelves)
        if needed > most:
            raise BadConfig(
                f"Expected features of at most {file_size(most)} (TLCORE_CACHE_BYTES). "
                f"Received {len(self._asked):,} images and views that need "
                f"{file_size(needed)}. Allow more, or choose a smaller size, fewer views, "
                "another pooling or a later layer."
            )
        allowed = most - sum(shelf.bytes_of(images) for shelf in shelves)
        make_room(root, allowed)
        for shelf in shelves:
            over = bytes_in(root) - allowed
            if over > 0:
                shelf.drop(max(over, most // SPARE), self._asked)
        if bytes_in(root) > allowed:
            raise BadConfig(
                f"Expected {file_size(needed)} of the {file_size(most)} for features "
                "(TLCORE_CACHE_BYTES). Received less: another run uses the rest at the moment. "
                "Resume this one when that has ended, or allow more."
            )

    def _key(self, layer: str) -> FeatureKey:
        config = self.config
        if config.random_weights:
            weights = "random"
        else:
            row = get_backbone(config.backbone)
            weights = hash_network(
                row, find_weights(row, config.size, self.settings, top=False).path
            )
        return FeatureKey(config.backbone, weights, layer, config.size, config.fit)


def select_readable(
    batch: Sequence[tuple[ImageCopy, np.ndarray | BadImage]], skipped: Callable[[str, str], None]
) -> tuple[list[ImageCopy], np.ndarray]:
    """Return the images that could be read, and name the others."""
    good: list[ImageCopy] = []
    squares: list[np.ndarray] = []
    for request, pixels in batch:
        if isinstance(pixels, BadImage):
            skipped(request.sample.file, str(pixels))
        else:
            good.append(request)
            squares.append(pixels)
    return good, np.stack(squares) if squares else np.zeros(0, np.uint8)


def _refuse(file: str, reason: str) -> None:
    raise BadImage(reason)
