"""Views of a picture: mirrored, shifted, turned, lighter or darker, each the same every time.

A view is drawn on the square that the network would see, before its preprocessing, so it can be
looked at. What it is depends on the seed, the view's number and the picture's content alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

VERSION = 1  # of what is drawn; another one makes cached views of the old one unfindable
SHIFT = 0.1  # of the side
ZOOM = 1.2  # at most
ANGLE = 15.0  # degrees
LIGHT = 0.2  # share of brightness, and of contrast


def view_name(kinds: Sequence[str], seed: int, number: int) -> str:
    """Return what a view is, for the cache."""
    return f"{VERSION}:{'+'.join(sorted(kinds))}:{seed}:{number}"


def view(pixels: Pixels, kinds: Sequence[str], *, sha256: str, seed: int, number: int) -> Pixels:
    """Draw one view of a picture.

    Args:
        pixels: uint8 (side, side, 3) RGB; not changed.
        kinds: keys of AUGMENTATIONS.
        sha256: of the picture's file, hexadecimal.
        seed: the run's.
        number: another number, another view.

    Returns:
        uint8 (side, side, 3).
    """
    draw = np.random.default_rng([seed, number, int(sha256[:15] or "0", 16)])
    # Always drawn, whether used or not: leaving one kind out leaves the others as they were.
    mirrored = draw.random() < 0.5
    shift = draw.uniform(-SHIFT, SHIFT, 2)
    zoom = draw.uniform(1.0, ZOOM)
    angle = math.radians(draw.uniform(-ANGLE, ANGLE))
    light, contrast = draw.uniform(1 - LIGHT, 1 + LIGHT, 2)
    if "flip" in kinds and mirrored:
        pixels = pixels[:, ::-1]
    moved = "shift" in kinds
    if moved or "rotate" in kinds:
        pixels = _moved(
            pixels,
            angle if "rotate" in kinds else 0.0,
            zoom if moved else 1.0,
            shift if moved else np.zeros(2),
        )
    return _lit(pixels, light, contrast) if "light" in kinds else np.ascontiguousarray(pixels)


def _moved(pixels: Pixels, angle: float, zoom: float, shift: npt.NDArray[np.float64]) -> Pixels:
    """Turn, enlarge and shift; what comes in from outside is the picture mirrored at its edge."""
    side = pixels.shape[0]
    border = side // 2
    wide = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="reflect")
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    middle = border + side / 2
    x0 = middle + shift[0] * side - (cos - sin) * side / 2
    y0 = middle + shift[1] * side - (sin + cos) * side / 2
    moved = Image.fromarray(wide).transform(
        (side, side),
        Image.Transform.AFFINE,
        (cos, -sin, x0, sin, cos, y0),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(moved)


def _lit(pixels: Pixels, light: float, contrast: float) -> Pixels:
    mean = float(pixels.mean())
    table = (np.arange(256.0) * light - mean * light) * contrast + mean * light
    return np.clip(np.rint(table), 0, 255).astype(np.uint8)[pixels]
