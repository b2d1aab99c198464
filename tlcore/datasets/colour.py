"""Conversion of any Pillow mode to RGB with 8 bits a channel, nothing clipped or transparent.

16-bit values are scaled by the depth that they use: a camera of 12 bits writes values up to 4095
into a 16-bit file. Modes that promise no range (32-bit integers, floats) take the smallest usual
range that holds their values, else their own span.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]  # (height, width) or (height, width, 3)

WHITE = (255, 255, 255)
DEPTHS = (8, 10, 12, 14, 16)  # bits a channel of cameras, microscopes, X-ray
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_USUAL_WHITES = (1.0, 255.0, 65535.0)  # floats may use the first as well, integers the others
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE_VALUE = 258, 262, 281  # TIFF tags
_WHITE_IS_ZERO = 0


def to_rgb(
    image: Image.Image, depth: int = 0, deep: NDArray[np.uint16] | None = None
) -> Image.Image:
    """Return an image in mode RGB, of the same size.

    Transparency (an alpha channel, a transparent palette entry or colour) is laid on white.
    CMYK inks, already turned right way round by Pillow where Adobe inverts them, are converted
    without a colour profile.

    Args:
        image: loaded.
        depth: bits that the values of a 16-bit image use; by default ``used_depth`` of them.
        deep: all 16 bits of an image in mode RGB, of which Pillow keeps 8: (height, width, 3).
    """
    if deep is not None:
        return Image.fromarray(_scale_table(depth or used_depth(deep))[deep])
    if image.mode in _DEEP:
        return Image.fromarray(_deep_grey(image, depth)).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    if image.mode == "RGB":
        return image
    return image.convert("RGB")


def used_depth(values: NDArray[Any]) -> int:
    """Return the smallest of DEPTHS that holds the largest value of a 16-bit image."""
    bits = int(values.max(initial=0)).bit_length()
    return next((depth for depth in DEPTHS if bits <= depth), DEPTHS[-1])


def declared_depth(image: Image.Image, data: bytes) -> int:
    """Return the bits a channel that a 16-bit file says it uses; 0 where it does not.

    A PNG says it in its sBIT chunk, a TIFF in BitsPerSample or MaxSampleValue.
    """
    tags: Any = getattr(image, "tag_v2", None)
    if tags is not None:
        bits = tags.get(_BITS_PER_SAMPLE, (16,))
        highest = tags.get(_MAX_SAMPLE_VALUE, 0)
        highest = max(highest) if isinstance(highest, tuple) else highest
        depth = 12 if bits == (12,) else int(highest).bit_length()
    else:
        start = data.find(b"sBIT", 0, max(data.find(b"IDAT"), 0))
        length = int.from_bytes(data[max(start - 4, 0) : max(start, 0)], "big")
        depth = max(data[start + 4 : start + 4 + length], default=0) if start > 0 else 0
    return depth if 8 <= depth <= 16 else 0


def _on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGB", image.size, WHITE)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _deep_grey(image: Image.Image, depth: int) -> Bytes:
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        greys = _scale_table(depth or used_depth(values))
        tags: Any = getattr(image, "tag_v2", {})
        grey = (255 - greys if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else greys)[values]
    else:
        grey = _unknown_range(values)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(values == transparent, np.uint8(255), grey)
    return grey


def _scale_table(depth: int) -> Bytes:
    """Return the byte of every possible 16-bit value: uint8 (65536,)."""
    return _to_bytes(np.arange(65536, dtype=np.float32) * (255 / (2**depth - 1)))


def _unknown_range(values: NDArray[Any]) -> Bytes:
    whites = _USUAL_WHITES if values.dtype.kind == "f" else _USUAL_WHITES[1:]
    grey = np.nan_to_num(values.astype(np.float32))
    low, high = float(grey.min()), float(grey.max())
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is not None:
        low, high = 0.0, white
    half_span = max(high / 2 - low / 2, 1e-30)  # halves: the span may be twice the largest float
    return _to_bytes((grey / 2 - low / 2) * (255 / half_span))


def _to_bytes(grey: NDArray[np.floating[Any]]) -> Bytes:
    whole: Bytes = np.rint(grey).clip(0, 255).astype(np.uint8)
    return whole
