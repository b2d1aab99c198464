"""The images that excite a channel most: part by part, kept, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tlcore.activations.top_images import CHUNK, TopImages, find_top_images
from tlcore.datasets.dataset import Dataset, Sample
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings

REF = ModelRef("MobileNet-0.25", 64, random=True)


def a_set(images: int) -> Dataset:
    samples = [Sample(f"{n}.png", Path(str(n)), f"{n:04}", "a", None) for n in range(images)]
    return Dataset("set", tuple(samples))


def by_name(paths: Sequence[Path]) -> tuple[Floats, tuple[str, ...]]:
    """Channel 0 grows with the number, 1 falls, 2 is cut off at 6; image 3 cannot be read.

    The means of channel 2 grow with the number, and so does its value below the cut.
    """
    numbers = [int(path.name) for path in paths]
    highest = [[n, -n, min(6, n - 8)] for n in numbers]
    means = [[0, 0, n / 100] for n in numbers]
    values = np.array([highest, means], np.float32)
    values[:, [path.name == "3" for path in paths]] = np.nan
    return values, ()


def test_parts_are_computed_once_and_a_stop_keeps_them(settings: Settings) -> None:
    dataset = a_set(CHUNK + 5)
    found = find_top_images(dataset, REF, "layer", settings)
    found.compute_next(by_name)
    assert (found.done, found.complete) == (CHUNK, False)
    again = find_top_images(dataset, REF, "layer", settings)  # after a restart
    again.compute_next(by_name)
    assert again.complete
    assert again.done == CHUNK + 5
    again.compute_next(lambda paths: 1 / 0)  # nothing is left to ask
    assert numbers_of(again, 0) == [*range(20, 11, -1)]
    assert numbers_of(again, 1)[:4] == [0, 1, 2, 4]


def numbers_of(found: TopImages, channel: int) -> list[int]:
    return [int(each.sample.sha256) for each in found.rank(channel).images]


def test_images_with_the_same_highest_value_are_ranked_by_their_mean(settings: Settings) -> None:
    found = find_top_images(a_set(21), REF, "layer", settings)
    found.compute_next(by_name)
    found.compute_next(by_name)
    assert numbers_of(found, 2) == [*range(20, 11, -1)]  # 14 and more reach 6
    best = found.rank(2)
    assert (best.tied, best.readable) == (7, 20)
    assert [each.highest for each in best.images] == [6] * 7 + [5, 4]
    assert found.rank(0).tied == 1


@pytest.mark.parametrize("damage", [b"", b"garbage", None], ids=["empty", "garbage", "truncated"])
def test_damaged_values_are_computed_again(damage: bytes | None, settings: Settings) -> None:
    found = find_top_images(a_set(21), REF, "layer", settings)
    found.compute_next(by_name)
    found.compute_next(by_name)
    before, part = found.rank(0), min(found.folder.iterdir())
    part.write_bytes(part.read_bytes()[:-40] if damage is None else damage)
    assert numbers_of(found, 0) == [20, 19, 18, 17, 16]  # of the part that is whole
    assert not found.complete
    found.compute_next(by_name)
    assert (found.complete, found.rank(0)) == (True, before)


def test_values_kept_without_means_are_not_taken(settings: Settings) -> None:
    """An earlier release kept the highest values alone, under another name."""
    asked = "\n".join([repr(REF), "layer", *(sample.sha256 for sample in a_set(3).samples)])
    name = hashlib.sha256(asked.encode()).hexdigest()[:32]
    assert find_top_images(a_set(3), REF, "layer", settings).folder.name != name


def test_another_layer_network_or_image_is_another_question(settings: Settings) -> None:
    folders = {
        find_top_images(a_set(3), REF, "layer", settings).folder,
        find_top_images(a_set(3), REF, "other", settings).folder,
        find_top_images(a_set(3), replace(REF, size=96), "layer", settings).folder,
        find_top_images(a_set(4), REF, "layer", settings).folder,
    }
    assert len(folders) == 4
