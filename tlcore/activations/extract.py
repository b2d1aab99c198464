"""What has been computed, kept up to so many bytes; the longest unused goes first."""

from __future__ import annotations

import ctypes
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from tlcore.activations.values import LayerStatistics
from tlcore.models.layers import Graph, Wiring, wire
from tlcore.models.model import LoadedModel
from tlcore.models.predictions import Floats

DROPPED = 4  # a quarter of the bound let go: time to give memory back


class ActivationCache:
    """Tensors by key. One that is larger than the whole bound is not kept at all."""

    def __init__(self, bytes_: int) -> None:
        self.bound = bytes_
        self.bytes = 0
        self._dropped = 0  # bytes since memory was given back
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable) -> Any | None:
        """Return what is kept under a key, now the latest used, or None."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value that has ``shape`` and four bytes a number."""
        if key in self._values:
            self._values.move_to_end(key)
            return
        size = _bytes(value)
        if size > self.bound:
            return
        self._make_room(size)
        self._values[key] = value
        self.bytes += size

    def _make_room(self, size: int) -> None:
        while self.bytes + size > self.bound:
            oldest = _bytes(self._values.popitem(last=False)[1])
            self.bytes -= oldest
            self._dropped += oldest
        if self._dropped * DROPPED > self.bound:
            self._dropped = 0
            give_back()

    def __len__(self) -> int:
        return len(self._values)


def give_back() -> None:
    """Hand free memory back to the system, where the C library knows how (glibc does).

    Tensors of all sizes that come and go leave holes between those that stay, and glibc keeps
    the holes: 150 MB after 350 looks at 256 MB of maps.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _bytes(value: Any) -> int:
    count = 4  # float32
    for side in value.shape:
        count *= int(side)
    return count


# One walk through a network: a layer costs what lies between it and what is known already.
#
# The network is cut where all of it passes through one tensor. A jump runs from the last cut that
# is known through all cuts on its way, in one compiled call that gives all of them, and from
# there to the layer in another, which gives the layers that it passes, the smallest up to
# ``ALONG`` bytes: the one before, and the shortcut that the next sum needs, are then known as
# well. (To give every layer from the input on would cost a third more: TensorFlow would have
# nothing left to fuse.) From there on nothing runs that is known: the next layer costs itself and
# nothing else. Each piece is traced at its first need; the latest ``PIECES`` of a network are
# kept. A value does not depend on the order of the looks: a test holds jump and walk equal to the
# bit. (Eager execution would need no trace at all, but takes several times as long at every
# look.)


Compiled = Callable[..., Sequence[Any]]  # tensors (n, …) of the feeds → those of the ends
Make = Callable[[list[Any], list[Any]], Compiled]
FLOAT = 4  # bytes
ALONG = 4 * 2**20  # bytes kept beside the end of a jump: memory that is fresh takes time
PIECES = 64  # compiled pieces kept of a network: about 1.8 MB each, and 30 ms to make anew


class LayerOutputs:
    """A network that can be asked for the output of any of its layers. Read-only on the model."""

    def __init__(self, graph: Graph, make: Make | None = None) -> None:
        """Walk through ``graph``; ``make`` computes ends from feeds, compiled by default."""
        self.graph = graph
        self._make = make or compile_part
        self.wiring: Wiring = wire(graph)
        self.piece = lru_cache(maxsize=PIECES)(self._made)  # places of feeds and ends → Compiled

    def to(
        self, layer: str, batch: Callable[[], Floats], image: Hashable, kept: ActivationCache
    ) -> Any:
        """Return a layer's output, a tensor float32 (n, …).

        Args:
            layer: a name in ``graph.outputs``.
            batch: makes the input, float32 (n, size, size, 3), where it is needed.
            image: tells what that input is; results are kept under it.
            kept: where they are kept.
        """
        return _Visit(self, batch, image, kept).need(self.wiring.place[layer])

    def _made(self, feeds: tuple[int, ...], ends: tuple[int, ...]) -> Compiled:
        """Return what computes some tensors from others."""
        tensors = self.wiring.tensors
        return self._make([tensors[feed] for feed in feeds], [tensors[end] for end in ends])


class _Visit:
    """One image on its way through a network, as far as a layer needs it."""

    def __init__(
        self,
        walk: LayerOutputs,
        batch: Callable[[], Floats],
        image: Hashable,
        kept: ActivationCache,
    ) -> None:
        self._walk, self._wiring = walk, walk.wiring
        self._batch, self._image, self._kept = batch, image, kept
        self._own: dict[int, Any] = {}  # of this visit: it holds though nothing can be kept

    def need(self, place: int) -> Any:
        """Return the tensor of a place, from those before it that are known."""
        value = self._known(place)
        if value is not None:
            return value
        if place == 0:
            self._keep(0, tf.constant(self._batch()))
            return self._own[0]
        feeds, ends = self._way(place)
        if any(self._known(feed) is None for feed in feeds):
            self._cut_before(place)
        return self._run(feeds, [*self._along(ends[:-1]), place])

    def _along(self, passed: list[int]) -> list[int]:
        """Return the places whose tensors are kept on the way past: the smallest, first to last,
        up to ALONG bytes. None where nothing is kept."""
        found: list[int] = []
        room = ALONG if self._kept.bound else 0
        for place in sorted(passed, key=self._bytes):
            room -= self._bytes(place)
            if room < 0:
                break
            found.append(place)
        return sorted(found)

    def _bytes(self, place: int) -> int:
        """Return the bytes of one image's tensor."""
        return FLOAT * math.prod(self._wiring.tensors[place].shape[1:])

    def _way(self, place: int) -> tuple[list[int], list[int]]:
        """Return the known places nearest before a place, at most as far back as the cut before
        it, and what must run from there on, the place itself last."""
        cut = self._wiring.starts[place]
        feeds, ends, waiting = set[int](), set[int](), [place]
        while waiting:
            this = waiting.pop()
            if this == cut or self._known(this) is not None:
                feeds.add(this)
            elif this not in ends:
                ends.add(this)
                waiting += self._wiring.parents[this]
        return sorted(feeds), sorted(ends)

    def _cut_before(self, place: int) -> None:
        """Make all cuts before a place known."""
        start = self._wiring.starts[place]
        cuts: list[int] = []
        while start and self._known(start) is None:
            cuts.insert(0, start)
            start = self._wiring.starts[start]
        if cuts:
            self._run([start], cuts)

    def _run(self, feeds: list[int], ends: list[int]) -> Any:
        """Compute the tensors of some places, the furthest last, keep them and return that one."""
        piece = self._walk.piece(tuple(feeds), tuple(ends))
        values = piece(*[self.need(feed) for feed in feeds])
        for end, value in zip(ends, values, strict=True):
            self._keep(end, value)
        return values[-1]

    def _known(self, place: int) -> Any:
        value = self._own.get(place)
        return value if value is not None else self._kept.get((self._image, place))

    def _keep(self, place: int, value: Any) -> None:
        self._own[place] = value
        self._kept.put((self._image, place), value)


