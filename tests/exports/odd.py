"""Image files of every kind that is read in a way of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.datasets.files import encoded, every_format, scene


def odd_files(folder: Path) -> list[Path]:
    """Write one file of each kind: formats, modes, transparency, deep greys, EXIF marks, shapes."""
    wide = scene(3, 61, 40)
    deep = (np.arange(40 * 61, dtype=np.uint16) * 26).reshape(40, 61)
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
        "deep.png": encoded(Image.fromarray(deep)),
        "deep.tif": encoded(Image.fromarray(deep), "TIFF"),
        "float.tif": encoded(Image.fromarray(deep.astype(np.float32) / 7 - 100), "TIFF"),
        "whole.tif": encoded(Image.fromarray(deep.astype(np.int32) * 9), "TIFF"),
        "tall.png": encoded(scene(4, 9, 200)),
        "tiny.png": encoded(scene(5, 1, 1)),
        "large.jpg": encoded(scene(6, 900, 700), "JPEG"),
    }
    files |= {f"turned-{turn}.jpg": turned(wide, turn) for turn in range(1, 9)}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def turned(image: Image.Image, turn: int) -> bytes:
    """A JPEG with an EXIF mark of how the camera was held, 1 to 8."""
    exif = Image.Exif()
    exif[0x0112] = turn
    return encoded(image, "JPEG", quality=92, exif=exif.tobytes())
