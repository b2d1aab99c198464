"""Features of a run's images, as the head learned from them, and their two-dimensional map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import SPLITS, Sample
from tlcore.errors import RunError
from tlcore.models.predictions import Floats
from tlcore.settings import Settings
from tlcore.training.augmentation import ImageCopy
from tlcore.training.features import FeatureSource
from tlcore.training.provenance import list_samples
from tlcore.training.store import load_run

MAX_POINTS = 2000  # images on a map; of more a random subset is drawn


@dataclass(frozen=True, eq=False)
class RunFeatures:
    """The pooled features of the images that could be read."""

    run: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]  # (n,) with their split of the run
    labels: npt.NDArray[np.int64]  # (n,) index of each image's class
    values: Floats  # (n, features) float32
    computed: int  # images whose features were not in the cache


@dataclass(frozen=True, eq=False)
class Embedding:
    """The images of a run as points in the plane."""

    run: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]  # (n,) with their split of the run
    points: Floats  # (n, 2) float32, in the units of the features
    explained: tuple[float, float]  # share of the features' variance along each axis, 0…1
    total: int  # images in all; more than n where only a subset is drawn
    computed: int  # images whose features were not in the cache


def load_features(run: str, splits: Sequence[str], settings: Settings) -> RunFeatures:
    """Return the features of these splits of a run, without augmentation.

    What the cache no longer has is computed again: call it in an inference process.

    Raises:
        RunError: no such run, or none of its images can be read.
        WeightsMissing: something has to be computed and the backbone's weights are gone.
    """
    loaded = load_run(run, settings)
    samples = [s for split in splits for s in list_samples(loaded.info, split) if s.sha256]
    config = replace(loaded.info.config, fine_tune_epochs=0)  # the frozen features are wanted
    source = FeatureSource(config, len(loaded.classes), settings)
    missing = source.missing([source.pooling_layer], [ImageCopy(sample) for sample in samples])
    source.compute([source.pooling_layer], missing)
    readable, values = source.load_cached(samples)
    if not readable:
        raise RunError(
            f"Expected images of run {run} that can be read. Received none: their files are "
            "gone. Put them back, or start a new run."
        )
    labels = np.array([loaded.classes.index(sample.label) for sample in readable], np.int64)
    return RunFeatures(run, loaded.classes, tuple(readable), labels, values, len(missing))


def compute_embedding(run: str, settings: Settings) -> Embedding:
    """Return the map of the images of all splits of a run.

    Raises as ``load_features``, also RunError for fewer than three images.
    """
    features = load_features(run, SPLITS, settings)
    number = len(features.samples)
    if number < 3:
        raise RunError(f"Expected at least 3 images for a map. Received {number}. Add images.")
    chosen = np.arange(number)
    if number > MAX_POINTS:
        chosen = np.sort(np.random.default_rng(0).choice(number, MAX_POINTS, replace=False))
    points, explained = project_to_plane(features.values[chosen])
    samples = tuple(features.samples[place] for place in chosen.tolist())
    return Embedding(run, features.classes, samples, points, explained, number, features.computed)


def project_to_plane(values: Floats) -> tuple[Floats, tuple[float, float]]:
    """Return (n, 2) points and the share of variance along each axis of (n, features) values.

    The two principal components; the sign of each is fixed by its greatest weight, so that the
    same features give the same map. There are fewer images than features, mostly.
    """
    if not np.ptp(values, axis=0).any():
        return np.zeros((len(values), 2), np.float32), (0.0, 0.0)
    centred = values - values.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred @ centred.T)  # ascending
    weights = directions[:, [-1, -2]].T @ centred
    greatest = np.take_along_axis(weights, np.abs(weights).argmax(axis=1)[:, None], axis=1)
    scales = np.sqrt(np.maximum(variances[[-1, -2]], 0)) * np.sign(greatest[:, 0])
    first, second = np.maximum(variances[[-1, -2]] / variances.sum(), 0).tolist()
    return (directions[:, [-1, -2]] * scales).astype(np.float32), (first, second)
