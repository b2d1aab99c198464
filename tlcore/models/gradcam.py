"""Grad-CAM: which places of a layer's maps speak for a class.

R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, sections 3 and 3.1: each map is weighted with the mean of the class
score's gradient over it; the weighted sum, cut off below zero, is the answer. The score is the
logit, before softmax, as there.
"""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL.Image import Image

from tlcore.errors import UnknownName
from tlcore.models.model import LoadedModel
from tlcore.models.predictions import Explanation, Floats, softmax, two_sided
from tlcore.models.summary import bottleneck


def explain(network: LoadedModel, image: Image, index: int, layer: str = "") -> Explanation:
    """Return what speaks for one class in one image.

    Args:
        network: with logits at its end, flat or nested.
        image: any size, mode RGB.
        index: of the class; a sigmoid unit has two, whose scores are −z and z.
        layer: any with a spatial output; the last one by default.

    Raises:
        UnknownName: no such class, or no such layer with a spatial output.
    """
    start = time.perf_counter()
    if not 0 <= index < len(network.labels):
        raise UnknownName.of("class", str(index), network.labels)
    name = layer or bottleneck(network.graph)
    maps, gradient, logits = _maps_and_gradient(network, network.prepare([image]), index, name)
    return Explanation(
        cam=combine(maps, gradient),
        index=index,
        label=network.labels[index],
        wnid=network.wnids[index] if network.wnids else "",
        probability=float(softmax(two_sided(logits))[0, index]),
        layer=name,
        source=network.source,
        note=network.note,
        size=network.size,
        fit=network.fit,
        seconds=time.perf_counter() - start,
    )


def combine(maps: Floats, gradient: Floats) -> Floats:
    """Return Σₖ αₖ·Aᵏ cut off below zero, αₖ being the mean gradient over map k.

    Args:
        maps: float32 (height, width, channels).
        gradient: of the score by ``maps``, the same shape.
    """
    weights = gradient.mean(axis=(0, 1))
    return np.maximum((maps * weights).sum(axis=2), 0)


def class_score(logits: Any, index: int) -> Any:
    """Return the score of a class among (1, units) logits; of one sigmoid unit, z or −z."""
    if logits.shape[1] > 1:
        return logits[0, index]
    return logits[0, 0] if index == 1 else -logits[0, 0]


def _maps_and_gradient(
    network: LoadedModel, batch: Floats, index: int, layer: str
) -> tuple[Floats, Floats, Floats]:
    model = _two_ends(network, layer)
    inputs = tf.constant(batch)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        maps, logits = model(inputs, training=False)
        score = class_score(logits, index)
    gradient = tape.gradient(score, maps)
    return maps.numpy()[0], gradient.numpy()[0], logits.numpy()


def _two_ends(network: LoadedModel, layer: str) -> keras.Model:
    """The network with a second output at that layer. Raises UnknownName as ``to_spatial``."""
    graph = network.graph
    if layer not in graph.spatial:
        raise UnknownName.of("layer with a spatial output", layer, graph.spatial)
    last = network.model.outputs[0]._keras_history.operation.name
    return keras.Model(graph.input, [graph.outputs[layer], graph.outputs[last]])
