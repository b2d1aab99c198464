"""The picture formats we read, told apart by their first bytes and never by a file's ending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Format:
    """One format of picture files."""

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
    (4, b"ftypavif", "an AVIF picture: save it as JPEG or PNG"),
    (4, b"ftyp", "a video: save single pictures from it"),
    (0, b"%PDF", "a PDF document: save its pictures as JPEG or PNG"),
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
    """True if the name ends like a picture's, in upper or lower case."""
    stem, dot, ending = file.rpartition(".")
    return bool(stem and dot) and ending.lower() in ENDINGS
