"""A model's layers, shapes and parameters, and the shapes from image to prediction, as values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MAPS = 4  # axes of a batch of feature maps: n, height, width, channels
POOLING_LAYERS = ("GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten")


@dataclass(frozen=True)
class Layer:
    """One layer of a model, as ``summary`` lists it."""

    name: str
    type: str
    output_shape: tuple[int | None, ...]  # without the batch axis
    parameters: int
    connected_to: tuple[str, ...]  # names of the layers that feed it
    trainable: bool

    @property
    def spatial(self) -> bool:
        """Whether its output is a stack of maps: (height, width, channels)."""
        return len(self.output_shape) == MAPS - 1


@dataclass(frozen=True)
class Summary:
    """A model's layers and its parameters, counted once each."""

    layers: tuple[Layer, ...]
    total: int
    trainable: int
    non_trainable: int


@dataclass(frozen=True)
class Head:
    """A head as it would be, or is, on the bottleneck features."""

    pooling: str  # "avg", "max" or "flatten"
    pooled: tuple[int, ...]  # shape after pooling
    units: int  # of the dense layer: 1 for two classes
    parameters: int  # of pooling and dense layer together


@dataclass(frozen=True)
class ShapePath:
    """The shapes of one backbone at one size: image → preprocess → bottleneck → pooling → dense."""

    backbone: str
    input: tuple[int, ...]  # (height, width, 3)
    mode: str  # key of MODES: what preprocessing does
    body_layers: int  # with the input, as Keras' summary counts them
    body_parameters: int
    learned_parameters: int  # of the backbone, that a run has fine-tuned; 0 where all is frozen
    learned_from: str  # the first layer that was fine-tuned; "" where all is frozen
    bottleneck: tuple[int, ...]  # (height, width, channels)
    bottleneck_layer: str
    heads: tuple[Head, ...]  # for the same classes, one a pooling
    pooling: str  # of the run's head; "" without a run
    top: tuple[Layer, ...]  # what include_top=True puts in the place of the head
    top_parameters: int


def summarize(model: Any) -> Summary:
    """Return the layers and parameters of a Keras model, as its own ``summary()`` has them."""
    layers = tuple(describe_layer(layer) for layer in model.layers)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    total = model.count_params()
    return Summary(layers, total, trainable, total - trainable)


def summary_text(model: Any) -> str:
    """Return what Keras' own ``summary()`` prints."""
    lines: list[str] = []
    model.summary(line_length=100, print_fn=lines.append)
    return "\n".join(lines)


def describe_layer(layer: Any) -> Layer:
    """Return one row of the summary; ``layer`` may be a bare operation, which has no weights."""
    return Layer(
        name=layer.name,
        type=type(layer).__name__,
        output_shape=tuple(layer.output.shape[1:]),
        parameters=layer.count_params() if hasattr(layer, "count_params") else 0,
        connected_to=input_layers(layer),
        trainable=getattr(layer, "trainable", False),
    )


def input_layers(layer: Any) -> tuple[str, ...]:
    """Return the names of the layers and operations that feed a layer of a flat model.

    Keras offers no public way to them; its own summary reads the same attribute.
    """
    return tuple(node.operation.name for node in layer._inbound_nodes[0].parent_nodes)


def is_spatial(layer: Any) -> bool:
    """Whether a layer's output is a stack of maps, (n, height, width, channels)."""
    return len(layer.output.shape) == MAPS


def count_parameters(layers: Iterable[Any]) -> int:
    """Return the parameters of layers and bare operations, each variable counted once."""
    weights = {id(weight): weight for layer in layers for weight in getattr(layer, "weights", ())}
    return sum(math.prod(weight.shape) for weight in weights.values())


def find_bottleneck_layer(model: Any) -> str:
    """Return the last layer before pooling whose output is spatial: the default of Grad-CAM.

    It is the one before the last global pooling or flattening (a squeeze-and-excitation block
    pools too, but earlier). Of a model that ends in feature maps, it is the last layer.
    """
    operations = model.operations
    ends = [i for i, each in enumerate(operations) if type(each).__name__ in POOLING_LAYERS]
    if ends and not is_spatial(operations[-1]):
        operations = operations[: ends[-1]]
    name: str = [operation.name for operation in operations if is_spatial(operation)][-1]
    return name
