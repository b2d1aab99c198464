"""Images that are nearly the same: a perceptual hash for candidates, a small copy to confirm them.

The hash is that of C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions
(2010): grey, 32 × 32 pixels, discrete cosine transform, and of the 8 × 8 lowest frequencies whether
each is above their median. Pairs whose hashes differ in at most 12 of 64 bits are candidates. A
candidate stays if copies of 16 × 16 pixels agree after one is given the mean and the contrast of
the other, which keeps two different skies apart.

The limits were measured on 76 images, each against itself saved as JPEG of quality 30, at half the
size, 160 pixels wide, 15% brighter and with contrast 1.2: at most 4 bits, correlation at least
0.990, 95% of the pixels within 11 levels, the worst within 22. The nearest two of 397 images of
insects, no two alike: 24 bits, correlation 0.80. Crops of 1% a side are recognised in 62 to 67%,
of 2% in 10 to 18%; a caption laid over is seldom.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

HASHED_SIDE = 32  # pixels of the grey image that is hashed
COPY_SIDE = 16  # pixels of the small copy by which candidates are compared
BITS = 12  # of 64 in which two hashes may differ
CORRELATION = 0.97  # of the 16 × 16 grey levels, at least
DIFFERENCE = 20.0  # levels by which 95% of the pixels may differ, exposure evened out
WORST_DIFFERENCE = 30.0  # levels by which the worst pixel may differ
EXPOSURE = 40.0  # levels between the mean colours, at most
ASPECT = 1.15  # how much longer in proportion one image may be
_FREQUENCIES = 8  # in each direction
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_TEXTURE = 3.0  # standard deviation of grey levels below which there is no shape to compare
# The same of what rows and columns do not explain by themselves: less is a gradient, whose hash is
# rounding noise and differs from one processor to another.
_CROSS_TEXTURE = 1.0
_CHUNK = 4096  # candidates compared at a time, so that memory stays bounded

Floats = NDArray[np.floating[Any]]


def perceptual_hash(grey: Floats) -> int:
    """Return the perceptual hash of grey levels, float32 (32, 32): 0 to 2**64 - 1."""
    low = (_cosines() @ grey @ _cosines().T).ravel()
    middle = np.sort(low)[low.size // 2 - 1 : low.size // 2 + 1].sum() / 2
    return int.from_bytes(np.packbits(low > middle).tobytes(), "big")


@cache
def _cosines() -> Floats:
    """Return the lowest rows of the DCT-II, the constant one left out: float32 (8, 32)."""
    rows = np.arange(1, _FREQUENCIES + 1)[:, None]
    columns = np.arange(HASHED_SIDE)[None, :]
    waves: Floats = np.cos(np.pi / HASHED_SIDE * rows * (columns + 0.5))
    return waves.astype(np.float32)


def group_near_duplicates(
    hashes: Sequence[int], copies: NDArray[np.uint8], aspects: Sequence[float]
) -> list[list[int]]:
    """Group images that are nearly the same, directly or through others.

    Args:
        hashes: perceptual hash of each image.
        copies: RGB (images, 16, 16, 3), the small copies.
        aspects: width divided by height of each image.

    Returns:
        Positions of the images of each group, sorted; two or more in a group.
    """
    return join_pairs(len(hashes), find_near_pairs(hashes, copies, aspects))


def join_pairs(number: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the groups of so many positions that pairs join, sorted; two or more in a group."""
    group = {at: [at] for at in range(number)}  # position → its group, shared by its members
    for i, j in pairs:
        less, more = sorted((group[i], group[j]), key=len)
        if less is not more:
            more += less
            group.update(dict.fromkeys(less, more))
    unique = {id(some): some for some in group.values() if len(some) > 1}
    return sorted(sorted(some) for some in unique.values())


def find_near_pairs(
    hashes: Sequence[int], copies: NDArray[np.uint8], aspects: Sequence[float]
) -> list[tuple[int, int]]:
    """Return the positions (i, j), i < j, of images that are nearly the same.

    Takes what ``group_near_duplicates`` takes.
    """
    codes, ratios = np.array(hashes, np.uint64), np.array(aspects)
    candidates = [np.empty((0, 2), np.int64)]
    for i in range(len(hashes)):
        ratio = ratios[i + 1 :] / ratios[i]
        is_near = np.bitwise_count(codes[i + 1 :] ^ codes[i]) <= BITS
        others = np.flatnonzero(is_near & (ratio < ASPECT) & (ratio > 1 / ASPECT)) + i + 1
        candidates.append(np.stack([np.full_like(others, i), others], axis=1))
    pairs = np.concatenate(candidates)
    colours = copies.reshape(len(copies), COPY_SIDE**2, 3).astype(np.float32)
    chunks = np.split(pairs, range(_CHUNK, len(pairs), _CHUNK))
    return [(int(i), int(j)) for some in chunks for i, j in some[_agree(colours, some)]]


def _agree(colours: Floats, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the small copies (images, 256, 3) of each pair show the same: (pairs,)."""
    left, right = colours[pairs[:, 0]], colours[pairs[:, 1]]
    mean_left, mean_right = left.mean(axis=1, keepdims=True), right.mean(axis=1, keepdims=True)
    left, right = left - mean_left, right - mean_right
    grey_left, grey_right = left @ _GREY, right @ _GREY
    spread_left, spread_right = grey_left.std(axis=1), grey_right.std(axis=1)
    spread = np.maximum(spread_left * spread_right, 1e-6)
    correlation = (grey_left * grey_right).mean(axis=1) / spread
    gain = np.clip(spread_left / np.maximum(spread_right, 1e-6), 0.6, 1.6)
    difference = np.abs(left - right * gain[:, None, None]).mean(axis=2)  # (pairs, 256)
    agree: NDArray[np.bool_] = (
        (np.minimum(spread_left, spread_right) >= _TEXTURE)
        & (np.minimum(_cross_texture(grey_left), _cross_texture(grey_right)) >= _CROSS_TEXTURE)
        & (correlation >= CORRELATION)
        & (np.percentile(difference, 95, axis=1) <= DIFFERENCE)
        & (difference.max(axis=1) <= WORST_DIFFERENCE)
        & (np.abs(mean_left - mean_right).max(axis=(1, 2)) <= EXPOSURE)
    )
    return agree


def _cross_texture(grey: Floats) -> Floats:
    """Return the spread of grey levels (pairs, 256) without the means of rows and columns."""
    square = grey.reshape(-1, COPY_SIDE, COPY_SIDE)
    square = square - square.mean(axis=1, keepdims=True)
    square = square - square.mean(axis=2, keepdims=True)
    spread: Floats = square.std(axis=(1, 2))
    return spread
