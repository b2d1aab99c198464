"""A model's layers as a list: what feeds each, which block it is in, what it has learned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcore.activations.receptive_field import ReceptiveField, compute_receptive_fields
from tlcore.models.summary import Layer, describe_layer, input_layers, is_spatial


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


def list_layers(graph: LayerGraph) -> tuple[LayerInfo, ...]:
    """Return every layer of a model, first to last."""
    fields = compute_receptive_fields(graph.layers, graph.inputs)
    blocks = assign_blocks(graph)
    return tuple(
        LayerInfo(describe_layer(layer), blocks[name], _size(layer, fields[name]))
        for name, layer in graph.layers.items()
    )


def _size(layer: Any, field: ReceptiveField) -> tuple[float, float]:
    return (field.height, field.width) if is_spatial(layer) else (0.0, 0.0)


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


def assign_blocks(graph: LayerGraph) -> dict[str, str]:
    """Return the block of each layer, so that the layers of one block stand together.

    A layer that Keras itself has named ("add_3") belongs to the block before it.
    """
    modules = _inception_modules(graph)
    named = {name: modules.get(name, "") or _block_in_name(name) for name in graph.layers}
    dense = {block for block in named.values() if f"{block}_concat" in named}
    blocks: dict[str, str] = {}
    block = ""
    for name, own in named.items():
        if own in dense:  # DenseNet: its 58 small blocks count as the four dense blocks
            own = own.partition("_")[0]
        block = own or ("" if block == "input" else block)
        blocks[name] = block or _first_block(named, name)
    return blocks


def _block_in_name(name: str) -> str:
    for pattern, block in _BLOCKS:
        if match := pattern.search(name):
            return match.expand(block)
    return ""


def _first_block(named: Mapping[str, str], name: str) -> str:
    """Return the block of a layer that stands before all blocks."""
    behind = list(named.values())[list(named).index(name) :]
    block = next((block for block in behind if block), "")
    return "stem" if not block or _MODULE.match(block) else block


def _inception_modules(graph: LayerGraph) -> dict[str, str]:
    """Return the module of each layer that lies in one: behind the fork, up to the join."""
    places = {name: place for place, name in enumerate(graph.layers)}
    modules: dict[str, str] = {}
    for module in filter(_MODULE.match, graph.layers):
        branches = [set(graph.ancestors(feed)) for feed in graph.inputs[module]]
        fork = max(places[name] for name in set.intersection(*branches))
        modules |= {name: module for name in graph.ancestors(module) if places[name] > fork}
    return modules


def have_same_weights(first: LayerGraph, second: LayerGraph, layer: str) -> bool:
    """Whether all that feeds a layer has bit-identical weights in both models."""
    ours, theirs = first.ancestors(layer), second.ancestors(layer)
    if len(ours) != len(theirs):
        return False
    return all(
        _equal_weights(first.layers[a], second.layers[b]) for a, b in zip(ours, theirs, strict=True)
    )


def _equal_weights(one: Any, other: Any) -> bool:
    left, right = (getattr(layer, "weights", []) for layer in (one, other))
    return len(left) == len(right) and all(
        np.array_equal(a.numpy(), b.numpy()) for a, b in zip(left, right, strict=True)
    )
