"""What the doctor keeps of a picture from the one time it was decoded."""

from __future__ import annotations

import base64
import dataclasses
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
    colours: int  # distinct ones among 64 × 64 pixels
    hash: int  # perceptual, 64 bits
    look: str  # RGB, 16 × 16, base64

    def to_json(self) -> dict[str, Any]:
        return {"version": VERSION, **dataclasses.asdict(self)}

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
    """Look at a decoded picture (RGB, upright); about half a millisecond."""
    small = image.resize((_SAMPLED, _SAMPLED), Image.Resampling.BOX)
    sampled = np.asarray(image.resize((_SAMPLED, _SAMPLED), Image.Resampling.NEAREST))
    look = small.resize((LOOK, LOOK), Image.Resampling.BOX).tobytes()
    return Facts(
        sha256,
        header,
        image.width,
        image.height,
        round(float(np.asarray(small.convert("L")).std()), 2),
        round(_flat_share(sampled), 4),
        _distinct(sampled),
        phash(small),
        base64.b64encode(look).decode("ascii"),
    )


def _flat_share(sampled: NDArray[np.uint8]) -> float:
    pixels = sampled.reshape(-1, 3)
    ground = np.partition(pixels, len(pixels) // 2, axis=0)[len(pixels) // 2].astype(np.int16)
    return float((np.abs(pixels - ground) <= _ALIKE).all(axis=1).mean())


def _distinct(sampled: NDArray[np.uint8]) -> int:
    channels = sampled.reshape(-1, 3).astype(np.uint32)
    return len(np.unique((channels[:, 0] << 16) | (channels[:, 1] << 8) | channels[:, 2]))
