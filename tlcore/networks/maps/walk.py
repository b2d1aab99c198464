"""One walk through a network: a layer costs what lies between it and what is known already.

The network is cut where all of it passes through one tensor. Whole pieces between cuts are
compiled once each and give their end only; so is the way from a cut to a layer that is jumped to.
Where what feeds a layer is known, the layer is compiled by itself and costs itself and nothing
else. No trace is ever repeated: each is made at its first need and kept with the network. A value
does not depend on the order of the looks: a test holds jump and walk equal to the bit. (Eager
execution would need no trace at all, but takes several times as long at every look.)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcore.networks.answers import Floats
from tlcore.networks.layers import Graph
from tlcore.networks.maps.kept import Kept
from tlcore.networks.maps.wiring import Wiring, wire

Compiled = Callable[..., Any]  # tensors (n, …) of the feeds → the end's
Make = Callable[[list[Any], Any], Compiled]


class Walk:
    """A network that can be asked for the output of any of its layers. Read-only on the model."""

    def __init__(self, graph: Graph, make: Make | None = None) -> None:
        """Walk through ``graph``; ``make`` computes an end from its feeds, compiled by default."""
        self.graph = graph
        self._make = make or compile_part
        self.wiring: Wiring = wire(graph)
        self._pieces: dict[tuple[tuple[int, ...], int], Compiled] = {}

    def to(self, layer: str, batch: Callable[[], Floats], picture: Hashable, kept: Kept) -> Any:
        """Return a layer's output, a tensor float32 (n, …).

        Args:
            layer: a name in ``graph.outputs``.
            batch: makes the input, float32 (n, size, size, 3), where it is needed.
            picture: tells what that input is; results are kept under it.
            kept: where they are kept.
        """
        local: dict[int, Any] = {}

        def known(place: int) -> Any:
            value = local.get(place)
            return value if value is not None else kept.get((picture, place))

        def keep(place: int, value: Any) -> Any:
            local[place] = value
            kept.put((picture, place), value)
            return value

        def need(place: int) -> Any:
            value = known(place)
            if value is not None:
                return value
            if place == 0:
                return keep(0, tf.constant(batch()))
            feeds = self.wiring.parents[place]
            if any(known(feed) is None for feed in feeds):
                feeds = (self.wiring.starts[place],)
            return keep(place, self._piece(feeds, place)(*[need(feed) for feed in feeds]))

        return need(self.wiring.place[layer])

    def _piece(self, feeds: tuple[int, ...], end: int) -> Compiled:
        """Return what computes one tensor from others, compiled at the first call."""
        if (feeds, end) not in self._pieces:
            self._pieces[feeds, end] = self._make(
                [self.wiring.tensors[feed] for feed in feeds], self.wiring.tensors[end]
            )
        return self._pieces[feeds, end]


def compile_part(feeds: list[Any], end: Any) -> Compiled:
    """Compile the part of a network between symbolic tensors, for any number of pictures."""
    part = keras.Model(feeds, end)
    signature = [tf.TensorSpec((None, *feed.shape[1:]), feed.dtype) for feed in feeds]
    compiled: Compiled = tf.function(
        lambda *batch: part(list(batch) if len(batch) > 1 else batch[0], training=False),
        autograph=False,
    ).get_concrete_function(*signature)
    return compiled


def maps_of(value: Any) -> Floats:
    """Return the one picture's maps of a batch of one, float32 (height, width, channels).

    It is the tensor's own memory, not a copy: read it, do not write to it.
    """
    return np.asarray(memoryview(value))[0]