def compile_part(feeds: list[Any], ends: list[Any]) -> Compiled:
    """Compile the part of a network between symbolic tensors, for any number of images."""
    part = keras.Model(feeds, ends)
    signature = [tf.TensorSpec((None, *feed.shape[1:]), feed.dtype) for feed in feeds]
    compiled: Compiled = tf.function(
        lambda *batch: keras.tree.flatten(part(list(batch), training=False)), autograph=False
    ).get_concrete_function(*signature)
    return compiled


def to_maps(value: Any) -> Floats:
    """Return the one image's maps of a batch of one, float32 (height, width, channels).

    It is the tensor's own memory, not a copy: read it, do not write to it.
    """
    return np.asarray(memoryview(value))[0]


# Every layer in numbers for one image, in one compiled pass that keeps no maps.


class StatisticsPass:
    """Measures all spatial layers of a network at once; compiled at the first image."""

    def __init__(self, graph: Graph) -> None:
        self._names = graph.spatial
        self._graph = graph
        self._compiled: Callable[[Any], Any] | None = None

    def numbers(self, batch: Floats) -> tuple[LayerStatistics, ...]:
        """Return each spatial layer's numbers for one image (1, size, size, 3)."""
        if self._compiled is None:
            self._compiled = _compile(self._graph)
        rows = self._compiled(batch).numpy()
        return tuple(
            LayerStatistics(name, *map(float, row))
            for name, row in zip(self._names, rows, strict=True)
        )


def _compile(graph: Graph) -> Callable[[Any], Any]:
    names = graph.spatial
    every = keras.Model(graph.input, [graph.outputs[name] for name in names])

    def measure(batch: Any) -> Any:
        return tf.stack([_row(maps) for maps in every(batch, training=False)])

    signature = tf.TensorSpec((1, *graph.input.shape[1:]), tf.float32)
    return tf.function(measure, autograph=False).get_concrete_function(signature)


def _row(maps: Any) -> Any:
    """Return (zeros, dead, mean, spread) of maps (1, height, width, channels)."""
    maps = tf.cast(maps, tf.float32)
    zero = tf.cast(tf.equal(maps, 0), tf.float32)
    mean = tf.reduce_mean(maps)
    spread = tf.sqrt(tf.reduce_mean(tf.square(maps - mean)))
    dead = tf.reduce_mean(tf.reduce_min(zero, axis=(0, 1, 2)))
    return tf.stack([tf.reduce_mean(zero), dead, mean, spread])


_WALKS: WeakKeyDictionary[LoadedModel, LayerOutputs] = (
    WeakKeyDictionary()
)  # as long as a network is kept
_DEPTHS: WeakKeyDictionary[LoadedModel, StatisticsPass] = WeakKeyDictionary()


def layer_outputs_of(network: LoadedModel) -> LayerOutputs:
    """Return the one ``LayerOutputs`` of a network: its compiled parts are kept with it."""
    if network not in _WALKS:
        _WALKS[network] = LayerOutputs(network.graph)
    return _WALKS[network]


def statistics_pass_of(network: LoadedModel) -> StatisticsPass:
    """Return the one ``StatisticsPass`` of a network."""
    if network not in _DEPTHS:
        _DEPTHS[network] = StatisticsPass(network.graph)
    return _DEPTHS[network]


def compute_activations(
    network: LoadedModel,
    layer: str,
    batch: Callable[[], Floats],
    image: Hashable,
    kept: ActivationCache,
) -> Any:
    """Return a spatial layer's output for a batch, computed from what is kept. See LayerOutputs.

    Raises:
        UnknownName: no such layer, or its output is no stack of maps.
    """
    network.graph.check_spatial(layer)
    return layer_outputs_of(network).to(layer, batch, image, kept)
