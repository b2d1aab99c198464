"""Thumbnails: small square JPEGs, made once and stored by content."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

from PIL import Image

from tlcore.datasets.dataset import Sample
from tlcore.datasets.image_io import content_id, decode_image, read_bytes
from tlcore.settings import Settings
from tlcore.storage import write_file

SIDE = 160  # pixels: sharp at 80 on a screen of double density
_QUALITY = 85  # of the JPEG: about 6 KB at 160 pixels


def load_thumbnail(sample: Sample, settings: Settings, side: int = SIDE) -> bytes:
    """Return the centre of an image as a JPEG of ``side`` × ``side`` pixels.

    Raises:
        BadImage: the image is missing or cannot be decoded.
    """
    if sample.sha256 and (stored := _read(_path(sample.sha256, settings, side))):
        return stored
    data = read_bytes(sample.path, sample.file, settings.limits)
    path = _path(sample.sha256 or content_id(data), settings, side)
    if not sample.sha256 and (stored := _read(path)):
        return stored
    image = decode_image(data, sample.file, settings.limits, draft=side)
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    box = (left, top, left + short, top + short)
    square = image.resize((side, side), Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    buffer = io.BytesIO()
    square.save(buffer, "JPEG", quality=_QUALITY)
    jpeg = buffer.getvalue()
    with suppress(OSError):  # a full disk costs time, not the image
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, jpeg)
    return jpeg


def delete_thumbnails(folder: Path, settings: Settings) -> None:
    """Delete the thumbnails of a dataset's folder, but those of images that others have too."""
    images = settings.datasets.glob("[!.]*/images/*")
    others = {image.stem for image in images if image.parent.parent != folder}
    for image in (folder / "images").glob("*"):
        if image.stem not in others:
            for path in _path(image.stem, settings, 0).parent.glob(f"{image.stem}-*.jpg"):
                path.unlink(missing_ok=True)


def _path(sha256: str, settings: Settings, side: int) -> Path:
    return settings.home / "thumbnails" / sha256[:2] / f"{sha256}-{side}.jpg"


def _read(path: Path) -> bytes:
    """Return a stored thumbnail; b"" where there is none, or an empty file after a power cut."""
    with suppress(OSError):
        return path.read_bytes()
    return b""
