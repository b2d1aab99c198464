"""Grad-CAM: which places of a layer's maps speak for a class.

R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, sections 3 and 3.1: each map is weighted with the mean of the class
score's gradient over it; the weighted sum, cut off below zero, is the answer. The score is the
logit, before softmax, as there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tlcore.models.predictions import Floats


def compute_cam(model: Any, batch: Floats, index: int) -> tuple[Floats, Floats]:
    """Return the Grad-CAM map of one class, float32 (height, width), ≥ 0, and the logits.

    Args:
        model: a Keras model, input → (maps of the layer, logits).
        batch: one image, float32 (1, size, size, 3).
        index: of the class; a sigmoid unit has two, whose scores are −z and z.
    """
    import tensorflow as tf

    inputs = tf.constant(batch)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        maps, logits = model(inputs, training=False)
        score = class_score(logits, index)
    gradient = tape.gradient(score, maps)
    return weigh_maps(maps.numpy()[0], gradient.numpy()[0]), logits.numpy()


def weigh_maps(maps: Floats, gradient: Floats) -> Floats:
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
