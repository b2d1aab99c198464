"""A network's layers as a list to walk through: every one, by block, with what it sees."""

from __future__ import annotations

import re

from tlcore.networks.layers import Graph, row_of
from tlcore.networks.maps.field import receptive_fields
from tlcore.networks.maps.values import Place
from tlcore.networks.maps.wiring import Wiring

# Up to the first number: "block_5" of "block_5_project_BN", "conv2" of "conv2_block1_1_conv".
_BLOCK = re.compile(r"^(.*?\d+[a-z]?)(?:_|$)")


def places(graph: Graph, wiring: Wiring) -> tuple[Place, ...]:
    """Return every layer of an opened network, first to last."""
    spatial = set(graph.spatial)
    fields = receptive_fields(wiring)
    found = []
    block = "input"
    for name, tensor in graph.outputs.items():
        block = _block(name, type(graph.layers[name]).__name__) or block
        sees = fields[wiring.place[name]].width if name in spatial else 0.0
        row = row_of(name, graph.layers[name], tuple(tensor.shape[1:]))
        found.append(Place(row, block, sees))
    return tuple(found)


def _block(name: str, kind: str) -> str:
    """Return the block that a layer's name speaks of, or "" where Keras itself has named it."""
    outer, slash, _ = name.partition("/")
    if slash:
        return outer
    match = _BLOCK.match(name.removeprefix("bn_"))  # of MobileNetV2's first convolution
    numbered = match[1].rstrip("0123456789").rstrip("_") if match else name
    own = numbered.replace("_", "").lower() != kind.lower()
    return match[1] if match and own else ""
