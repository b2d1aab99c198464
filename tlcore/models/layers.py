"""Every layer of a network by name, however deep it is nested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from tlcore.errors import UnknownName
from tlcore.models.answers import Layer, Summary

Tensor = Any  # keras.KerasTensor: symbolic, with a shape
MAPS = 4  # axes of a batch of feature maps: n, height, width, channels


@dataclass(frozen=True, eq=False)
class Graph:
    """A model's symbolic tensors with nested models opened up; the layers stay the model's own."""

    input: Tensor
    outputs: dict[str, Tensor]  # by layer name, "outer/inner" for a layer of a nested model
    layers: dict[str, keras.layers.Layer]

    def to(self, name: str) -> keras.Model:
        """Return the network that ends at that layer.

        Raises:
            UnknownName: no such layer.
        """
        if name not in self.outputs:
            raise UnknownName.of("layer", name, self.outputs)
        return keras.Model(self.input, self.outputs[name])

    @property
    def spatial(self) -> tuple[str, ...]:
        """The layers whose output is (height, width, channels), first to last."""
        return tuple(name for name, tensor in self.outputs.items() if len(tensor.shape) == MAPS)

    def to_spatial(self, name: str) -> keras.Model:
        """Return the network that ends at that layer, (n, …, 3) → (n, height, width, channels).

        Raises:
            UnknownName: no such layer, or its output is no stack of maps.
        """
        self.check_spatial(name)
        return self.to(name)

    def check_spatial(self, name: str) -> None:
        """Raise UnknownName unless there is such a layer and its output is a stack of maps."""
        if name not in self.spatial:
            raise UnknownName.of("layer with a spatial output", name, self.spatial)


def graph(model: keras.Model) -> Graph:
    """Open a model, flat or nested, up to a graph in which each inner layer can be reached.

    A layer inside a nested model has no tensor that hangs on the outer input, so the calls are
    made once more, symbolically, with the same layers (``keras.models.clone_model``).
    """
    if not any(_is_model(layer) for layer in model.layers):
        flat = {layer.name: layer.output for layer in model.layers}
        return Graph(model.input, flat, {layer.name: layer for layer in model.layers})
    found = Graph(keras.Input(model.input_shape[1:]), {}, {})
    if isinstance(
        model.layers[0], keras.layers.InputLayer
    ):  # as of a flat model; a replay has none
        name = model.layers[0].name
        found.outputs[name], found.layers[name] = found.input, model.layers[0]
    _replay(model, found.input, "", found)
    return found


def _replay(model: keras.Model, tensor: Tensor, prefix: str, found: Graph) -> Tensor:
    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        path = prefix + layer.name
        inside = _is_model(layer)
        output = _replay(layer, args[0], f"{path}/", found) if inside else layer(*args, **kwargs)
        found.outputs[path], found.layers[path] = output, layer
        return output

    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            tensor = call(layer, tensor)
        return tensor
    keras.models.clone_model(
        model, input_tensors=tensor, clone_function=lambda layer: layer, call_function=call
    )  # for the calls it makes; the model it returns stands on inputs of its own
    return found.outputs[prefix + model.output._keras_history.operation.name]


def _is_model(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.Model)


def summarize(model: keras.Model) -> Summary:
    """Return what ``model.summary()`` prints, as values. A nested model is one row, as there."""
    return Summary(
        layers=tuple(
            row_of(layer.name, layer, tuple(layer.output.shape[1:])) for layer in model.layers
        ),
        total=model.count_params(),
        trainable=_count(model.trainable_weights),
        non_trainable=_count(model.non_trainable_weights),
    )


def row_of(name: str, layer: keras.layers.Layer, shape: tuple[int | None, ...]) -> Layer:
    return Layer(
        name=name,
        type=type(layer).__name__,
        output_shape=shape,
        parameters=_parameters(layer),
        # Keras offers no public way to a layer's predecessors; its own summary reads the same.
        connected_to=tuple(node.operation.name for node in layer._inbound_nodes[0].parent_nodes),
        trainable=getattr(layer, "trainable", False),
    )


def _parameters(layer: keras.layers.Layer) -> int:
    """A bare operation (the + of a ConvNeXt block) stands among the layers and has none."""
    return layer.count_params() if hasattr(layer, "count_params") else 0


def _count(variables: list[Any]) -> int:
    return sum(int(variable.value.shape.num_elements()) for variable in variables)
