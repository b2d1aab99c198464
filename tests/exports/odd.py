"""Image files of every kind that is read in a way of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.datasets.files import deep, encoded, every_format, png_chunk, scene


def odd_files(folder: Path) -> list[Path]:
    """Write one file of each kind: formats, modes, transparency, deep greys, EXIF marks, shapes."""
    wide = scene(3, 61, 40)
    greys = (np.arange(40 * 61, dtype=np.uint16) * 26).reshape(40, 61)
    twelve = np.stack([greys // 16, greys[::-1] // 16, greys[:, ::-1] // 17], axis=-1)  # bits
    marked = deep(twelve[..., 0] // 5, "PNG")
    at = marked.index(b"IDAT") - 4
    alpha = wide.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(wide.size))
    files = dict(every_format())
    files |= {
        "grey.png": encoded(wide.convert("L")),
        "grey-alpha.png": encoded(alpha.convert("LA")),
        "alpha.png": encoded(alpha),
        "palette.png": encoded(wide.convert("P"), transparency=3),
        "one-bit.png": encoded(wide.convert("1")),
        "ink.jpg": encoded(wide.convert("CMYK"), "JPEG"),
        "deep.png": encoded(Image.fromarray(greys)),
        "deep.tif": encoded(Image.fromarray(greys), "TIFF"),
        "float.tif": encoded(Image.fromarray(greys.astype(np.float32) / 7 - 100), "TIFF"),
        "whole.tif": encoded(Image.fromarray(greys.astype(np.int32) * 9), "TIFF"),
        "12-bits.png": deep(twelve[..., 0], "PNG"),
        "12-bits.tif": deep(twelve[..., 0], "TIFF"),
        "12-bits-rgb.png": deep(twelve, "PNG"),
        "12-bits-rgb.tif": deep(twelve, "TIFF"),
        "16-bits-rgb.png": deep(twelve * 15, "PNG"),
        "declared.png": marked[:at] + png_chunk(b"sBIT", bytes([12])) + marked[at:],
        "declared.tif": deep(twelve[..., 0] // 5, "TIFF", tiffinfo={281: 4095}),
        "deep.jp2": encoded(Image.fromarray(greys), "JPEG2000"),
        "alpha.avif": encoded(alpha, "AVIF"),
        "alpha.heic": encoded(alpha, "HEIF"),
        "tall.png": encoded(scene(4, 9, 200)),
        "tiny.png": encoded(scene(5, 1, 1)),
        "large.jpg": encoded(scene(6, 900, 700), "JPEG"),
    }
    files |= {f"turned-{turn}.jpg": turned(wide, turn) for turn in range(1, 9)}
    files |= {f"turned.{form.lower()}": turned(wide, 6, form) for form in ("HEIF", "AVIF")}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def turned(image: Image.Image, turn: int, form: str = "JPEG") -> bytes:
    """An image with an EXIF mark of how the camera was held, 1 to 8."""
    exif = Image.Exif()
    exif[0x0112] = turn
    return encoded(image, form, quality=92, exif=exif.tobytes())
