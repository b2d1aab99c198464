"""The output of any layer for an image, computed from what the cache holds already.

A model is divided into segments at layers through which everything behind them passes. A segment
is compiled in two ways: one computes only its end, on the way to later segments; the other
computes all its layers, when one of them is wanted. So the next layer is most often in the cache,
an image jumped into costs about a forward pass, and a value does not depend on the order in which
layers were looked at. TensorFlow fuses convolution and normalisation: values equal plain Keras to
about one part in a million.
"""

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

from tlcore.activations.layers import LayerGraph, read_graph
from tlcore.models.build import list_cuts
from tlcore.models.loaded_model import LoadedModel
from tlcore.models.predictions import Floats

FLOAT = 4  # bytes
SEGMENT_BYTES = 8 * 2**20  # a segment ends at the first cut behind so many bytes of activations …
SEGMENT_LAYERS = 24  # … or so many layers


class ActivationCache:
    """Tensors by key, up to a number of bytes; the least recently used goes first.

    A tensor larger than the whole bound is not kept at all.
    """

    def __init__(self, bytes_: int) -> None:
        self.bound = bytes_
        self.bytes = 0
        self._dropped = 0  # bytes since memory was given back
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> Any | None:
        """Return the value of a key, now the latest used, or None."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value that has ``shape`` and four bytes a number."""
        size = FLOAT * math.prod(value.shape)
        if key in self._values or size > self.bound:
            return
        while self.bytes + size > self.bound:
            oldest = FLOAT * math.prod(self._values.popitem(last=False)[1].shape)
            self.bytes -= oldest
            self._dropped += oldest
        if self._dropped > self.bound // 4:
            self._dropped = 0
            release_memory()
        self._values[key] = value
        self.bytes += size


def release_memory() -> None:
    """Hand free memory back to the system, where the C library can (glibc does).

    Tensors of all sizes that come and go leave holes between those that stay, and glibc keeps
    the holes: 150 MB after 350 layers at 256 MB of maps.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class LayerOutputs:
    """Computes the outputs of a model's layers. Read-only on the model."""

    def __init__(self, model: keras.Model) -> None:
        self.graph: LayerGraph = read_graph(model)
        self.segments = _divide(model)
        self._compiled = lru_cache(maxsize=None)(self._compile)

    def compute(
        self, layer: str, batch: Callable[[], Floats], image: Hashable, cache: ActivationCache
    ) -> Any:
        """Return a layer's output for one image, a tensor float32 (1, …).

        Args:
            layer: a name in ``graph.layers``.
            batch: returns the input, float32 (1, size, size, 3), where it is needed.
            image: identifies the input; results are cached under it.
            cache: where results are kept.
        """
        value = cache.get((image, layer))
        if value is not None:
            return value
        number = next(n for n, segment in enumerate(self.segments) if layer in segment)
        start = self._segment_input(number, batch, image, cache)
        if number == 0 and layer == self.segments[0][0]:
            return start
        names = self.segments[number]
        values = dict(zip(names[1:], self._compiled(names[0], names[1:])(start), strict=True))
        for name, value in values.items():
            cache.put((image, name), value)
        return values[layer]

    def compute_batch(self, layer: str, batch: Floats) -> Any:
        """Return a layer's output for many images at once, without a cache."""
        return self._compiled(self.segments[0][0], (layer,))(tf.constant(batch))[0]

    def _segment_input(
        self, number: int, batch: Callable[[], Floats], image: Hashable, cache: ActivationCache
    ) -> Any:
        """Return the tensor that a segment starts with, by way of the segments before it."""
        key = (image, "input of segment", number)
        value = cache.get(key)
        if value is None and number == 0:
            value = tf.constant(batch())
        elif value is None:
            before = self._segment_input(number - 1, batch, image, cache)
            first, end = self.segments[number - 1][0], self.segments[number][0]
            value = self._compiled(first, (end,))(before)[0]
        cache.put(key, value)
        return value

    def _compile(self, start: str, ends: tuple[str, ...]) -> Callable[[Any], Sequence[Any]]:
        """Compile the part of the model from one layer's output to others', for any batch size."""
        feed = self.graph.layers[start].output
        part = keras.Model(feed, [self.graph.layers[end].output for end in ends])
        signature = tf.TensorSpec((None, *feed.shape[1:]), feed.dtype)
        compiled: Callable[[Any], Sequence[Any]] = tf.function(
            lambda batch: keras.tree.flatten(part(batch, training=False)), autograph=False
        ).get_concrete_function(signature)
        return compiled


def _divide(model: keras.Model) -> tuple[tuple[str, ...], ...]:
    """Return the layers of each segment; its first one is the end of the segment before.

    The division depends on nothing behind a layer, so that a backbone is divided, and its layers
    are computed, in the same way under any head.
    """
    cuts = set(list_cuts(model))
    segments, names, size = [], [model.operations[0].name], 0
    for operation in model.operations[1:]:
        names.append(operation.name)
        size += FLOAT * math.prod(operation.output.shape[1:])
        full = size >= SEGMENT_BYTES or len(names) > SEGMENT_LAYERS
        if full and operation.name in cuts:
            segments.append(tuple(names))
            names, size = [operation.name], 0
    return (*segments, tuple(names))


_OUTPUTS: WeakKeyDictionary[LoadedModel, LayerOutputs] = WeakKeyDictionary()


def get_layer_outputs(loaded: LoadedModel) -> LayerOutputs:
    """Return the one ``LayerOutputs`` of a loaded model: what it has compiled lives as long."""
    if loaded not in _OUTPUTS:
        _OUTPUTS[loaded] = LayerOutputs(loaded.model)
    return _OUTPUTS[loaded]


def to_array(value: Any) -> Floats:
    """Return a tensor as an array that shares its memory: read it, do not write to it."""
    return np.asarray(memoryview(value))
