"""A picture's fingerprint: 64 bits that survive another size, quality or exposure.

The perceptual hash of C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions
(2010): grey, 32 × 32 pixels, discrete cosine transform, and of its 8 × 8 lowest frequencies whether
each is above their median.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 32  # pixels that are transformed
LOW = 8  # frequencies a direction that are kept


def phash(grey: NDArray[np.floating[Any]]) -> int:
    """The fingerprint of grey levels, float32 (32, 32): 0 to 2**64 - 1."""
    low = (_cosines() @ grey @ _cosines().T).ravel()
    middle = np.sort(low)[low.size // 2 - 1 : low.size // 2 + 1].sum() / 2
    return int.from_bytes(np.packbits(low > middle).tobytes(), "big")


@cache
def _cosines() -> NDArray[np.floating[Any]]:
    """The lowest rows of the DCT-II, the constant one left out: float32 (8, 32)."""
    rows = np.arange(1, LOW + 1)[:, None]
    columns = np.arange(SIDE)[None, :]
    waves: NDArray[np.floating[Any]] = np.cos(np.pi / SIDE * rows * (columns + 0.5))
    return waves.astype(np.float32)
