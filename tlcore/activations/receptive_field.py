"""Which pixels of the input one value of a layer can see: its receptive field.

Computed from kernels, strides, paddings and dilations along every path, the widest path counting,
as in Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks",
Distill 2019, https://distill.pub/2019/computing-receptive-fields/. A layer that averages a whole
map (the squeeze of a squeeze-and-excite block) sees everything, and so does all behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tlcore.activations.values import LayerInfo, ReceptiveField
from tlcore.models.layers import Graph, Wiring, blocks, row_of

MAPS = 4  # axes of a batch of maps


@dataclass(frozen=True)
class Axis:
    """What value 0 of a layer sees along one axis of the input, and how far on value 1 looks."""

    low: float = 0.0  # first pixel; below 0 in the padding, −inf where all is seen
    high: float = 0.0  # last pixel
    step: float = 1.0  # pixels from one value to the next

    def widen(self, first: int, last: int, stride: int = 1) -> Axis:
        """Value i of the next layer reads values i·stride + first to i·stride + last of this."""
        return Axis(self.low + first * self.step, self.high + last * self.step, self.step * stride)


EVERYTHING = Axis(-math.inf, math.inf)
Rule = Callable[[Any, Axis, int, int], Axis]  # layer, what feeds it, axis, input values along it


def receptive_fields(wiring: Wiring) -> tuple[ReceptiveField, ...]:
    """Return what one value of each tensor of a network sees, by its place."""
    found: list[tuple[Axis, Axis]] = [(Axis(), Axis())]
    for place in range(1, len(wiring.tensors)):
        found.append(_follow(wiring, place, found))
    return tuple(
        ReceptiveField(
            top=down.low,
            bottom=down.high,
            left=across.low,
            right=across.high,
            step_down=down.step,
            step_across=across.step,
        )
        for down, across in found
    )


def _follow(wiring: Wiring, place: int, found: Sequence[tuple[Axis, Axis]]) -> tuple[Axis, Axis]:
    maker, feeds = wiring.makers[place], wiring.parents[place]
    if not feeds:  # a second input: unknown
        return EVERYTHING, EVERYTHING
    shapes = [tuple(wiring.tensors[feed].shape) for feed in feeds]
    rule = RULES.get(type(maker).__name__, _all)
    axes = []
    for axis in (0, 1):
        seen = []
        for feed, shape in zip(feeds, shapes, strict=True):
            many = len(shape) == MAPS
            seen.append(
                rule(maker, found[feed][axis], axis, shape[1 + axis]) if many else EVERYTHING
            )
        axes.append(_union(seen))
    return axes[0], axes[1]


def _union(seen: list[Axis]) -> Axis:
    """What several inputs see together. Where one is a single value for all, it has no step."""
    steps = [axis.step for axis in seen if math.isfinite(axis.low)]
    return Axis(
        min(axis.low for axis in seen),
        max(axis.high for axis in seen),
        max(steps, default=seen[0].step),
    )


def _same(layer: Any, axis: Axis, _: int, __: int) -> Axis:
    return axis


def _all(layer: Any, axis: Axis, _: int, __: int) -> Axis:
    return EVERYTHING


def _kernel(layer: Any, axis: Axis, which: int, length: int) -> Axis:
    return _window(layer, axis, which, length, layer.kernel_size, layer.dilation_rate)


def _pool(layer: Any, axis: Axis, which: int, length: int) -> Axis:
    return _window(layer, axis, which, length, layer.pool_size, (1, 1))


def _window(layer: Any, axis: Axis, which: int, length: int, size: Any, dilation: Any) -> Axis:
    reach = (size[which] - 1) * dilation[which] if isinstance(dilation, tuple) else size[which] - 1
    stride = layer.strides[which]
    before = 0
    if layer.padding == "same":  # TensorFlow pads the larger half behind
        steps = -(-length // stride)
        before = max((steps - 1) * stride + reach + 1 - length, 0) // 2
    return axis.widen(-before, reach - before, stride)


def _pad(layer: Any, axis: Axis, which: int, _: int) -> Axis:
    before = layer.padding[which][0]
    return axis.widen(-before, -before)


def _crop(layer: Any, axis: Axis, which: int, _: int) -> Axis:
    before = layer.cropping[which][0]
    return axis.widen(before, before)


def _norm(layer: Any, axis: Axis, _: int, __: int) -> Axis:
    """Over the channels it sees what it is given; over a map it sees the map."""
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    return axis if all(number in (-1, 3) for number in axes) else EVERYTHING


POINTWISE = (
    "InputLayer", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Rescaling",
    "Normalization", "BatchNormalization", "Dropout", "SpatialDropout2D", "GaussianNoise",
    "Add", "Subtract", "Multiply", "Average", "Maximum", "Concatenate", "Dense", "LayerScale",
    "StochasticDepth", "Identity",
)  # fmt: skip
RULES: Mapping[str, Rule] = MappingProxyType(
    dict.fromkeys(POINTWISE, _same)
    | dict.fromkeys(("Conv2D", "DepthwiseConv2D", "SeparableConv2D"), _kernel)
    | dict.fromkeys(("MaxPooling2D", "AveragePooling2D"), _pool)
    | {"ZeroPadding2D": _pad, "Cropping2D": _crop, "LayerNormalization": _norm}
)


def box_of(field: ReceptiveField, row: int, column: int, size: int) -> tuple[int, int, int, int]:
    """Return the input pixels that value (row, column) of a map sees: left, top, right, bottom.

    Right and bottom are the first pixels outside; what lies in the padding is cut off.
    """
    down, across = row * field.step_down, column * field.step_across
    return (
        _within(field.left + across, size),
        _within(field.top + down, size),
        _within(field.right + across + 1, size),
        _within(field.bottom + down + 1, size),
    )


def _within(at: float, size: int) -> int:
    return round(min(max(at, 0.0), float(size)))


# A network's layers as a list to walk through: every one, by block, with what it sees.


def list_layers(graph: Graph, wiring: Wiring) -> tuple[LayerInfo, ...]:
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
        found.append(LayerInfo(replace(row, connected_to=feeds[name]), block[name], sees))
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
