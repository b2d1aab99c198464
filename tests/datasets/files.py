"""Small real image files, made when a test asks for them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
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


def deep(values: np.ndarray, form: str, **options: Any) -> bytes:
    """A 16-bit file, grey (height, width) or RGB (height, width, 3), which Pillow cannot write."""
    if values.ndim == 2:
        return encoded(Image.fromarray(values.astype(np.uint16)), form, **options)
    height, width, _ = values.shape
    if form == "PNG":
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks)
    tags = ((256, width), (257, height), (258, 16), (259, 1), (262, 2), (273, 8), (277, 3),
            (278, height), (279, values.size * 2))  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    pixels = values.astype("<u2").tobytes()
    return (b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", len(tags))
            + entries + bytes(4))  # fmt: skip


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


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
