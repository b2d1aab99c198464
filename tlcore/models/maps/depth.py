"""Every layer in numbers for one picture, in one compiled pass that keeps no maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tlcore.models.answers import Floats
from tlcore.models.layers import Graph
from tlcore.models.maps.values import LayerNumbers


class Depth:
    """Measures all spatial layers of a network at once; compiled at the first picture."""

    def __init__(self, graph: Graph) -> None:
        self._names = graph.spatial
        self._graph = graph
        self._compiled: Callable[[Any], Any] | None = None

    def numbers(self, batch: Floats) -> tuple[LayerNumbers, ...]:
        """Return each spatial layer's numbers for one picture (1, size, size, 3)."""
        if self._compiled is None:
            self._compiled = _compile(self._graph)
        rows = self._compiled(batch).numpy()
        return tuple(
            LayerNumbers(name, *map(float, row))
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
