"""What the doctor keeps of a picture from the one time it was decoded."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tlcore.datasets.doctor.phash import SIDE, phash
from tlcore.datasets.header import Header

VERSION = 1  # of the measuring: facts of another version are measured again
LOOK = 16  # pixels a side of the small look that candidates for near duplicates are compared by
_REDUCED = 64  # pixels a side of the blended whole
_SAMPLED = 32  # pixels a side that are picked, not blended, to count flatness
COUNTED = 0.7  # share of one colour from which colours are counted: it takes long
_ALIKE = 8  # grey levels a channel within which two pixels are the same ground


@dataclass(frozen=True)
class Facts:
    """One file, by its content; nothing here depends on its name, label or split."""

    sha256: str
    header: Header
    width: int  # pixels, upright
    height: int
    deviation: float  # standard deviation of grey levels, 0 to 127.5
    flat: float  # share of one colour: of pixels within 8 levels of the median, 0 to 1
    colours: int  # distinct among 32 × 32 pixels, counted on a flat ground only; else 1024
    hash: int  # perceptual, 64 bits
    look: str  # RGB, 16 × 16, base64

    def to_json(self) -> dict[str, Any]:
        return {"version": VERSION, **vars(self), "header": vars(self.header)}

    def __post_init__(self) -> None:
        if len(base64.b64decode(self.look)) != LOOK * LOOK * 3:
            raise ValueError("the small look has another size")

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The small look: uint8 (16, 16, 3)."""
        raw = base64.b64decode(self.look)
        return np.frombuffer(raw, np.uint8).reshape(LOOK, LOOK, 3)


def measure(image: Image.Image, header: Header, sha256: str) -> Facts:
    """Look at a decoded picture (RGB, upright); a third of the time it took to decode it."""
    small = _reduced(image)
    grey = np.asarray(small.convert("L"), np.float32)
    flat, colours = _ground(grey, image)
    blocks = grey.reshape(SIDE, _REDUCED // SIDE, SIDE, _REDUCED // SIDE)
    look = small.resize((LOOK, LOOK), Image.Resampling.BOX).tobytes()
    return Facts(
        sha256,
        header,
        image.width,
        image.height,
        round(float(grey.std()), 2),
        round(flat, 4),
        colours,
        phash(blocks.mean(axis=(1, 3))),
        base64.b64encode(look).decode("ascii"),
    )


def _reduced(image: Image.Image) -> Image.Image:
    """The whole picture as 64 × 64 means, a quick halving first; the box keeps edges in place."""
    factor = max(1, min(image.size) // _REDUCED)
    quick = image.reduce(factor) if factor > 1 else image
    box = (0.0, 0.0, image.width / factor, image.height / factor)
    return quick.resize((_REDUCED, _REDUCED), Image.Resampling.BOX, box=box)


def _ground(grey: NDArray[np.floating[Any]], image: Image.Image) -> tuple[float, int]:
    """The share of one colour in a picture, and how many there are beside it.

    Most pictures have no ground in their grey levels already, and are not looked at in colour.
    """
    levels = grey.ravel()
    median = np.partition(levels, levels.size // 2)[levels.size // 2]
    flat = np.count_nonzero(np.abs(levels - median) <= _ALIKE) / levels.size
    if flat < COUNTED:
        return flat, _SAMPLED**2
    sampled = image.resize((_SAMPLED, _SAMPLED), Image.Resampling.NEAREST)
    pixels = np.asarray(sampled).reshape(-1, 3).astype(np.int16)
    ground = np.median(pixels, axis=0)
    near = (np.abs(pixels - ground) <= _ALIKE).all(axis=1)
    return np.count_nonzero(near) / len(pixels), len(np.unique(pixels, axis=0))
