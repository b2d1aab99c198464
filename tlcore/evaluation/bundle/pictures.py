"""The pictures on which a format is compared with the page: the run's own, else drawn ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.datasets.decode import read
from tlcore.datasets.sample import PAINTERS, draw
from tlcore.errors import BadImage
from tlcore.evaluation.bundle.check import Pages
from tlcore.models.network import Network
from tlcore.settings import Limits
from tlcore.training.parts import judged_by
from tlcore.training.run import RunInfo

PICTURES = 32  # that each format is compared on


def pages_of(run: RunInfo, network: Network, folder: Path, limits: Limits) -> Pages:
    """Return the page's answers for the run's validation pictures, spread over its classes.

    Where fewer than PICTURES can be read, drawn pictures make up the number.

    Args:
        run: whose pictures.
        network: as the page loads it.
        folder: takes the drawn ones.
        limits: of files that are read.
    """
    paths, rows = [], []
    for path in _candidates(run, folder):
        try:
            answer = network.predict(read(path, limits))
        except BadImage:
            continue
        paths.append(path)
        rows.append(answer.probabilities)
        if len(paths) == PICTURES:
            break
    return Pages(tuple(paths), np.stack(rows), network.labels)


def _candidates(run: RunInfo, folder: Path) -> Iterator[Path]:
    yield from (sample.path.resolve() for sample in spread(judged_by(run)))
    for number in range(1, PICTURES + 1):
        for label in PAINTERS:
            path = folder / f"{label}-{number}.jpg"
            path.write_bytes(draw(label, "train", number))
            yield path


def spread(samples: list[Sample], count: int = PICTURES) -> list[Sample]:
    """Return ``count`` samples at even distances first, then the others."""
    step = max(1, len(samples) / count)
    first = {int(place * step) for place in range(min(count, len(samples)))}
    chosen = [sample for place, sample in enumerate(samples) if place in first]
    return chosen + [sample for place, sample in enumerate(samples) if place not in first]
