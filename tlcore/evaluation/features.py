"""The frozen network's features of a run's pictures, as the head learned from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.errors import RunError
from tlcore.settings import Settings
from tlcore.training.parts import pictures_of
from tlcore.training.pictures import Request
from tlcore.training.store import load_run
from tlcore.training.supply import Supply

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Features:
    """The pooled features of the pictures that could be read."""

    run: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]  # (n,) as the run noted them, ``split`` its part of the run
    labels: npt.NDArray[np.int64]  # (n,) index of each picture's class
    values: Floats  # (n, features) float32
    computed: int  # pictures whose features had to be computed now; 0: all were kept


def features(settings: Settings, run: str, *parts: str) -> Features:
    """Return the features of these parts of a run, without any view.

    What the cache has lost is computed anew, which loads TensorFlow: ask the inference process.

    Raises:
        RunError: no such run, or none of its pictures can be read.
        WeightsMissing: something has to be computed and the backbone's weights are gone.
    """
    found = load_run(run, settings)
    samples = [
        sample for part in parts for sample in pictures_of(found.info, part) if sample.sha256
    ]
    supply = Supply(found.info.config, len(found.classes), settings)
    try:
        requests = [Request(sample) for sample in samples]
        missing = supply.missing([supply.pooled], requests)
        supply.compute(
            [supply.pooled], missing, done=lambda _: None, skipped=lambda file, reason: None
        )
        good, values = supply.kept(samples)
    finally:
        supply.close()
    if not good:
        raise RunError(
            f"Expected pictures of run {run} that can be read. Received none: their files are "
            "gone. Put them back, or start a new run."
        )
    labels = np.array([found.classes.index(sample.label) for sample in good], np.int64)
    return Features(run, found.classes, tuple(good), labels, values, len(missing))
