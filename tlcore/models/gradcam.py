"""Which places of an image support a class: exact contributions, Grad-CAM, and how they are drawn.

Where a model ends in average pooling and one dense layer, the logit of a class is exactly the sum
of what each cell of the last feature maps contributes, plus the bias. For every other layer and
head there is Grad-CAM, which shows where but not how much:

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
from tlcore.models.summary import find_bottleneck_layer

Pixels = npt.NDArray[np.uint8]
# from little to most support for the class: violet, red, orange, yellow
RAMP = np.array([[72, 20, 120], [190, 30, 90], [246, 120, 30], [255, 225, 70]], np.float32)
# from most against a class to most for it (ColorBrewer's PiYG): none of the two models' hues
SIGNED = np.array([[208, 28, 139], [241, 182, 218], [184, 225, 134], [60, 150, 20]], np.float32)
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (BT.601)
ADDITIVE = (["GlobalAveragePooling2D", "Dense"], ["GlobalAveragePooling2D", "Conv2D"])
NO_EFFECT = ("Activation", "Dropout", "Reshape")  # in a prediction; an activation if it is linear
LEVELS = 1025  # of a map's values as it is drawn; an odd number has zero in its middle
FAINT = 0.15  # of the greatest value; below it the image stays as it is


@dataclass(frozen=True, eq=False)
class Explanation:
    """Which places of the image support a class: a Grad-CAM map, exact contributions if there are.

    For a sigmoid unit z, the logits are −z for the first class and z for the second.
    """

    cam: Floats  # (height, width) of the layer, ≥ 0, in the units of the logit
    index: int  # of the class
    label: str
    wnid: str  # "" for a custom class
    probability: float  # of that class
    layer: str  # whose maps were weighted; "" for the last ones, where Keras was not asked
    source: str  # "imagenet", "random" or "run"
    note: str
    size: int  # side of the model's input, pixels
    fit: str  # the geometry: the map lies over the image in this geometry
    seconds: float  # on this machine, decoding left out
    logit: float = 0.0  # of the class, before softmax or sigmoid
    contributions: Floats | None = None  # (height, width), signed: their sum + bias is the logit
    bias: float = 0.0  # 0 without contributions

    @property
    def heat(self) -> Floats:
        """The map from 0 to 1, its greatest value; all 0 where nothing supports the class."""
        peak = float(self.cam.max())
        return self.cam / np.float32(peak) if peak > 0 else np.zeros_like(self.cam)


def compute_cam(model: Any, batch: Floats, index: int) -> tuple[Floats, Floats, Floats]:
    """Return the map of one class, float32 (height, width), ≥ 0, the logits and the layer's maps.

    These are (1, units) and (height, width, channels).

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
    values = maps.numpy()[0]
    return weigh_maps(values, gradient.numpy()[0]), logits.numpy(), values


def compute_contributions(model: Any, maps: Floats, index: int) -> tuple[Floats, float] | None:
    """Return what each cell adds to the logit of a class, float32 (height, width), and the bias.

    Args:
        model: a Keras model that ends in logits.
        maps: of the last layer before pooling, float32 (height, width, channels).
        index: of the class; a sigmoid unit has two, whose logits are −z and z.

    Returns:
        None where the end of the model is not average pooling and one dense layer, or a 1 × 1
        convolution in its place: then no such sum exists.
    """
    from keras.activations import linear

    names = [each.name for each in model.operations]
    end = model.operations[names.index(find_bottleneck_layer(model)) + 1 :]
    steps = [each for each in end if type(each).__name__ not in NO_EFFECT]
    if [type(each).__name__ for each in steps] not in ADDITIVE:
        return None
    if any(getattr(each, "activation", linear).__name__ != "linear" for each in end):
        return None
    kernel, bias = (np.asarray(each) for each in steps[1].weights)
    return weigh_cells(maps, kernel.reshape(maps.shape[2], -1), bias, index)


def weigh_cells(maps: Floats, kernel: Floats, bias: Floats, index: int) -> tuple[Floats, float]:
    """Return what each cell adds to the logit of a class, and the bias, for a dense layer behind
    average pooling: kernel (channels, units), bias (units,); else as ``compute_contributions``.
    """
    sign = 1.0
    if kernel.shape[1] == 1:
        sign, index = (1.0 if index else -1.0), 0
    cells = maps.astype(np.float64) @ kernel[:, index] * (sign / maps[..., 0].size)
    return cells.astype(np.float32), sign * float(bias[index])


def weigh_maps(maps: Floats, gradient: Floats) -> Floats:
    """Return Σₖ αₖ·Aᵏ cut off below zero, αₖ being the mean gradient over map k.

    Args:
        maps: float32 (height, width, channels).
        gradient: of the score by ``maps``, the same shape.
    """
    weights = gradient.mean(axis=(0, 1))
    return np.maximum((maps * weights).sum(axis=2), 0)


def overlay_heat(pixels: Pixels, heat: Floats, opacity: float, *, signed: bool = False) -> Pixels:
    """Lay a map over the square image that it explains.

    The image loses its own colours as the map gains them, so that a colour is always the map's.

    Args:
        pixels: uint8 (side, side, 3), in the model's geometry.
        heat: float32 (height, width), 0…1, or with ``signed`` −1…1.
        opacity: 0 leaves the image, 1 covers it where the map is at its greatest.
        signed: whether the map has both signs: ``SIGNED`` from −1 to 1 instead of ``RAMP``.
    """
    # Colour and cover of LEVELS values from the lowest to 1, then a look-up for each pixel.
    lowest, ramp, faint = (-1, SIGNED, FAINT / 5) if signed else (0, RAMP, FAINT)
    position = np.linspace(0, 1, LEVELS)
    stops, strength = np.linspace(0, 1, len(ramp)), np.abs(lowest + position * (1 - lowest))
    colour = np.stack([np.interp(position, stops, channel) for channel in ramp.T], axis=1)
    cover = opacity * np.clip((strength - faint) / (1 - faint), 0, 1)[:, None] ** 0.7
    resized = Image.fromarray(heat).resize(pixels.shape[:2], Image.Resampling.BICUBIC)
    value = np.clip((np.asarray(resized) - lowest) / np.float32(1 - lowest), 0, 1)
    level = np.rint(value * (LEVELS - 1)).astype(np.intp)
    bright = pixels.astype(np.float32)
    faded = bright * np.float32(1 - opacity) + (bright @ LUMINANCE * np.float32(opacity))[..., None]
    faded *= (1 - cover).astype(np.float32)[level]
    faded += (colour * cover).astype(np.float32)[level]
    return np.rint(faded).astype(np.uint8)
