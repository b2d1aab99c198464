"""Pillow made to judge alike whatever else in this process has set.

Pillow keeps two things for the whole process that decide whether a damaged file passes: whether
truncated files are forgiven, and Python's warning filters, which may turn a remark about a metadata
tag into an exception or print it. While at least one thread decodes, both are ours; afterwards they
are what they were. Entering is counted, because `warnings.catch_warnings` alone restores the wrong
state when two threads leave in another order than they came.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import stat
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from PIL import Image as PillowImage
from PIL import ImageFile

from tlcore.datasets.colour import to_rgb
from tlcore.errors import BadImage, DamagedImage, LargeImage
from tlcore.settings import Limits


class _Strictness:
    """How many threads are decoding, and what to restore when the last one is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._restore = contextlib.ExitStack()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            self._restore.callback(_forgive_truncation, ImageFile.LOAD_TRUNCATED_IMAGES)
            self._restore.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _forgive_truncation(False)

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._restore.close()


def _forgive_truncation(forgive: bool) -> None:
    ImageFile.LOAD_TRUNCATED_IMAGES = forgive


_STRICTNESS = _Strictness()


@contextlib.contextmanager
def strict_pillow() -> Iterator[None]:
    """Within this block truncated files fail and Pillow's remarks are not shown."""
    _STRICTNESS.enter()
    try:
        yield
    finally:
        _STRICTNESS.leave()


# The image formats we read, told apart by their first bytes and never by a file's ending.


@dataclass(frozen=True)
class Format:
    """One format of image files."""

    name: str  # as Pillow and people call it
    endings: tuple[str, ...]  # lower case, without dot; the first is the one we write
    starts: tuple[bytes, ...]  # a file of this format begins with one of these
    tag: bytes = b""  # bytes at offset 8 that must match as well (the RIFF family)

    def fits(self, head: bytes) -> bool:
        """True if a file that begins with `head` (16 bytes or more) claims this format."""
        return head.startswith(self.starts) and head[8 : 8 + len(self.tag)] == self.tag

    @property
    def ending(self) -> str:
        return self.endings[0]


