"""Bytes of an image file to a checked, upright RGB image, or an error that names the file.

Formats are recognised by the first bytes of a file, never by its ending. Limits are checked before
decoding, truncated files are refused, and no exception but ``BadImage`` escapes.
"""

from __future__ import annotations

import hashlib
import io
import stat
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFile

from tlcore.datasets.colour import declared_depth, to_rgb, used_depth
from tlcore.errors import BadImage, DamagedImage, LargeImage
from tlcore.settings import Limits


class _Strictness:
    """Pillow's settings while at least one thread decodes; afterwards they are what they were.

    Pillow forgives truncated files, or turns remarks on metadata into errors, by settings of the
    whole process. Threads are counted, because ``warnings.catch_warnings`` restores the wrong
    filters when two threads leave in another order than they came.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._restore = ExitStack()

    def enter(self) -> None:
        with self._lock:
            self._threads += 1
            if self._threads > 1:
                return
            forgives = ImageFile.LOAD_TRUNCATED_IMAGES
            self._restore.callback(setattr, ImageFile, "LOAD_TRUNCATED_IMAGES", forgives)
            self._restore.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
            ImageFile.LOAD_TRUNCATED_IMAGES = False

    def leave(self) -> None:
        with self._lock:
            self._threads -= 1
            if not self._threads:
                self._restore.close()


_STRICTNESS = _Strictness()


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Let truncated files fail and hide Pillow's remarks while the block runs, in any thread."""
    _STRICTNESS.enter()
    try:
        yield
    finally:
        _STRICTNESS.leave()


@dataclass(frozen=True)
class Format:
    """One format of image files."""

    name: str  # as Pillow and people call it
    endings: tuple[str, ...]  # lower case, without dot; the first is the one we write
    starts: tuple[bytes, ...]  # a file of this format begins with one of these
    tag: bytes = b""  # bytes at offset 8 that must match as well (the RIFF family)
    brands: frozenset[bytes] = frozenset()  # of the ISO base media family, instead of ``starts``
    plugin: str = ""  # the name in Pillow, where it is another

    def fits(self, head: bytes) -> bool:
        """Whether a file that begins with ``head`` (64 bytes or more) claims this format."""
        if self.brands:
            return bool(self.brands & set(_brands(head)))
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
    Format("AVIF", ("avif",), (), brands=frozenset({b"avif", b"avis"})),
    Format("HEIC", ("heic", "heif", "hif"), (), brands=frozenset(
        {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}), plugin="HEIF"),
    Format("JPEG 2000", ("jp2", "j2k", "jpx", "j2c"), (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xffO\xffQ"),
           plugin="JPEG2000"),
)  # fmt: skip

FORMATS: Mapping[str, Format] = MappingProxyType({form.name: form for form in _ALL})
ENDINGS: tuple[str, ...] = tuple(ending for form in _ALL for ending in form.endings)

# What people upload by mistake: (offset, bytes there, what it is and what to do about it).
_OTHER_FILES: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftyp", "a video: bring it as a file of its own (.mp4, .mov)"),
    (0, b"%PDF", "a PDF document: save its images as JPEG or PNG"),
    (0, b"PK\x03\x04", "a zip or an office document: unpack it first"),
    (0, b"Rar!", "a rar archive: unpack it first"),
    (0, b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it first"),
    (0, b"<svg", "an SVG drawing: save it as PNG"),
    (0, b"8BPS", "a Photoshop document: save it as PNG"),
)


def format_of(data: bytes) -> Format | None:
    """Return the format by the first bytes, or None; the rest may be damaged all the same."""
    head = data[:64]
    return next((form for form in FORMATS.values() if form.fits(head)), None)


def _brands(head: bytes) -> list[bytes]:
    """Return the brands of a file of the ISO base media family (ISO 14496-12): MP4, HEIC, AVIF."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]


def describe_other_file(data: bytes) -> str:
    """Return what a file of none of these formats seems to be, for a message."""
    head = data[:16]
    for offset, mark, words in _OTHER_FILES:
        if head[offset : offset + len(mark)] == mark:
            return words
    return "a file that is none of these"


def has_image_ending(file: str) -> bool:
    """Whether a name ends like an image's, in upper or lower case."""
    stem, dot, ending = file.rpartition(".")
    return bool(stem and dot) and ending.lower() in ENDINGS


Image = PillowImage.Image

_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_OPAQUE = 255
_MOVING = ("GIF", "PNG", "WebP", "TIFF", "AVIF")  # a JPEG's second image is a phone's preview


@dataclass(frozen=True)
class Header:
    """How an image file is stored, before it becomes upright RGB."""

    format: str  # a name in FORMATS
    mode: str  # Pillow's: "RGB", "L", "P", "CMYK", ...
    rotated: bool  # the EXIF orientation says to turn it
    depth: int  # bits a channel that its values use: 8 to 16; 32 for integers and floats
    transparent: bool  # at least one pixel is not opaque
    animated: bool  # more than one image in the file
    camera: str = ""  # its model, by EXIF
    taken: str = ""  # when, by EXIF: "2024:05:06 10:11:12"

    @property
    def deep(self) -> bool:
        """Whether its values use more than 8 bits a channel."""
        return self.depth > 8


def is_deep(image: Image) -> bool:
    """Whether a file that is opened but not yet loaded has more than 8 bits a channel."""
    return image.mode in _DEEP or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def is_transparent(image: Image) -> bool:
    """Whether a pixel is not opaque; an alpha channel alone does not make an image transparent."""
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
        with _open(data, form) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # as many kinds as decoding raises
        return False


