"""The frozen network's features of a run's images, as the head learned from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.errors import RunError
from tlcore.settings import Settings
from tlcore.training.augmentation import ImageCopy
from tlcore.training.features import FeatureSource
from tlcore.training.provenance import list_samples
from tlcore.training.store import load_run

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RunFeatures:
    """The pooled features of the images that could be read."""

    run: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]  # (n,) as the run noted them, ``split`` its part of the run
    labels: npt.NDArray[np.int64]  # (n,) index of each image's class
    values: Floats  # (n, features) float32
    computed: int  # images whose features had to be computed now; 0: all were kept


def load_features(settings: Settings, run: str, *parts: str) -> RunFeatures:
    """Return the features of these parts of a run, without any view.

    What the cache has lost is computed anew, which loads TensorFlow: ask the inference process.

    Raises:
        RunError: no such run, or none of its images can be read.
        WeightsMissing: something has to be computed and the backbone's weights are gone.
    """
    found = load_run(run, settings)
    samples = [
        sample for part in parts for sample in list_samples(found.info, part) if sample.sha256
    ]
    supply = FeatureSource(found.info.config, len(found.classes), settings)
    try:
        requests = [ImageCopy(sample) for sample in samples]
        missing = supply.missing([supply.pooled], requests)
        supply.compute(
            [supply.pooled], missing, done=lambda _: None, skipped=lambda file, reason: None
        )
        good, values = supply.kept(samples)
    finally:
        supply.close()
    if not good:
        raise RunError(
            f"Expected images of run {run} that can be read. Received none: their files are "
            "gone. Put them back, or start a new run."
        )
    labels = np.array([found.classes.index(sample.label) for sample in good], np.int64)
    return RunFeatures(run, found.classes, tuple(good), labels, values, len(missing))


# Pooled features in two dimensions: the two directions in which they differ most.
#
# Principal components (K. Pearson, 1901; H. Hotelling, 1933) by singular value decomposition.
# Every image keeps its place for the same features: the sign of each direction is fixed.


MOST = 2000  # images on a map: beyond that it is drawn from a part of them
EmbeddingFloats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Images as points."""

    run: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]  # (n,) ``split`` is the part of the run
    points: EmbeddingFloats  # (n, 2) float32, in the units of the features
    explained: tuple[float, float]  # share of the features' variance along each axis, 0…1
    total: int  # images in all; more than n where only a part is drawn
    computed: int  # images whose features were gone from the cache and computed anew


def compute_embedding(run: str, settings: Settings) -> Embedding:
    """Return the map of a run's training and validation images, and of its test images.

    Raises as ``load_features`` does, and RunError for fewer than three images.
    """
    found = load_features(settings, run, "train", "val", "test")
    number = len(found.samples)
    if number < 3:
        raise RunError(f"Expected at least 3 images for a map. Received {number}. Add images.")
    places = _some(number)
    points, explained = project_to_plane(found.values[places])
    samples = tuple(found.samples[place] for place in places.tolist())
    return Embedding(run, found.classes, samples, points, explained, number, found.computed)


def project_to_plane(values: EmbeddingFloats) -> tuple[EmbeddingFloats, tuple[float, float]]:
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
