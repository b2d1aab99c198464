"""Pooled features in two dimensions: the two directions in which they differ most.

Principal components (K. Pearson, 1901; H. Hotelling, 1933) by singular value decomposition. Every
picture keeps its place for the same features: the sign of each direction is fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.errors import RunError
from tlcore.evaluation.features import features
from tlcore.settings import Settings

MOST = 2000  # pictures on a map: beyond that it is drawn from a part of them
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Pictures as points."""

    run: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]  # (n,) ``split`` is the part of the run
    points: Floats  # (n, 2) float32, in the units of the features
    explained: tuple[float, float]  # share of the features' variance along each axis, 0…1
    of: int  # pictures in all; more than n where only a part is drawn
    computed: int  # pictures whose features were gone from the cache and computed anew


def embed(settings: Settings, run: str) -> Embedding:
    """Return the map of a run's training and validation pictures, and of its test pictures.

    Raises as ``features`` does, and RunError for fewer than three pictures.
    """
    found = features(settings, run, "train", "val", "test")
    number = len(found.samples)
    if number < 3:
        raise RunError(f"Expected at least 3 pictures for a map. Received {number}. Add pictures.")
    places = _some(number)
    points, explained = principal(found.values[places])
    samples = tuple(found.samples[place] for place in places.tolist())
    return Embedding(run, found.classes, samples, points, explained, number, found.computed)


def principal(values: Floats) -> tuple[Floats, tuple[float, float]]:
    """Return (n, 2) points and the share of variance along each axis of (n, features) values.

    Each direction points to where its greatest weight is positive.
    """
    centred = values - values.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    two = directions[:2]
    greatest = np.abs(two).argmax(axis=1)
    two = two * np.sign(two[np.arange(len(two)), greatest])[:, None]
    powers = lengths.astype(np.float64) ** 2
    total = powers.sum() or 1.0
    return centred @ two.T, (float(powers[0] / total), float(powers[1] / total))


def _some(number: int) -> npt.NDArray[np.int64]:
    """Return the places that are drawn, in order; the same each time."""
    if number <= MOST:
        return np.arange(number)
    return np.sort(np.random.default_rng(0).choice(number, MOST, replace=False))
