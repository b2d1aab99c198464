"""Small square images for galleries, made once and kept on disk by content."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from PIL import Image

from tlcore.datasets.dataset import Sample
from tlcore.datasets.image_io import content_id, decode, read_bytes
from tlcore.settings import Settings
from tlcore.storage import write_file

SIDE = 160  # pixels: sharp at 80 on a screen of double density
_QUALITY = 85  # of the JPEG: about 6 KB at 160 pixels


def thumbnail(sample: Sample, settings: Settings, side: int = SIDE) -> bytes:
    """The centre of an image as a JPEG of `side` × `side` pixels.

    Raises:
        BadImage: the image is missing or cannot be decoded.
    """
    if sample.sha256:
        kept = _place(sample.sha256, settings, side)
        with contextlib.suppress(OSError):
            return kept.read_bytes()
    data = read_bytes(sample.path, sample.file, settings.limits)
    kept = _place(sample.sha256 or content_id(data), settings, side)
    with contextlib.suppress(OSError):
        return kept.read_bytes()
    small = _draw(decode(data, sample.file, settings.limits, draft=side), side)
    _keep(kept, small)
    return small


def forget_thumbnails(folder: Path, settings: Settings) -> None:
    """Remove the thumbnails of a set that is about to be deleted, but for images of other sets."""
    images = settings.datasets.glob("[!.]*/images/*")
    others = {image.stem for image in images if image.parent.parent != folder}
    for image in (folder / "images").glob("*"):
        if image.stem not in others:
            for kept in (settings.home / "thumbnails" / image.stem[:2]).glob(f"{image.stem}-*.jpg"):
                kept.unlink(missing_ok=True)


def _keep(place: Path, small: bytes) -> None:
    with contextlib.suppress(OSError):  # a full disk costs time, not the image
        place.parent.mkdir(parents=True, exist_ok=True)
        write_file(place, small)


def _place(sha256: str, settings: Settings, side: int) -> Path:
    return settings.home / "thumbnails" / sha256[:2] / f"{sha256}-{side}.jpg"


def _draw(image: Image.Image, side: int) -> bytes:
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    box = (left, top, left + short, top + short)
    square = image.resize((side, side), Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    buffer = io.BytesIO()
    square.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
