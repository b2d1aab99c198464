"""Pictures that are nearly the same, found without looking at every pair at length.

Two sieves. Fingerprints that differ in few bits are candidates: exclusive-or and a count of bits,
a row against all later ones, is an instant for thousands. A candidate stays if the small looks
agree in shape (correlation of grey levels, so that exposure does not matter) and in colour. The
second sieve is what keeps two different skies apart: their fingerprints may well agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlcore.images.doctor.facts import Facts

BITS = 12  # of 64 in which two fingerprints may differ
CORRELATION = 0.97  # of the 16 × 16 grey levels, at least
COLOUR = 14.0  # mean difference of colour, levels, at most; after each look's own mean is taken off
ASPECT = 1.15  # how much longer in proportion one picture may be
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_TEXTURE = 3.0  # standard deviation of grey levels below which a picture has no shape to compare

Floats = NDArray[np.floating[Any]]


def near_pairs(facts: Sequence[Facts]) -> list[tuple[int, int]]:
    """Positions (i, j), i < j, of facts whose pictures are nearly the same."""
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
    """Whether each pair's looks, float32 (n, 16, 16, 3), show the same."""
    flat = looks.reshape(len(looks), -1, 3)
    grey = flat @ _GREY
    spread = grey.std(axis=1)
    shape = (grey - grey.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-6)[:, None]
    centred = flat - flat.mean(axis=1, keepdims=True)
    agree = np.zeros(len(pairs), bool)
    for at in range(0, len(pairs), 4096):  # bounded memory, however many candidates
        i, j = pairs[at : at + 4096].T
        correlation = (shape[i] * shape[j]).mean(axis=1)
        colour = np.abs(centred[i] - centred[j]).mean(axis=(1, 2))
        textured = np.minimum(spread[i], spread[j]) >= _TEXTURE
        agree[at : at + 4096] = (correlation >= CORRELATION) & (colour <= COLOUR) & textured
    return agree