_ORIENTATION_NOTES = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
_ORIENTATION, _MODEL, _DETAILS, _TAKEN = 0x0112, 0x0110, 0x8769, 0x9003  # tags of EXIF
_TRANSPOSES: Mapping[int, PillowImage.Transpose] = MappingProxyType(
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


def decode_image(data: bytes, name: str, limits: Limits, *, draft: int | None = None) -> Image:
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
    return decode_image_with_header(data, name, limits, draft=draft)[0]


def decode_image_with_header(
    data: bytes, name: str, limits: Limits, *, draft: int | None = None
) -> tuple[Image, Header]:
    """Decode as ``decode_image`` does; return also how the file is stored."""
    check_size(len(data), name, limits)
    form = format_of(data)
    if form is None:
        what = "an empty file" if not data else describe_other_file(data)
        raise BadImage(f"{name}: Expected an image ({', '.join(FORMATS)}). Received {what}.")
    try:
        with strict_pillow():
            return _decode(data, form, name, limits, draft)
    except BadImage:
        raise
    except Exception as error:  # Pillow raises a dozen kinds on damaged bytes
        raise DamagedImage(_damaged(name, form, error)) from error


def read_image(path: Path, limits: Limits) -> Image:
    """Decode an image file, as ``decode_image``; a missing file is a BadImage too."""
    return decode_image(read_bytes(path, path.name, limits), path.name, limits)


def read_bytes(path: Path, name: str, limits: Limits) -> bytes:
    """Read an image file; it is refused before reading if it is too large.

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
    """Return the SHA-256 of an image's bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def check_size(size: int, name: str, limits: Limits) -> None:
    """Refuse a file of more than `limits.file_bytes` bytes with BadImage."""
    if size > limits.file_bytes:
        allowed, received = limits.file_bytes / 2**20, size / 2**20
        raise LargeImage(
            f"{name}: Expected at most {allowed:.3g} MB. Received {received:.3g} MB. "
            "Make the image smaller: networks take a few hundred pixels a side."
        )


def _decode(
    data: bytes, form: Format, name: str, limits: Limits, draft: int | None
) -> tuple[Image, Header]:
    image = _open(data, form)
    _check_pixels(image, name, limits)
    deep = is_deep(image)  # the header says so; the decoded image no longer does
    if draft is not None:
        image.draft(None, (draft, draft))
    image.load()
    orientation, camera, taken = _read_exif(image)
    values = _read_deep(image, data, form) if deep else None
    depth = 8 if not deep else 32 if image.mode in ("I", "F") else 16
    if values is not None:
        depth = declared_depth(image, data) or used_depth(values)
    upright = to_rgb(image, depth, values if image.mode == "RGB" else None)
    if orientation in _TRANSPOSES:
        upright = upright.transpose(_TRANSPOSES[orientation])
    header = Header(
        form.name,
        image.mode,
        orientation in _TRANSPOSES,
        depth,
        is_transparent(image),
        is_animated(data, form),
        camera,
        taken,
    )
    for note in _ORIENTATION_NOTES:  # else whoever turns by them turns the image a second time
        upright.info.pop(note, None)
    return upright, header


def _open(data: bytes, form: Format) -> Image:
    plugin = form.plugin or form.name.upper()
    if form.name == "HEIC":
        import pillow_heif

        pillow_heif.register_heif_opener()
    return PillowImage.open(io.BytesIO(data), formats=[plugin])


def _read_deep(image: Image, data: bytes, form: Format) -> NDArray[np.uint16] | None:
    """Return the values of a 16-bit image, grey or RGB; None for 32 bits and other modes.

    Of RGB, Pillow keeps the high byte. Read in the other byte order it keeps the low one.
    """
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode != "RGB":
        return None
    low: Any = _open(data, form)
    low.tile = [tile._replace(args=_swap_bytes(tile.args)) for tile in low.tile]
    low.load()
    return np.asarray(image).astype(np.uint16) << 8 | np.asarray(low)


def _swap_bytes(args: str | tuple[Any, ...]) -> str | tuple[Any, ...]:
    if isinstance(args, str):
        return args[:-1] + ("L" if args.endswith("16B") else "B") if ";16" in args else args
    return tuple(_swap_bytes(each) if isinstance(each, str) else each for each in args)


def _check_pixels(image: Image, name: str, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.pixels:
        raise LargeImage(
            f"{name}: Expected at most {limits.pixels / 1e6:.3g} million pixels. Received "
            f"{width} × {height}, {width * height / 1e6:.3g} million. Make the image smaller."
        )


def _read_exif(image: Image) -> tuple[int, str, str]:
    """Return the orientation (1 to 8, 0 for none), the camera and when the image was taken."""
    turned, camera, taken = 0, "", ""
    with suppress(Exception):  # damaged metadata raise as many kinds as decoding
        exif = image.getexif()
        turned, camera = exif.get(_ORIENTATION, 0), str(exif.get(_MODEL, "")).strip(" \0")[:60]
        taken = str(exif.get_ifd(_DETAILS).get(_TAKEN, ""))[:19]
    return turned if isinstance(turned, int) else 0, camera, taken


def _damaged(name: str, form: Format, error: Exception) -> str:
    if isinstance(error, PillowImage.DecompressionBombError):
        received = "one with far more pixels than memory allows"
    elif isinstance(error, MemoryError):
        received = "one that needs more memory than there is"
    else:
        received = f"one that is truncated or damaged ({_reason(error)})"
    return f"{name}: Expected a whole {form.name} image. Received {received}."


def _reason(error: Exception) -> str:
    """Return Pillow's message, short and without the address of a buffer."""
    text = " ".join(str(error).split()).partition(" <")[0]
    return text[:120] or type(error).__name__
