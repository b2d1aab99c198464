"""Images that are nearly the same, found without looking at every pair at length.

Two sieves. Fingerprints that differ in few bits are candidates: exclusive-or and a count of bits,
a row against all later ones, is an instant for thousands. A candidate stays if the small looks
agree: same shape (correlation of grey levels), and after one is given the other's mean and contrast
hardly a spot that differs. The second sieve is what keeps two different skies apart, whose
fingerprints may well agree.

The bounds were set by measurement on 50 images and 26 drawn images, each against itself made
anew (bits apart, correlation, 95% of the spots differ by less, the worst spot; each the extreme of
the 76), and on 397 images of insects, no two alike:

====================  ====  ===========  ===========  =====
made anew as           bits  correlation  95% of spots  worst
====================  ====  ===========  ===========  =====
JPEG of quality 30       2        0.999           3      3
half the size            4        0.994           8     10
160 pixels wide          4        0.996           8     12
15% brighter             4        0.990          11     22
contrast 1.2             4        0.997           9     15
nearest two insects     24        0.80
====================  ====  ===========  ===========  =====

Of crops, 1% a side is found in 62% (125 images of ImageNet) and 67% (153 of insects), 1.5% in
22% and 35%, 2% in 10% and 18%; of 4%, or with a caption laid over, seldom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlcore.datasets.quality import LOOK, Facts

BITS = 12  # of 64 in which two fingerprints may differ
CORRELATION = 0.97  # of the 16 × 16 grey levels, at least
SPOTS = 20.0  # levels by which 95% of the 256 spots may differ, exposure evened out
WORST = 30.0  # and the worst of them
EXPOSURE = 40.0  # levels between the mean colours, at most
ASPECT = 1.15  # how much longer in proportion one image may be
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_TEXTURE = 3.0  # standard deviation of grey levels below which an image has no shape to compare
_CROSS = 1.0  # the same of what rows and columns by themselves do not explain: less is a gradient,
# whose fingerprint is rounding noise and differs from one processor to another
_CHUNK = 4096  # candidates compared at a time, so that memory stays bounded

Floats = NDArray[np.floating[Any]]


def near_pairs(facts: Sequence[Facts]) -> list[tuple[int, int]]:
    """Positions (i, j), i < j, of facts whose images are nearly the same."""
    hashes = np.array([one.hash for one in facts], np.uint64)
    candidates = np.array(list(_candidates(hashes)), np.int64).reshape(-1, 2)
    if not len(candidates):
        return []
    looks = np.stack([one.pixels for one in facts]).astype(np.float32)
    aspects = np.array([one.width / one.height for one in facts])
    left, right = candidates.T
    ratio = aspects[left] / aspects[right]
    same_shape = (ratio < ASPECT) & (ratio > 1 / ASPECT)
    kept = candidates[same_shape]
    return [(int(i), int(j)) for i, j in kept[_agree(looks, kept)]]


def groups(count: int, pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Positions 0 … count - 1 joined by pairs, directly or through others; two or more each."""
    parent = list(range(count))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for i, j in pairs:
        parent[max(root(i), root(j))] = min(root(i), root(j))
    joined: dict[int, list[int]] = {}
    for at in {at for pair in pairs for at in pair}:
        joined.setdefault(root(at), []).append(at)
    return [sorted(joined[key]) for key in sorted(joined)]


def _candidates(hashes: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    for i in range(len(hashes) - 1):
        apart = np.bitwise_count(hashes[i + 1 :] ^ hashes[i])
        for j in np.flatnonzero(apart <= BITS):
            yield i, i + 1 + int(j)


def _agree(looks: Floats, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each pair's looks, float32 (n, 16, 16, 3), show the same: bool (pairs,)."""
    flat = looks.reshape(len(looks), -1, 3)
    parts = [_agree_some(flat, pairs[at : at + _CHUNK]) for at in range(0, len(pairs), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0, bool)


def _agree_some(flat: Floats, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    left, right = flat[pairs[:, 0]], flat[pairs[:, 1]]
    mean_left, mean_right = left.mean(axis=1, keepdims=True), right.mean(axis=1, keepdims=True)
    left, right = left - mean_left, right - mean_right
    grey_left, grey_right = left @ _GREY, right @ _GREY
    spread_left, spread_right = grey_left.std(axis=1), grey_right.std(axis=1)
    spread = np.maximum(spread_left * spread_right, 1e-6)
    correlation = (grey_left * grey_right).mean(axis=1) / spread
    gain = np.clip(spread_left / np.maximum(spread_right, 1e-6), 0.6, 1.6)
    apart = np.abs(left - right * gain[:, None, None]).mean(axis=2)  # (pairs, 256)
    agree: NDArray[np.bool_] = (
        (np.minimum(spread_left, spread_right) >= _TEXTURE)
        & (np.minimum(_cross(grey_left), _cross(grey_right)) >= _CROSS)
        & (correlation >= CORRELATION)
        & (np.percentile(apart, 95, axis=1) <= SPOTS)
        & (apart.max(axis=1) <= WORST)
        & (np.abs(mean_left - mean_right).max(axis=(1, 2)) <= EXPOSURE)
    )
    return agree


def _cross(grey: Floats) -> Floats:
    """The spread of grey levels (pairs, 256) without the means of their rows and columns."""
    square = grey.reshape(-1, LOOK, LOOK)
    square = square - square.mean(axis=1, keepdims=True)
    square = square - square.mean(axis=2, keepdims=True)
    spread: Floats = square.std(axis=(1, 2))
    return spread
