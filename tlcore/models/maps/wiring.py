"""What feeds what in an opened network: its tensors in the order in which they can be computed.

Keras keeps the wiring on the symbolic tensors themselves and offers no public way to it; this is
the one module of the feature maps that reads it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlcore.models.layers import Graph, Tensor

FIRST, SPAN = 5, 28  # tensors between two cuts of a walk, at least: at the first, at most asked


@dataclass(frozen=True, eq=False)
class Wiring:
    """The tensors of a network by place: 0 is the input, parents come before children."""

    tensors: tuple[Tensor, ...]
    parents: tuple[tuple[int, ...], ...]  # of each tensor, places
    makers: tuple[Any, ...]  # of each tensor, the layer or operation that makes it
    place: Mapping[str, int]  # of each layer's output; a nested model shares its last layer's
    starts: tuple[int, ...]  # of each tensor, the place of the cut before it: all it needs

    def below(self, place: int) -> list[int]:
        """Return the places of everything that feeds a tensor, itself last."""
        wanted, found = [place], {place}
        while wanted:
            for parent in self.parents[wanted.pop()]:
                if parent not in found:
                    found.add(parent)
                    wanted.append(parent)
        return sorted(found)


def wire(graph: Graph) -> Wiring:
    """Read the wiring of an opened network."""
    tensors = _in_order(graph)
    index = {id(tensor): place for place, tensor in enumerate(tensors)}
    parents = tuple(tuple(index[id(parent)] for parent in _feeds(tensor)) for tensor in tensors)
    return Wiring(
        tensors=tuple(tensors),
        parents=parents,
        makers=tuple(tensor._keras_history.operation for tensor in tensors),
        place={name: index[id(tensor)] for name, tensor in graph.outputs.items()},
        starts=_starts(parents),
    )


def _in_order(graph: Graph) -> list[Tensor]:
    found: list[Tensor] = [graph.input]
    seen = {id(graph.input)}
    for output in graph.outputs.values():
        waiting = [output]
        while waiting:
            tensor = waiting[-1]
            open_ = [feed for feed in _feeds(tensor) if id(feed) not in seen]
            if open_ and id(tensor) not in seen:
                waiting += reversed(open_)
                continue
            waiting.pop()
            if id(tensor) not in seen:
                seen.add(id(tensor))
                found.append(tensor)
    return found


def _feeds(tensor: Tensor) -> Sequence[Tensor]:
    made = tensor._keras_history
    return made.operation._inbound_nodes[made.node_index].input_tensors


def _starts(parents: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return for each tensor the last cut before it, cuts ``FIRST`` to ``SPAN`` tensors apart.

    A cut is a tensor through which all behind it must pass: inside a residual block the shortcut
    would be lost. The cuts depend on nothing behind them, so that a network with another head is
    cut, and computed, in the very same way. They lie close at first, where maps are large and a
    way from the cut before costs most, and further apart behind, where each costs a call.
    """
    last_use = list(range(len(parents)))
    for place, feeds in enumerate(parents):
        for feed in feeds:
            last_use[feed] = max(last_use[feed], place)
    starts, cut, reach = [0], 0, last_use[0]
    for place in range(1, len(parents)):
        starts.append(cut)
        if reach <= place and place - cut >= min(SPAN, FIRST + cut):
            cut = place
        reach = max(reach, last_use[place])
    return tuple(starts)
