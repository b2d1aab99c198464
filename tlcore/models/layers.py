"""What feeds what in an opened network: its tensors in the order in which they can be computed.

Keras keeps the wiring on the symbolic tensors themselves and offers no public way to it; this is
the one module of the feature maps that reads it there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from tlcore.errors import UnknownName
from tlcore.models.predictions import Layer, Summary

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


# Every layer of a network by name, however deep it is nested.


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

    def to_ends(self, name: str) -> keras.Model:
        """Return the network that ends at that layer and at its own end. Raises as to_spatial."""
        self.check_spatial(name)
        return keras.Model(self.input, [self.outputs[name], list(self.outputs.values())[-1]])

    def check_spatial(self, name: str) -> None:
        """Raise UnknownName unless there is such a layer and its output is a stack of maps."""
        if name not in self.spatial:
            raise UnknownName.of("layer with a spatial output", name, self.spatial)


ENDS = (
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.Flatten,
)


def bottleneck_layer(opened: Graph) -> str:
    """Return the layer whose maps a head, or ImageNet's top, begins with.

    It is the one before the last global pooling or flattening (a squeeze-and-excitation block
    pools too, but earlier); of a network that ends in maps, its last.
    """
    names = list(opened.outputs)
    ends = [place for place, name in enumerate(names) if isinstance(opened.layers[name], ENDS)]
    spatial = set(opened.spatial)
    if not ends or names[-1] in spatial:
        return [name for name in names if name in spatial][-1]
    return [name for name in names[: ends[-1]] if name in spatial][-1]


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


# Which block each layer of a network belongs to: the layers of one block stand together.
#
# Most networks of Keras name their blocks in their layers' names, each family in its own way,
# which is the table below. InceptionV3 names only where its modules end. A layer that Keras
# itself has named ("add_3") belongs to the block it stands in.


# A layer's name → its block: the part in brackets, or what stands beside. The first that fits.
_NAMES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
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
        (r"(stage_\d+_block_\d+|downsampling_block_\d+)", r"\1"),  # ConvNeXt
        (r"(?:^|_)(?:pre)?stem(?:_|$)", "stem"),  # ConvNeXt, EfficientNet
        (r"^(block\d+[a-z]?)_", r"\1"),  # EfficientNet, VGG, Xception
        (r"^(conv\d+_block\d+)_", r"\1"),  # ResNet, DenseNet
        (r"^((?:conv|pool)\d+)(?:_|$)", r"\1"),
        (r"^(?:(?:post_)?(?:bn|relu)|layer_normalization(?:_\d+)?)$", "end"),
    )
)
_MODULE = re.compile(r"^mixed\d+$")  # InceptionV3: the tensor in which a module ends


def blocks(graph: Graph, wiring: Wiring) -> dict[str, str]:
    """Return the block of each layer of an opened network."""
    modules = _modules(graph, wiring)
    named = {name: modules.get(wiring.place[name], "") or _named(name) for name in graph.outputs}
    dense = {block for block in named.values() if _last(named, f"{block}_concat")}
    found: dict[str, str] = {}
    block = ""
    for name, own in named.items():
        if own in dense:  # of DenseNet's 58 small blocks each dense block is one
            own = own.partition("_")[0]
        block = own or ("" if block == "input" else block)
        found[name] = block or _first(named, name)
    return found


def _named(path: str) -> str:
    """Return the block that a layer's name speaks of, or the nested model's that it is in, or ""
    where Keras itself has named it."""
    outer, _, name = path.rpartition("/")
    for pattern, block in _NAMES:
        if match := pattern.search(name):
            return match.expand(block)
    return (_named(outer) or outer.rpartition("/")[2]) if outer else ""


def _first(named: dict[str, str], name: str) -> str:
    """Return the block that begins with a layer which stands before all blocks."""
    behind = list(named.values())[list(named).index(name) :]
    block = next((block for block in behind if block), "")
    return "stem" if not block or _MODULE.match(block) else block


def _last(named: dict[str, str], end: str) -> bool:
    return any(name.rpartition("/")[2] == end for name in named)


def _modules(graph: Graph, wiring: Wiring) -> dict[int, str]:
    """Return the module of each place that lies in one: behind the fork, up to the join."""
    found: dict[int, str] = {}
    for path in graph.outputs:
        name = path.rpartition("/")[2]
        if _MODULE.match(name):
            end = wiring.place[path]
            ways = [set(wiring.below(parent)) for parent in wiring.parents[end]]
            fork = max(set.intersection(*ways))
            found |= {place: name for place in wiring.below(end) if place > fork}
    return found
