"""A network's layers as a list to walk through: every one, by block, with what it sees."""

from __future__ import annotations

from dataclasses import replace

from tlcore.models.layers import Graph, row_of
from tlcore.models.maps.blocks import blocks
from tlcore.models.maps.field import receptive_fields
from tlcore.models.maps.values import Place
from tlcore.models.maps.wiring import Wiring


def places(graph: Graph, wiring: Wiring) -> tuple[Place, ...]:
    """Return every layer of an opened network, first to last."""
    spatial = set(graph.spatial)
    fields = receptive_fields(wiring)
    block = blocks(graph, wiring)
    feeds = _connections(graph, wiring)
    found = []
    for name, tensor in graph.outputs.items():
        field = fields[wiring.place[name]]
        sees = (field.height, field.width) if name in spatial else (0.0, 0.0)
        row = row_of(name, graph.layers[name], tuple(tensor.shape[1:]))
        found.append(Place(replace(row, connected_to=feeds[name]), block[name], sees))
    return tuple(found)


def _connections(graph: Graph, wiring: Wiring) -> dict[str, tuple[str, ...]]:
    """Return the names of what feeds each layer, as they stand in the list.

    Keras' own record of a nested model's calls is of its first building: it knows no outer names,
    and each first inner layer hangs on an input that is not in the list.
    """
    names: dict[int, str] = {}
    for name in graph.outputs:  # a nested model comes behind its last layer, and names its output
        names[wiring.place[name]] = name
    return {name: _feeds(name, graph, wiring, names) for name in graph.outputs}


def _feeds(name: str, graph: Graph, wiring: Wiring, names: dict[int, str]) -> tuple[str, ...]:
    inside = [inner for inner in graph.outputs if inner.startswith(f"{name}/")]
    parents = [
        names[parent]
        for part in inside or [name]
        for parent in wiring.parents[wiring.place[part]]
        if parent in names and names[parent] not in inside
    ]
    return tuple(dict.fromkeys(parents)) if inside else tuple(parents)
