"""What a picture file was before it became upright RGB: the marks that only its own form shows."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image as PillowImage

from tlcore.datasets.formats import Format

Image = PillowImage.Image

_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_OPAQUE = 255
_MOVING = ("GIF", "PNG", "WebP", "TIFF")  # a JPEG's second picture is a phone's preview


@dataclass(frozen=True)
class Header:
    """How one file is made."""

    format: str  # a name in FORMATS
    mode: str  # Pillow's: "RGB", "L", "P", "CMYK", ...
    turned: bool  # an EXIF mark says to turn it before looking
    deep: bool  # more than 8 bits a channel
    see_through: bool  # at least one pixel is not opaque
    animated: bool  # more than one picture in the file


def is_deep(image: Image) -> bool:
    """Whether a file that is opened but not yet loaded has more than 8 bits a channel."""
    return image.mode in _DEEP or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def is_see_through(image: Image) -> bool:
    """Whether some pixel really is see-through; an alpha channel alone does not make it so."""
    if not image.has_transparency_data:
        return False
    if image.mode in _DEEP:
        return True
    alpha = image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
    lowest = alpha.getchannel("A").getextrema()[0]
    return isinstance(lowest, int | float) and lowest < _OPAQUE


def is_animated(data: bytes, form: Format) -> bool:
    """Whether a file holds more than one picture; a damaged second one is none.

    Counting moves on to the next picture, so the file is opened anew for it.
    """
    if form.name not in _MOVING:
        return False
    try:
        with PillowImage.open(io.BytesIO(data), formats=[form.name.upper()]) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # as many kinds as decoding raises
        return False
