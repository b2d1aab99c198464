"""The images that are shown are those that a run will use."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images import write_patches
from tlcore.datasets.dataset import Sample
from tlcore.datasets.sources import read_folder
from tlcore.settings import Settings
from tlcore.training.augmentation import ImageCopy, InputSpec, hash_samples, load_pixels
from tlcore.training.config import RunConfig
from tlcore.ui.fine_tune.augmentation import GAP, SIDE, seen_views, sheet, spread


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (RunConfig("set", augmented_copies=1), (0,)),
        (RunConfig("set", augmented_copies=32), (0, 1, 2, 3)),
        (RunConfig("set", on_the_fly_augmentation=True), (1000, 1001, 1002, 1003)),
    ],
)
def test_the_first_views_that_the_run_will_use(
    config: RunConfig, expected: tuple[int, ...]
) -> None:
    assert seen_views(config) == expected


def test_images_come_from_all_over_the_set() -> None:
    samples = [Sample(f"{number}", Path(), "", "a", None) for number in range(10)]
    assert [sample.file for sample in spread(samples, 3)] == ["0", "3", "6"]
    assert spread(samples[:2], 8) == samples[:2]


@pytest.mark.parametrize(("numbers", "across"), [((1000, 1001, 1002, 1003), 5), ((0,), 6)])
def test_each_tile_is_what_the_network_will_see(
    tmp_path: Path, settings: Settings, numbers: tuple[int, ...], across: int
) -> None:
    samples = hash_samples(read_folder(write_patches(tmp_path / "set", classes=2)).samples[:8])
    looking = InputSpec("MobileNet-0.25", SIDE, "crop", ("flip", "rotate"), 3, settings.limits)
    shas = tuple(sample.sha256 for sample in samples)
    drawn = Image.open(io.BytesIO(sheet(shas, looking, numbers, samples)))
    groups = across // (1 + len(numbers))
    assert drawn.size[0] == across * (SIDE + GAP) + (groups - 1) * GAP * 2 - GAP
    for place, number in enumerate(numbers, start=1):
        left = place * (SIDE + GAP)
        tile = np.asarray(drawn.convert("RGB").crop((left, 0, left + SIDE, SIDE)), np.float64)
        expected = load_pixels(ImageCopy(samples[0], number), looking)
        assert np.abs(tile - np.asarray(expected)).mean() < 8  # it is kept with some loss
        other = load_pixels(ImageCopy(samples[7], number), looking)
        assert np.abs(tile - np.asarray(other)).mean() > 12
