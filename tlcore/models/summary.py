"""The path of shapes, read from the model itself; nothing on it is written down beforehand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcore.models.build import POOLINGS, add_head, architecture
from tlcore.models.catalog import backbone, units
from tlcore.models.layers import bottleneck_layer, graph
from tlcore.models.model import LoadedModel
from tlcore.models.predictions import Head, Layer, ShapePath

IMAGENET = 1000  # classes of a network with its top
TIMES = 5  # forward passes that are timed


def shape_path(
    network: LoadedModel, classes: int, *, pooling: str = "", unfrozen_from: str = ""
) -> ShapePath:
    """Read the path of shapes from a network, pretrained (with or without top) or a run's.

    Args:
        network: any.
        classes: that a head tells apart, at least 2.
        pooling: of the run whose network this is; "" for none.
        unfrozen_from: first layer of the body that the run has fine-tuned; "" for none.
    """
    opened = network.graph
    last = bottleneck_layer(opened)
    names = list(opened.outputs)
    body = [opened.layers[name] for name in names[: names.index(last) + 1]]
    shape = _shape(opened.outputs[last])
    learned = _learned(body, unfrozen_from)
    top = _top(network, last)
    stem, head = _timed(network, shape, classes, pooling or "avg")
    return ShapePath(
        backbone=network.backbone,
        input=(network.size, network.size, 3),
        mode=backbone(network.backbone).mode,
        body_layers=len([layer for layer in body if not _is_input(layer)]),
        body_parameters=_parameters(body),
        learned_parameters=_parameters(learned),
        learned_from=learned[0].name if learned else "",
        bottleneck=shape,
        bottleneck_layer=last,
        heads=heads(shape, classes),
        pooling=pooling,
        top=top,
        top_parameters=sum(layer.parameters for layer in top),
        body_seconds=stem,
        head_seconds=head,
    )


def heads(shape: tuple[int, ...], classes: int) -> tuple[Head, ...]:
    """Return the head for each pooling on bottleneck features of that shape, built and counted."""
    return tuple(_head(shape, classes, pooling) for pooling in POOLINGS)


def _head(shape: tuple[int, ...], classes: int, pooling: str) -> Head:
    model = _head_model(shape, classes, pooling)
    return Head(
        pooling=pooling,
        pooled=_shape(model.get_layer("pooling").output),
        units=units(classes),
        parameters=model.count_params(),
    )


def _head_model(shape: tuple[int, ...], classes: int, pooling: str) -> keras.Model:
    features = keras.Input(shape)
    return add_head(keras.Model(features, features), classes, pooling=pooling)


def _top(network: LoadedModel, last: str) -> tuple[Layer, ...]:
    """The rows behind the bottleneck of the network with its top, built for it if need be."""
    whole = network.graph
    if len(network.labels) != IMAGENET:
        row = backbone(network.backbone)
        if not row.any_size_with_top and network.size != row.size:
            return ()  # with its top this network takes no other size than its own
        whole = graph(architecture(row, network.size, top=True))
        last = bottleneck_layer(whole)
    names = list(whole.outputs)
    return tuple(
        Layer(
            name=name,
            type=type(whole.layers[name]).__name__,
            output_shape=_shape(whole.outputs[name]),
            parameters=_parameters([whole.layers[name]]),
            connected_to=(),
            trainable=False,
        )
        for name in names[names.index(last) + 1 :]
    )


def _learned(body: list[keras.layers.Layer], first: str) -> list[keras.layers.Layer]:
    """The layers of the body that a run has fine-tuned: from ``first`` on, BatchNormalization
    never."""
    names = [layer.name for layer in body]
    if first not in names:
        return []
    return [
        layer
        for layer in body[names.index(first) :]
        if not isinstance(layer, keras.layers.BatchNormalization)
    ]


def _timed(
    network: LoadedModel, shape: tuple[int, ...], classes: int, pooling: str
) -> tuple[float, float]:
    """Seconds of one image through the network without its end, and through a head alone."""
    head = _head_model(shape, classes, pooling)
    features = tf.zeros((1, *shape))
    image = np.zeros((1, network.size, network.size, 3), np.float32)
    compiled = tf.function(lambda maps: head(maps, training=False))
    small = _median(lambda: compiled(features).numpy())
    whole = _median(lambda: network.forward(image).numpy())
    return max(whole - small, 0.0), small


def _median(call: Callable[[], Any]) -> float:
    call()  # traced, and its memory taken
    return median(_seconds(call) for _ in range(TIMES))


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.shape[1:])


def _parameters(layers: Iterable[keras.layers.Layer]) -> int:
    """Parameters of layers, each counted once; a nested model's are its layers'."""
    own = [layer for layer in layers if not isinstance(layer, keras.Model)]
    # where a network adds two tensors with a plain operation, that is no layer and has no weights
    weights = {id(weight): weight for layer in own for weight in getattr(layer, "weights", ())}
    return sum(int(np.prod(weight.shape)) for weight in weights.values())


def _is_input(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.InputLayer)
