"""A model's layers as a list: what feeds each, its block, what it sees, its values in numbers.

The receptive field is computed from kernels, strides, paddings and dilations along every path, the
widest path counting, as in Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional
Neural Networks", Distill 2019, https://distill.pub/2019/computing-receptive-fields/. A layer that
averages a whole map (the squeeze of a squeeze-and-excite block) sees everything, and so does all
behind it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from tlcore.models.predictions import Floats
from tlcore.models.summary import MAPS, Layer, describe_layer, input_layers, is_spatial


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """The layers of a flat model in the order of computation, and what feeds each."""

    layers: Mapping[str, Any]  # Keras layers and bare operations, the input first
    inputs: Mapping[str, tuple[str, ...]]  # names of the layers that feed each one

    def ancestors(self, name: str) -> list[str]:
        """Return everything that feeds a layer, in order, itself last."""
        wanted, waiting = {name}, [name]
        while waiting:
            new = set(self.inputs[waiting.pop()]) - wanted
            wanted |= new
            waiting += new
        return [each for each in self.layers if each in wanted]


def read_graph(model: Any) -> LayerGraph:
    """Return the graph of a flat Keras model."""
    layers = {operation.name: operation for operation in model.operations}
    return LayerGraph(layers, {name: input_layers(layer) for name, layer in layers.items()})


@dataclass(frozen=True)
class LayerInfo:
    """One row of the list of layers."""

    layer: Layer
    block: str  # the layers of one block stand together
    receptive_field: tuple[float, float]  # height, width, pixels; inf: whole input; 0: no maps


def layer_kind(layer: Any) -> str:
    """Return a layer's Keras type, with what decides how it reads: "Conv2D 1×1", "ReLU6"."""
    name = type(layer).__name__
    if name == "Conv2D" and tuple(layer.kernel_size) == (1, 1):
        return "Conv2D 1×1"
    limit = getattr(layer, "max_value", None)
    return f"{name}{limit:g}" if limit is not None else name


def list_layers(graph: LayerGraph) -> tuple[LayerInfo, ...]:
    """Return every layer of a model, first to last."""
    fields, blocks = compute_receptive_fields(graph), _assign_blocks(graph)
    rows = []
    for name, layer in graph.layers.items():
        size = (fields[name].height, fields[name].width) if is_spatial(layer) else (0.0, 0.0)
        rows.append(LayerInfo(describe_layer(layer), blocks[name], size))
    return tuple(rows)


@dataclass(frozen=True)
class LayerStatistics:
    """One layer's values for one image in numbers."""

    name: str
    zeros: float  # share of values that are exactly 0: what a ReLU has cut off
    dead: float  # share of channels that are 0 everywhere
    mean: float
    spread: float  # standard deviation


def measure_layer(name: str, maps: Floats) -> LayerStatistics:
    """Return the statistics of one layer's maps (height, width, channels)."""
    zeros = maps == 0
    dead = float(zeros.all(axis=(0, 1)).mean())
    with np.errstate(over="ignore", invalid="ignore"):  # of huge values they may overflow
        mean, spread = float(maps.mean(dtype=np.float64)), float(maps.std(dtype=np.float64))
    return LayerStatistics(name, float(zeros.mean()), dead, mean, spread)


def have_same_weights(first: LayerGraph, second: LayerGraph, layer: str) -> bool:
    """Whether all that feeds a layer has bit-identical weights in both models."""
    ours, theirs = (
        [weight for name in graph.ancestors(layer)
         for weight in getattr(graph.layers[name], "weights", [])]
        for graph in (first, second)
    )  # fmt: skip
    return len(ours) == len(theirs) and all(
        np.array_equal(a.numpy(), b.numpy()) for a, b in zip(ours, theirs, strict=True)
    )


# A layer's name → its block: the group in brackets, or the text beside it. The first that fits.
# Each family of Keras' models names its blocks in its own way.
_BLOCKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), block)
    for pattern, block in (
        (r"^input", "input"),
        (r"^(?:pooling|dense_\d+|logits|probabilities)$", "head"),  # of a run
        (r"^(?:avg_pool|flatten|fc\d|predictions|conv_preds|global_\w+)$", "top"),  # of ImageNet
        (r"^top_", "top"),  # EfficientNet
        (r"^conv_(?:dw|pw|pad)_(\d+)", r"conv_\1"),  # MobileNet: both halves and their padding
        (r"^(?:Conv_1|out_relu)", "Conv_1"),  # MobileNetV2 …
        (r"^(?:bn_)?Conv1", "Conv1"),
        (r"^(expanded_conv|block_\d+)_", r"\1"),
        (r"(stage_\d+_block_\d+)", r"\1"),  # ConvNeXt …
        (r"downsampling_(?:layernorm|conv)_(\d+)", r"downsampling_block_\1"),
        (r"(?:^|_)(?:pre)?stem(?:_|$)", "stem"),  # ConvNeXt, EfficientNet
        (r"^(block\d+[a-z]?)_", r"\1"),  # EfficientNet, VGG, Xception
        (r"^(conv\d+_block\d+)_", r"\1"),  # ResNet, DenseNet
        (r"^((?:conv|pool)\d+)(?:_|$)", r"\1"),
        (r"^(?:(?:post_)?(?:bn|relu)|layer_normalization(?:_\d+)?)$", "end"),
    )
)
_MODULE = re.compile(r"^mixed\d+$")  # InceptionV3 names only the layer in which a module ends


