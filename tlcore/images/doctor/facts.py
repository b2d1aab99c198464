"""What the doctor keeps of a picture from the one time it was decoded."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tlcore.images.doctor.phash import phash
from tlcore.images.header import Header

VERSION = 1  # of the measuring: facts of another version are measured again
LOOK = 16  # pixels a side of the small look that candidates for near duplicates are compared by
_SAMPLED = 64  # pixels a side: picked to count flatness, blended for all else
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
    flat: float  # share of pixels within 8 levels of the median colour, 0 to 1
    colours: int  # distinct ones among 64 × 64 pixels, counted on a flat ground only; else 4096
    hash: int  # perceptual, 64 bits
    look: str  # RGB, 16 × 16, base64

    def to_json(self) -> dict[str, Any]:
        return {"version": VERSION, **vars(self), "header": vars(self.header)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Raise KeyError, TypeError or ValueError for what is not of this version."""
        if fields.pop("version") != VERSION:
            raise ValueError("measured in another way")
        return cls(**{**fields, "header": Header(**fields["header"])})

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The small look: uint8 (16, 16, 3)."""
        raw = base64.b64decode(self.look)
        return np.frombuffer(raw, np.uint8).reshape(LOOK, LOOK, 3)


def measure(image: Image.Image, header: Header, sha256: str) -> Facts:
    """Look at a decoded picture (RGB, upright); a third of the time it took to decode it."""
    small = _reduced(image)
    flat, colours = _ground(image.resize((_SAMPLED, _SAMPLED), Image.Resampling.NEAREST))
    look = small.resize((LOOK, LOOK), Image.Resampling.BOX).tobytes()
    return Facts(
        sha256,
        header,
        image.width,
        image.height,
        round(float(np.asarray(small.convert("L")).std()), 2),
        round(flat, 4),
        colours,
        phash(small),
        base64.b64encode(look).decode("ascii"),
    )


def _reduced(image: Image.Image) -> Image.Image:
    """The whole picture as 64 × 64 means, a quick halving first; the box keeps edges in place."""
    factor = max(1, min(image.size) // _SAMPLED)
    quick = image.reduce(factor) if factor > 1 else image
    box = (0.0, 0.0, image.width / factor, image.height / factor)
    return quick.resize((_SAMPLED, _SAMPLED), Image.Resampling.BOX, box=box)


def _ground(sampled: Image.Image) -> tuple[float, int]:
    """The share of pixels near the median colour, and how many colours there are beside it."""
    histogram = np.asarray(sampled.histogram()).reshape(3, 256)
    half = sampled.width * sampled.height // 2
    median = (histogram.cumsum(axis=1) <= half).sum(axis=1)
    pixels = np.asarray(sampled).reshape(-1, 3)
    low, high = (np.clip(median + d, 0, 255).astype(np.uint8) for d in (-_ALIKE, _ALIKE))
    flat = float(((pixels >= low) & (pixels <= high)).all(axis=1).mean())
    if flat < COUNTED:
        return flat, len(pixels)
    return flat, len(np.unique(pixels, axis=0))
