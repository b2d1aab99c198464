"""Grad-CAM: which places of a layer's maps support a class, and the map laid over the image.

R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, sections 3 and 3.1: each map is weighted with the mean of the class
score's gradient over it; the weighted sum is cut off below zero. The score is the logit, before
softmax, as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tlcore.models.predictions import Floats

Pixels = npt.NDArray[np.uint8]
# from little to most support for the class: violet, red, orange, yellow
RAMP = np.array([[72, 20, 120], [190, 30, 90], [246, 120, 30], [255, 225, 70]], np.float32)
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (BT.601)
FAINT = 0.15  # of the greatest value; below it the image stays as it is


@dataclass(frozen=True, eq=False)
class Explanation:
    """A Grad-CAM map: which places of the image support a class."""

    cam: Floats  # (height, width) of the layer, ≥ 0, in the units of the logit
    index: int  # of the class
    label: str
    wnid: str  # "" for a custom class
    probability: float  # of that class
    layer: str  # whose maps were weighted
    source: str  # "imagenet", "random" or "run"
    note: str
    size: int  # side of the model's input, pixels
    fit: str  # the geometry: the map lies over the image in this geometry
    seconds: float  # on this machine, decoding left out

    @property
    def heat(self) -> Floats:
        """The map from 0 to 1, its greatest value; all 0 where nothing supports the class."""
        peak = float(self.cam.max())
        return self.cam / np.float32(peak) if peak > 0 else np.zeros_like(self.cam)


def compute_cam(model: Any, batch: Floats, index: int) -> tuple[Floats, Floats]:
    """Return the map of one class, float32 (height, width), ≥ 0, and the logits (1, units).

    Args:
        model: a Keras model, input → (maps of a layer, logits).
        batch: one image, float32 (1, size, size, 3).
        index: of the class; a sigmoid unit has two, whose scores are −z and z.
    """
    import tensorflow as tf

    inputs = tf.constant(batch)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        maps, logits = model(inputs, training=False)
        if logits.shape[1] > 1:
            score = logits[0, index]
        else:
            score = logits[0, 0] if index == 1 else -logits[0, 0]
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


def overlay_heat(pixels: Pixels, heat: Floats, opacity: float) -> Pixels:
    """Lay a map over the square image that it explains.

    The image loses its own colours as the map gains them, so that a colour is always the map's.

    Args:
        pixels: uint8 (side, side, 3), in the model's geometry.
        heat: float32 (height, width), 0…1.
        opacity: 0 leaves the image, 1 covers it where the map is at its greatest.
    """
    resized = Image.fromarray(heat).resize(pixels.shape[:2], Image.Resampling.BICUBIC)
    strength = np.clip(np.asarray(resized, np.float32), 0, 1)
    position = strength * (len(RAMP) - 1)
    lower = np.minimum(position.astype(np.intp), len(RAMP) - 2)
    share = (position - lower)[..., None]
    colour = RAMP[lower] * (1 - share) + RAMP[lower + 1] * share
    cover = opacity * np.clip((strength - FAINT) / (1 - FAINT), 0, 1) ** 0.7
    grey = (pixels @ LUMINANCE)[..., None]
    faded = pixels * (1 - opacity) + grey * opacity
    mixed = faded * (1 - cover[..., None]) + colour * cover[..., None]
    return np.rint(mixed).astype(np.uint8)