def _assign_blocks(graph: LayerGraph) -> dict[str, str]:
    """Return the block of each layer, so that the layers of one block stand together.

    A layer that Keras itself has named ("add_3") belongs to the block before it; before all
    blocks, to the first one.
    """
    modules = _inception_modules(graph)
    named = {name: modules.get(name, "") or _block_in_name(name) for name in graph.layers}
    dense = {block for block in named.values() if f"{block}_concat" in named}
    stem = next((block for block in list(named.values())[1:] if block), "")
    block = first = "stem" if not stem or _MODULE.match(stem) else stem
    blocks: dict[str, str] = {}
    for name, own in named.items():
        if own in dense:  # DenseNet: its 58 small blocks count as the four dense blocks
            own = own.partition("_")[0]
        block = own or (first if block == "input" else block)
        blocks[name] = block
    return blocks


def _block_in_name(name: str) -> str:
    for pattern, block in _BLOCKS:
        if match := pattern.search(name):
            return match.expand(block)
    return ""


def _inception_modules(graph: LayerGraph) -> dict[str, str]:
    """Return the module of each layer that lies in one: behind the fork, up to the join."""
    places = {name: place for place, name in enumerate(graph.layers)}
    modules: dict[str, str] = {}
    for module in filter(_MODULE.match, graph.layers):
        branches = [set(graph.ancestors(feed)) for feed in graph.inputs[module]]
        fork = max(places[name] for name in set.intersection(*branches))
        modules |= {name: module for name in graph.ancestors(module) if places[name] > fork}
    return modules


@dataclass(frozen=True)
class Axis:
    """What value 0 of a layer sees along one axis of the input, and the step to value 1."""

    low: float = 0.0  # first pixel; below 0 in the padding, −inf where all is seen
    high: float = 0.0  # last pixel
    step: float = 1.0  # pixels from one value to the next

    def widen(self, first: int, last: int, stride: int = 1) -> Axis:
        """Value i of the next layer reads values i·stride + first to i·stride + last of this."""
        low, high = self.low + first * self.step, self.high + last * self.step
        return Axis(low, high, self.step * stride)

    def pixels(self, place: int, size: int) -> tuple[int, int]:
        """Return the first pixel that a value sees, and the first one behind, both 0…size."""
        edges = (self.low + place * self.step, self.high + place * self.step + 1)
        first, end = (round(min(max(edge, 0.0), float(size))) for edge in edges)
        return first, end


@dataclass(frozen=True)
class ReceptiveField:
    """What value (0, 0) of a map sees of the model's input, in pixels; ±inf: everything."""

    down: Axis
    across: Axis

    @property
    def height(self) -> float:
        return self.down.high - self.down.low + 1

    @property
    def width(self) -> float:
        return self.across.high - self.across.low + 1

    def box(self, row: int, column: int, size: int) -> tuple[int, int, int, int]:
        """Return the input pixels that value (row, column) sees: left, top, right, bottom.

        Right and bottom are the first pixels outside; what lies in the padding is cut off.

        Args:
            size: side of the model's input, pixels.
        """
        top, bottom = self.down.pixels(row, size)
        left, right = self.across.pixels(column, size)
        return left, top, right, bottom


_EVERYTHING = Axis(-math.inf, math.inf)
_Rule = Callable[[Any, Axis, int, int], Axis]  # layer, its input's axis, which, input's length


def compute_receptive_fields(graph: LayerGraph) -> dict[str, ReceptiveField]:
    """Return what one value of each layer of a model sees."""
    fields: dict[str, ReceptiveField] = {}
    for name, layer in graph.layers.items():
        feeds = graph.inputs[name]
        shapes = [tuple(graph.layers[feed].output.shape) for feed in feeds]
        if not fields:
            down = across = Axis()
        elif not feeds:  # a second input: unknown
            down = across = _EVERYTHING
        else:
            down = _look_through(layer, [fields[feed].down for feed in feeds], shapes, 0)
            across = _look_through(layer, [fields[feed].across for feed in feeds], shapes, 1)
        fields[name] = ReceptiveField(down, across)
    return fields


def _look_through(
    layer: Any, axes: Sequence[Axis], shapes: Sequence[tuple[int, ...]], which: int
) -> Axis:
    """Return what a layer sees along an axis through all its inputs together.

    An input that is a single value for all places has no step.
    """
    rule = _RULES.get(type(layer).__name__)
    seen = [
        rule(layer, axis, which, shape[1 + which]) if rule and len(shape) == MAPS else _EVERYTHING
        for axis, shape in zip(axes, shapes, strict=True)
    ]
    steps = [axis.step for axis in seen if math.isfinite(axis.low)]
    low, high = min(axis.low for axis in seen), max(axis.high for axis in seen)
    return Axis(low, high, max(steps, default=seen[0].step))


def _window(layer: Any, axis: Axis, which: int, length: int) -> Axis:
    """The window of a convolution or of a pooling."""
    size = layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size
    dilation = getattr(layer, "dilation_rate", (1, 1))
    reach, stride = (size[which] - 1) * dilation[which], layer.strides[which]
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
    return axis if all(number in (-1, 3) for number in axes) else _EVERYTHING


_POINTWISE = (
    "InputLayer", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Rescaling",
    "Normalization", "BatchNormalization", "Dropout", "SpatialDropout2D", "GaussianNoise",
    "Add", "Subtract", "Multiply", "Average", "Maximum", "Concatenate", "Dense", "LayerScale",
    "StochasticDepth", "Identity",
)  # fmt: skip
_WINDOWS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D")
_RULES: Mapping[str, _Rule] = MappingProxyType(
    dict.fromkeys(_POINTWISE, lambda layer, axis, which, length: axis)
    | dict.fromkeys(_WINDOWS, _window)
    | {"ZeroPadding2D": _pad, "Cropping2D": _crop, "LayerNormalization": _norm}
)
