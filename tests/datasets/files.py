"""Small real image files, made when a test asks for them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file of this format."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def scene(seed: int = 0, width: int = 40, height: int = 30) -> Image.Image:
    """Random soft colours, so that compressed files have something to lose."""
    generator = np.random.default_rng(seed)
    cells = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(seed: int = 0) -> bytes:
    return encoded(scene(seed), "JPEG", quality=80)


def every_format() -> dict[str, bytes]:
    """One image in each format we read."""
    image = scene(1)
    return {
        "a.jpg": encoded(image, "JPEG"),
        "a.png": encoded(image, "PNG"),
        "a.gif": encoded(image.convert("P"), "GIF"),
        "a.bmp": encoded(image, "BMP"),
        "a.webp": encoded(image, "WEBP", lossless=True),
        "a.tif": encoded(image, "TIFF", compression="tiff_lzw"),
        "a.avif": encoded(image, "AVIF"),
        "a.heic": encoded(image, "HEIF"),
        "a.jp2": encoded(image, "JPEG2000"),
        "a.j2k": encoded(image, "JPEG2000", no_jp2=True),
    }


def zipped(files: Mapping[str, bytes], **options: Any) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    buffer.seek(0)
    return buffer


def mutated(random: Random, data: bytes) -> bytes:
    """The bytes with one kind of damage."""
    kind = random.randrange(4)
    at = random.randrange(len(data))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + random.randbytes(random.randint(1, 16)) + data[at:]
    changed = bytearray(data)
    reach = len(data) if kind == 2 else min(len(data), 64)  # headers deserve more attention
    for _ in range(random.randint(1, 8)):
        changed[random.randrange(reach)] = random.randrange(256)
    return bytes(changed)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
