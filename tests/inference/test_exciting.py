"""The pictures that excite a channel most: part by part, kept, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.inference.exciting import PART, excitement
from tlcore.models.answers import Floats, Pretrained
from tlcore.settings import Settings

REF = Pretrained("MobileNet-0.25", 64, random=True)


def a_set(pictures: int) -> Dataset:
    samples = [Sample(f"{n}.png", Path(str(n)), f"{n:04}", "a", None) for n in range(pictures)]
    return Dataset("set", tuple(samples))


def by_name(paths: Sequence[Path]) -> tuple[Floats, tuple[str, ...]]:
    """Channel 0 grows with the number, channel 1 falls; picture 3 cannot be read."""
    rows = [[int(path.name), -int(path.name)] for path in paths]
    values = np.array(rows, np.float32)
    values[[path.name == "3" for path in paths]] = np.nan
    return values, ()


def test_parts_are_computed_once_and_a_stop_keeps_them(settings: Settings) -> None:
    dataset = a_set(PART + 5)
    found = excitement(dataset, REF, "layer", settings)
    found.step(by_name)
    assert (found.done, found.complete) == (PART, False)
    again = excitement(dataset, REF, "layer", settings)  # after a restart
    again.step(by_name)
    assert again.complete
    assert again.done == PART + 5
    again.step(lambda paths: 1 / 0)  # nothing is left to ask
    assert [int(sample.sha256) for sample, _ in again.best(0)] == [*range(20, 11, -1)]
    assert [int(sample.sha256) for sample, _ in again.best(1)][:4] == [0, 1, 2, 4]


def test_another_layer_network_or_picture_is_another_question(settings: Settings) -> None:
    folders = {
        excitement(a_set(3), REF, "layer", settings).folder,
        excitement(a_set(3), REF, "other", settings).folder,
        excitement(a_set(3), replace(REF, size=96), "layer", settings).folder,
        excitement(a_set(4), REF, "layer", settings).folder,
    }
    assert len(folders) == 4
