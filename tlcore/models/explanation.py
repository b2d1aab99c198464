"""Where a network looked for one class, as a value, and laid over the picture. No Keras here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tlcore.models.answers import Floats

Pixels = npt.NDArray[np.uint8]
# from what speaks a little for the class to what speaks most: violet, red, orange, yellow
RAMP = np.array([[72, 20, 120], [190, 30, 90], [246, 120, 30], [255, 225, 70]], np.float32)
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (BT.601)
FAINT = 0.15  # of the greatest value; below it the picture stays as it is


@dataclass(frozen=True, eq=False)
class Explanation:
    """A Grad-CAM map: which places of the picture speak for a class."""

    cam: Floats  # (height, width) of the layer, ≥ 0, in the units of the logit
    index: int  # of the class
    label: str
    wnid: str  # "" for a class of one's own
    probability: float  # of that class
    layer: str  # whose maps were weighted
    source: str  # "imagenet", "random" or "run"
    note: str
    size: int  # side of the network's input, pixels
    fit: str  # the geometry: the map lies over the picture in this geometry
    seconds: float  # on this machine, decoding left out

    @property
    def heat(self) -> Floats:
        """The map from 0 to 1, its greatest value; all 0 where nothing speaks for the class."""
        peak = float(self.cam.max())
        return self.cam / np.float32(peak) if peak > 0 else np.zeros_like(self.cam)


def enlarge(heat: Floats, side: int) -> Floats:
    """Return a (height, width) map of 0…1 as (side, side), smooth between its values."""
    drawn = Image.fromarray(heat).resize((side, side), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(drawn, np.float32), 0, 1)


def overlay(pixels: Pixels, heat: Floats, opacity: float) -> Pixels:
    """Lay a map over the square picture that it explains.

    The picture loses its own colours as the map gains them, so that a colour is always the map's.

    Args:
        pixels: uint8 (side, side, 3), in the network's geometry.
        heat: float32 (height, width), 0…1.
        opacity: 0 leaves the picture, 1 covers it where the map is at its greatest.
    """
    strength = enlarge(heat, pixels.shape[0])
    place = strength * (len(RAMP) - 1)
    lower = np.minimum(place.astype(np.intp), len(RAMP) - 2)
    part = (place - lower)[..., None]
    colour = RAMP[lower] * (1 - part) + RAMP[lower + 1] * part
    cover = opacity * np.clip((strength - FAINT) / (1 - FAINT), 0, 1) ** 0.7
    grey = (pixels @ LUMINANCE)[..., None]
    under = pixels * (1 - opacity) + grey * opacity
    mixed = under * (1 - cover[..., None]) + colour * cover[..., None]
    return np.rint(mixed).astype(np.uint8)
