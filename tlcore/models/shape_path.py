"""The shapes from image to prediction, read from a model and timed on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcore.models.build import POOLINGS, add_head, build_architecture
from tlcore.models.catalog import get_backbone, output_units
from tlcore.models.gradcam import find_bottleneck_layer
from tlcore.models.imagenet import CLASSES
from tlcore.models.loaded_model import LoadedModel
from tlcore.models.summary import (
    Head,
    ShapePath,
    count_parameters,
    describe_layer,
    shape_of,
)

TIMES = 5  # forward passes that are timed


def compute_shape_path(loaded: LoadedModel, classes: int) -> ShapePath:
    """Return the shapes of a model, pretrained (with or without top) or a run's.

    Args:
        loaded: any model.
        classes: of a head on its bottleneck features, at least 2.
    """
    body, top = _split(loaded.model)
    is_run = loaded.source == "run"
    pooling = _pooling(top) if is_run else ""
    learned = _fine_tuned(body) if is_run else []
    if len(loaded.labels) != CLASSES:
        top = _imagenet_top(loaded)
    shape = shape_of(body[-1])
    body_seconds, head_seconds = _measure(loaded, shape, classes, pooling or "avg")
    return ShapePath(
        backbone=loaded.backbone,
        input=(loaded.size, loaded.size, 3),
        mode=get_backbone(loaded.backbone).mode,
        body_layers=len(body) - 1,  # the input is none
        body_parameters=count_parameters(body),
        learned_parameters=count_parameters(learned),
        learned_from=learned[0].name if learned else "",
        bottleneck=shape,
        bottleneck_layer=body[-1].name,
        heads=build_heads(shape, classes),
        pooling=pooling,
        top=tuple(describe_layer(layer) for layer in top),
        top_parameters=count_parameters(top),
        body_seconds=body_seconds,
        head_seconds=head_seconds,
    )


def build_heads(shape: tuple[int, ...], classes: int) -> tuple[Head, ...]:
    """Return the head for each pooling on bottleneck features of that shape, built and counted."""
    heads = []
    for pooling in POOLINGS:
        model = _build_head(shape, classes, pooling)
        pooled = shape_of(model.get_layer("pooling"))
        heads.append(Head(pooling, pooled, output_units(classes), model.count_params()))
    return tuple(heads)


def _build_head(shape: tuple[int, ...], classes: int, pooling: str) -> keras.Model:
    features = keras.Input(shape)
    return add_head(keras.Model(features, features), classes, pooling=pooling)


def _split(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """Return the layers up to the bottleneck, and those behind it."""
    names = [operation.name for operation in model.operations]
    end = names.index(find_bottleneck_layer(model)) + 1
    return model.operations[:end], model.operations[end:]


def _imagenet_top(loaded: LoadedModel) -> list[Any]:
    """Return the layers that include_top=True would add, built to be counted."""
    row = get_backbone(loaded.backbone)
    if not row.any_size_with_top and loaded.size != row.size:
        return []  # with its top this backbone takes no other size than its own
    return _split(build_architecture(row, loaded.size, top=True))[1]


def _fine_tuned(body: list[Any]) -> list[Any]:
    """Return the layers of a run's backbone that have learned."""
    return [layer for layer in body if getattr(layer, "trainable_weights", ())]


def _pooling(head: list[Any]) -> str:
    """Return the pooling of a run's head, given the layers behind the bottleneck."""
    kinds = {kind: name for name, kind in POOLINGS.items()}
    return next((kinds[type(layer)] for layer in head if type(layer) in kinds), "")


def _measure(
    loaded: LoadedModel, shape: tuple[int, ...], classes: int, pooling: str
) -> tuple[float, float]:
    """Return seconds of one image through the model without its end, and through a head alone."""
    head = _build_head(shape, classes, pooling)
    features = tf.zeros((1, *shape))
    image = np.zeros((1, loaded.size, loaded.size, 3), np.float32)
    compiled = tf.function(lambda maps: head(maps, training=False))
    head_seconds = _median_seconds(lambda: compiled(features).numpy())
    whole_seconds = _median_seconds(lambda: loaded.forward(image).numpy())
    return max(whole_seconds - head_seconds, 0.0), head_seconds


def _median_seconds(call: Callable[[], Any]) -> float:
    call()  # traced, and its memory allocated
    seconds = []
    for _ in range(TIMES):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return median(seconds)
