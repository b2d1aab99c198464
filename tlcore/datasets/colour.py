"""Conversion of any Pillow mode to RGB with 8 bits a channel, nothing clipped or transparent.

Deep images are scaled by the range their format promises: 16 bits by 65535 and 12 bits by 4095.
Modes that promise no range (32-bit integers, floats) take the smallest usual range that holds their
values, else their own span.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]  # (height, width)

WHITE = (255, 255, 255)
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_USUAL_WHITES = (1.0, 255.0, 65535.0)  # floats may use the first as well, integers the others
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags
_WHITE_IS_ZERO = 0


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image in mode RGB, of the same size.

    Transparency (an alpha channel, a transparent palette entry or colour) is laid on white.
    CMYK inks, already turned right way round by Pillow where Adobe inverts them, are converted
    without a colour profile.
    """
    if image.mode in _DEEP:
        return Image.fromarray(_deep_grey(image)).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    if image.mode == "RGB":
        return image
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGB", image.size, WHITE)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _deep_grey(image: Image.Image) -> Grey:
    values = np.asarray(image)
    sixteen = image.mode.startswith("I;16")
    grey = _sixteen_bits(image)[values] if sixteen else _unknown_range(values)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(values == transparent, np.uint8(255), grey)
    return grey


def _sixteen_bits(image: Image.Image) -> Grey:
    """Return the grey of every possible 16-bit value: uint8 (65536,)."""
    tags: Any = getattr(image, "tag_v2", {})
    white = 4095 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535
    greys = _to_bytes(np.arange(65536, dtype=np.float32) * (255 / white))
    return greys[::-1].copy() if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else greys


def _unknown_range(values: NDArray[Any]) -> Grey:
    whites = _USUAL_WHITES if values.dtype.kind == "f" else _USUAL_WHITES[1:]
    grey = np.nan_to_num(values.astype(np.float32))
    low, high = float(grey.min()), float(grey.max())
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is not None:
        low, high = 0.0, white
    half_span = max(high / 2 - low / 2, 1e-30)  # halves: the span may be twice the largest float
    return _to_bytes((grey / 2 - low / 2) * (255 / half_span))


def _to_bytes(grey: NDArray[np.floating[Any]]) -> Grey:
    whole: Grey = np.rint(grey).clip(0, 255).astype(np.uint8)
    return whole
