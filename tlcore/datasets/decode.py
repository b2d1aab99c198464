"""Bytes of a picture file to a checked, upright RGB picture, or a reason that names the file."""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from PIL import Image as PillowImage

from tlcore.datasets.colour import to_rgb
from tlcore.datasets.formats import ENDINGS as ENDINGS
from tlcore.datasets.formats import FORMATS, Format, format_of, stranger
from tlcore.datasets.header import Header, is_animated, is_deep, is_see_through
from tlcore.datasets.strict import strict_pillow
from tlcore.errors import BadImage, DamagedImage, LargeImage
from tlcore.settings import Limits

Image = PillowImage.Image

_ORIENTATION = 0x0112  # the EXIF tag: how the camera was held
_TURNS: Mapping[int, PillowImage.Transpose] = MappingProxyType(
    {
        2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
        3: PillowImage.Transpose.ROTATE_180,
        4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
        5: PillowImage.Transpose.TRANSPOSE,
        6: PillowImage.Transpose.ROTATE_270,
        7: PillowImage.Transpose.TRANSVERSE,
        8: PillowImage.Transpose.ROTATE_90,
    }
)


def decode(data: bytes, name: str, limits: Limits, *, draft: int | None = None) -> Image:
    """Decode one picture file.

    Args:
        data: the whole file, in one of `FORMATS`.
        name: what to call the file in a message.
        limits: `file_bytes` is checked first, `pixels` from the header before decoding.
        draft: if given, a JPEG may come back smaller, at 1/2, 1/4 or 1/8 of its size but with
            neither side under `draft` pixels; much faster, for thumbnails.

    Returns:
        Mode RGB, upright (EXIF rotation applied), the first frame of an animation. Transparency
        is laid on white, deep greys are scaled to 8 bits.

    Raises:
        BadImage: too large, truncated or damaged, or no picture. No other exception escapes.
    """
    return decode_with_header(data, name, limits, draft=draft)[0]


def decode_with_header(
    data: bytes, name: str, limits: Limits, *, draft: int | None = None
) -> tuple[Image, Header]:
    """Decode as `decode` does, and tell what the file was before it became upright RGB."""
    check_size(len(data), name, limits)
    form = format_of(data)
    if form is None:
        what = "an empty file" if not data else stranger(data)
        raise BadImage(f"{name}: Expected a picture ({', '.join(FORMATS)}). Received {what}.")
    try:
        with strict_pillow():
            return _decode(data, form, name, limits, draft)
    except BadImage:
        raise
    except Exception as error:  # Pillow raises a dozen kinds on damaged bytes
        raise DamagedImage(_damaged(name, form, error)) from error


def read(path: Path, limits: Limits) -> Image:
    """Decode the picture file at `path`; as `decode`, and a missing file is a BadImage too."""
    return decode(read_bytes(path, path.name, limits), path.name, limits)


def read_bytes(path: Path, name: str, limits: Limits) -> bytes:
    """The bytes of a picture file, refused before reading if there are too many.

    Raises:
        BadImage: missing, unreadable or too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadImage(f"{name}: Expected a file. Received a folder or a device.")
        check_size(status.st_size, name, limits)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadImage(f"{name}: Expected a file that can be read. Received: {reason}.") from error


def content_id(data: bytes) -> str:
    """The SHA-256 of the bytes, 64 hexadecimal digits: the same picture has the same id."""
    return hashlib.sha256(data).hexdigest()


def check_size(size: int, name: str, limits: Limits) -> None:
    """Refuse a file of more than `limits.file_bytes` bytes with BadImage."""
    if size > limits.file_bytes:
        allowed, received = limits.file_bytes / 2**20, size / 2**20
        raise LargeImage(
            f"{name}: Expected at most {allowed:.3g} MB. Received {received:.3g} MB. "
            "Make the picture smaller: networks look at a few hundred pixels a side."
        )


def _decode(
    data: bytes, form: Format, name: str, limits: Limits, draft: int | None
) -> tuple[Image, Header]:
    image: Image = PillowImage.open(io.BytesIO(data), formats=[form.name.upper()])
    _check_pixels(image, name, limits)
    deep = is_deep(image)  # the header says so; the decoded picture no longer does
    if draft is not None:
        image.draft(None, (draft, draft))
    image.load()
    orientation = _orientation(image)
    upright = to_rgb(image)
    if orientation in _TURNS:
        upright = upright.transpose(_TURNS[orientation])
    header = Header(
        form.name,
        image.mode,
        orientation in _TURNS,
        deep,
        is_see_through(image),
        is_animated(data, form),
    )
    return upright, header


def _check_pixels(image: Image, name: str, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.pixels:
        raise LargeImage(
            f"{name}: Expected at most {limits.pixels / 1e6:.3g} million pixels. Received "
            f"{width} × {height}, {width * height / 1e6:.3g} million. Make the picture smaller."
        )


def _orientation(image: Image) -> int:
    """1 to 8, or 0 where the metadata are missing or damaged: the picture itself may be whole."""
    try:
        turned = image.getexif().get(_ORIENTATION, 0)
    except Exception:  # as many kinds as decoding raises
        return 0
    return turned if isinstance(turned, int) else 0


def _damaged(name: str, form: Format, error: Exception) -> str:
    if isinstance(error, PillowImage.DecompressionBombError):
        received = "one with far more pixels than memory allows"
    elif isinstance(error, MemoryError):
        received = "one that needs more memory than there is"
    else:
        received = f"one that is truncated or damaged ({_reason(error)})"
    return f"{name}: Expected a whole {form.name} picture. Received {received}."


def _reason(error: Exception) -> str:
    """Pillow's own words, short, and without the address of a buffer that means nothing."""
    text = " ".join(str(error).split()).partition(" <")[0]
    return text[:120] or type(error).__name__