_ALL = (
    Format("JPEG", ("jpg", "jpeg", "jpe", "jfif"), (b"\xff\xd8\xff",)),
    Format("PNG", ("png", "apng"), (b"\x89PNG\r\n\x1a\n",)),
    Format("GIF", ("gif",), (b"GIF87a", b"GIF89a")),
    Format("BMP", ("bmp", "dib"), (b"BM",)),
    Format("WebP", ("webp",), (b"RIFF",), tag=b"WEBP"),
    Format("TIFF", ("tif", "tiff"), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
)

FORMATS: Mapping[str, Format] = MappingProxyType({form.name: form for form in _ALL})
ENDINGS: tuple[str, ...] = tuple(ending for form in _ALL for ending in form.endings)

# What people upload by mistake: (offset, bytes there, what it is and what to do about it).
_STRANGERS: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftypheic", "a HEIC photo: save it as JPEG"),
    (4, b"ftypheix", "a HEIC photo: save it as JPEG"),
    (4, b"ftypmif1", "a HEIF photo: save it as JPEG"),
    (4, b"ftypavif", "an AVIF image: save it as JPEG or PNG"),
    (4, b"ftyp", "a video: save single images from it"),
    (0, b"%PDF", "a PDF document: save its images as JPEG or PNG"),
    (0, b"PK\x03\x04", "a zip or an office document: unpack it first"),
    (0, b"Rar!", "a rar archive: unpack it first"),
    (0, b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it first"),
    (0, b"<svg", "an SVG drawing: save it as PNG"),
    (0, b"8BPS", "a Photoshop document: save it as PNG"),
)


def format_of(data: bytes) -> Format | None:
    """The format that the first bytes claim, or None; says nothing about the rest."""
    head = data[:16]
    return next((form for form in FORMATS.values() if form.fits(head)), None)


def stranger(data: bytes) -> str:
    """What a file that is in none of our formats seems to be, for a message."""
    head = data[:16]
    for offset, mark, words in _STRANGERS:
        if head[offset : offset + len(mark)] == mark:
            return words
    return "a file that is none of these"


def has_image_ending(file: str) -> bool:
    """True if the name ends like an image's, in upper or lower case."""
    stem, dot, ending = file.rpartition(".")
    return bool(stem and dot) and ending.lower() in ENDINGS


# What an image file was before it became upright RGB: the marks that only its own form shows.


Image = PillowImage.Image

_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_OPAQUE = 255
_MOVING = ("GIF", "PNG", "WebP", "TIFF")  # a JPEG's second image is a phone's preview


@dataclass(frozen=True)
class Header:
    """How one file is made."""

    format: str  # a name in FORMATS
    mode: str  # Pillow's: "RGB", "L", "P", "CMYK", ...
    rotated: bool  # an EXIF mark says to turn it before looking
    deep: bool  # more than 8 bits a channel
    transparent: bool  # at least one pixel is not opaque
    animated: bool  # more than one image in the file


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
    """Whether a file holds more than one image; a damaged second one is none.

    Counting moves on to the next image, so the file is opened anew for it.
    """
    if form.name not in _MOVING:
        return False
    try:
        with PillowImage.open(io.BytesIO(data), formats=[form.name.upper()]) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # as many kinds as decoding raises
        return False


# Bytes of an image file to a checked, upright RGB image, or a reason that names the file.


DecodeImage = PillowImage.Image

_ORIENTATION_NOTES = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
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


def decode(data: bytes, name: str, limits: Limits, *, draft: int | None = None) -> DecodeImage:
    """Decode one image file.

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
        BadImage: too large, truncated or damaged, or no image. No other exception escapes.
    """
    return decode_with_header(data, name, limits, draft=draft)[0]


def decode_with_header(
    data: bytes, name: str, limits: Limits, *, draft: int | None = None
) -> tuple[DecodeImage, Header]:
    """Decode as `decode` does, and tell what the file was before it became upright RGB."""
    check_size(len(data), name, limits)
    form = format_of(data)
    if form is None:
        what = "an empty file" if not data else stranger(data)
        raise BadImage(f"{name}: Expected an image ({', '.join(FORMATS)}). Received {what}.")
    try:
        with strict_pillow():
            return _decode(data, form, name, limits, draft)
    except BadImage:
        raise
    except Exception as error:  # Pillow raises a dozen kinds on damaged bytes
        raise DamagedImage(_damaged(name, form, error)) from error


def read(path: Path, limits: Limits) -> DecodeImage:
    """Decode the image file at `path`; as `decode`, and a missing file is a BadImage too."""
    return decode(read_bytes(path, path.name, limits), path.name, limits)


def read_bytes(path: Path, name: str, limits: Limits) -> bytes:
    """The bytes of an image file, refused before reading if there are too many.

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
    """The SHA-256 of the bytes, 64 hexadecimal digits: the same image has the same id."""
    return hashlib.sha256(data).hexdigest()


def check_size(size: int, name: str, limits: Limits) -> None:
    """Refuse a file of more than `limits.file_bytes` bytes with BadImage."""
    if size > limits.file_bytes:
        allowed, received = limits.file_bytes / 2**20, size / 2**20
        raise LargeImage(
            f"{name}: Expected at most {allowed:.3g} MB. Received {received:.3g} MB. "
            "Make the image smaller: networks look at a few hundred pixels a side."
        )


def _decode(
    data: bytes, form: Format, name: str, limits: Limits, draft: int | None
) -> tuple[DecodeImage, Header]:
    image: DecodeImage = PillowImage.open(io.BytesIO(data), formats=[form.name.upper()])
    _check_pixels(image, name, limits)
    deep = is_deep(image)  # the header says so; the decoded image no longer does
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
    for note in _ORIENTATION_NOTES:  # else whoever turns by them turns the image a second time
        upright.info.pop(note, None)
    return upright, header


def _check_pixels(image: DecodeImage, name: str, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.pixels:
        raise LargeImage(
            f"{name}: Expected at most {limits.pixels / 1e6:.3g} million pixels. Received "
            f"{width} × {height}, {width * height / 1e6:.3g} million. Make the image smaller."
        )


def _orientation(image: DecodeImage) -> int:
    """1 to 8, or 0 where the metadata are missing or damaged: the image itself may be whole."""
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
    return f"{name}: Expected a whole {form.name} image. Received {received}."


def _reason(error: Exception) -> str:
    """Pillow's own words, short, and without the address of a buffer that means nothing."""
    text = " ".join(str(error).split()).partition(" <")[0]
    return text[:120] or type(error).__name__
