"""Which pixels of the input one value of a layer can see: its receptive field.

Computed from kernels, strides, paddings and dilations along every path, the widest path counting,
as in Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks",
Distill 2019, https://distill.pub/2019/computing-receptive-fields/. A layer that averages a whole
map (the squeeze of a squeeze-and-excite block) sees everything, and so does all behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tlcore.models.summary import MAPS


@dataclass(frozen=True)
class ReceptiveField:
    """What value (0, 0) of a map sees of the model's input, in pixels; ±inf: everything."""

    top: float  # first row; below 0 in the padding
    bottom: float  # last row
    left: float
    right: float
    step_down: float  # from one value to the next
    step_across: float

    @property
    def height(self) -> float:
        return self.bottom - self.top + 1

    @property
    def width(self) -> float:
        return self.right - self.left + 1

    @property
    def whole(self) -> bool:
        """Whether each value sees all of the input."""
        return math.isinf(self.height) or math.isinf(self.width)


@dataclass(frozen=True)
class _Axis:
    """What value 0 of a layer sees along one axis of the input, and the step to value 1."""

    low: float = 0.0  # first pixel; below 0 in the padding, −inf where all is seen
    high: float = 0.0  # last pixel
    step: float = 1.0  # pixels from one value to the next

    def widen(self, first: int, last: int, stride: int = 1) -> _Axis:
        """Value i of the next layer reads values i·stride + first to i·stride + last of this."""
        low, high = self.low + first * self.step, self.high + last * self.step
        return _Axis(low, high, self.step * stride)


_EVERYTHING = _Axis(-math.inf, math.inf)
_Rule = Callable[[Any, _Axis, int, int], _Axis]  # layer, its input's axis, which, input's length


def compute_receptive_fields(
    layers: Mapping[str, Any], inputs: Mapping[str, tuple[str, ...]]
) -> dict[str, ReceptiveField]:
    """Return what one value of each layer sees.

    Args:
        layers: of a flat model in the order of computation, the input first.
        inputs: the names of the layers that feed each one.
    """
    axes: dict[str, tuple[_Axis, _Axis]] = {}
    for name, layer in layers.items():
        feeds = inputs[name]
        if not axes:
            axes[name] = _Axis(), _Axis()
        elif not feeds:  # a second input: unknown
            axes[name] = _EVERYTHING, _EVERYTHING
        else:
            shapes = [tuple(layers[feed].output.shape) for feed in feeds]
            down, across = (
                _apply(layer, [axes[feed][which] for feed in feeds], shapes, which)
                for which in (0, 1)
            )
            axes[name] = down, across
    return {
        name: ReceptiveField(
            down.low, down.high, across.low, across.high, down.step, across.step
        )
        for name, (down, across) in axes.items()
    }  # fmt: skip


def _apply(
    layer: Any, axes: Sequence[_Axis], shapes: Sequence[tuple[int, ...]], which: int
) -> _Axis:
    """Return what a layer sees along an axis through all its inputs together.

    An input that is a single value for all places has no step.
    """
    rule = _RULES.get(type(layer).__name__, _all)
    seen = [
        rule(layer, axis, which, shape[1 + which]) if len(shape) == MAPS else _EVERYTHING
        for axis, shape in zip(axes, shapes, strict=True)
    ]
    steps = [axis.step for axis in seen if math.isfinite(axis.low)]
    return _Axis(
        min(axis.low for axis in seen),
        max(axis.high for axis in seen),
        max(steps, default=seen[0].step),
    )


def _same(layer: Any, axis: _Axis, _: int, __: int) -> _Axis:
    return axis


def _all(layer: Any, axis: _Axis, _: int, __: int) -> _Axis:
    return _EVERYTHING


def _window(layer: Any, axis: _Axis, which: int, length: int) -> _Axis:
    """The window of a convolution or of a pooling."""
    size = layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size
    dilation = getattr(layer, "dilation_rate", (1, 1))
    reach, stride = (size[which] - 1) * dilation[which], layer.strides[which]
    before = 0
    if layer.padding == "same":  # TensorFlow pads the larger half behind
        steps = -(-length // stride)
        before = max((steps - 1) * stride + reach + 1 - length, 0) // 2
    return axis.widen(-before, reach - before, stride)


def _pad(layer: Any, axis: _Axis, which: int, _: int) -> _Axis:
    before = layer.padding[which][0]
    return axis.widen(-before, -before)


def _crop(layer: Any, axis: _Axis, which: int, _: int) -> _Axis:
    before = layer.cropping[which][0]
    return axis.widen(before, before)


def _norm(layer: Any, axis: _Axis, _: int, __: int) -> _Axis:
    """Over the channels it sees what it is given; over a map it sees the map."""
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    return axis if all(number in (-1, 3) for number in axes) else _EVERYTHING


_POINTWISE = (
    "InputLayer", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Rescaling",
    "Normalization", "BatchNormalization", "Dropout", "SpatialDropout2D", "GaussianNoise",
    "Add", "Subtract", "Multiply", "Average", "Maximum", "Concatenate", "Dense", "LayerScale",
    "StochasticDepth", "Identity",
)  # fmt: skip
_WINDOWS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D")
_RULES: Mapping[str, _Rule] = MappingProxyType(
    dict.fromkeys(_POINTWISE, _same)
    | dict.fromkeys(_WINDOWS, _window)
    | {"ZeroPadding2D": _pad, "Cropping2D": _crop, "LayerNormalization": _norm}
)


def receptive_box(
    field: ReceptiveField, row: int, column: int, size: int
) -> tuple[int, int, int, int]:
    """Return the input pixels that value (row, column) of a map sees: left, top, right, bottom.

    Right and bottom are the first pixels outside; what lies in the padding is cut off.

    Args:
        size: side of the model's input, pixels.
    """
    down, across = row * field.step_down, column * field.step_across
    edges = (
        field.left + across,
        field.top + down,
        field.right + across + 1,
        field.bottom + down + 1,
    )
    left, top, right, bottom = (round(min(max(edge, 0.0), float(size))) for edge in edges)
    return left, top, right, bottom
