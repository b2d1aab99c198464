"""Small datasets on disk for tests that train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (30, 60, 200), "green": (30, 160, 60), "red": (200, 50, 40)}


def write_patches(folder: Path, classes: int = 3, each: int = 8, side: int = 48) -> Path:
    """Write class folders of noisy one-coloured images, PNG, the same every time."""
    generator = np.random.default_rng(0)
    for label, colour in list(COLOURS.items())[:classes]:
        (folder / label).mkdir(parents=True)
        for number in range(each):
            noise = generator.normal(0, 25, (side, side, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:02}.png")
    return folder
