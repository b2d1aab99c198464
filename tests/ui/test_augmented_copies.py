"""The augmented copies that are drawn are those that a run will use."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images import write_patches
from tlcore.datasets.decoding import hash_samples
from tlcore.datasets.sources import read_folder
from tlcore.settings import Settings
from tlcore.training.augmentation import ImageCopy, InputSpec, load_pixels
from tlcore.training.config import RunConfig
from tlcore.ui.fine_tune.form import GAP, SIDE, list_copies, render_sheet


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (RunConfig("set"), ()),
        (RunConfig("set", augmented_copies=1), (0,)),
        (RunConfig("set", augmented_copies=32), (0, 1, 2, 3)),
        (RunConfig("set", on_the_fly_augmentation=True), (1000, 1001, 1002, 1003)),
    ],
)
def test_the_first_copies_that_the_run_will_use(
    config: RunConfig, expected: tuple[int, ...]
) -> None:
    assert list_copies(config) == expected


def test_each_tile_is_the_input_of_the_network(tmp_path: Path, settings: Settings) -> None:
    data = read_folder(write_patches(tmp_path / "set", classes=2))
    samples = tuple(hash_samples(data.samples[:8]))
    spec = InputSpec("MobileNet-0.25", SIDE, "crop", ("flip", "rotate"), 3, settings.limits)
    numbers = (1000, 1001)
    sheet = render_sheet(tuple(s.sha256 for s in samples), spec, numbers, samples)
    drawn = Image.open(io.BytesIO(sheet)).convert("RGB")
    step = SIDE + GAP
    assert drawn.size == (3 * step - GAP, len(samples) * step - GAP)
    for column, number in enumerate(numbers, start=1):
        box = (column * step, 0, column * step + SIDE, SIDE)
        tile = np.asarray(drawn.crop(box), np.float64)
        expected = load_pixels(ImageCopy(samples[0], number), spec)
        assert np.abs(tile - np.asarray(expected)).mean() < 8  # WebP loses a little
        other = load_pixels(ImageCopy(samples[7], number), spec)
        assert np.abs(tile - np.asarray(other)).mean() > 12
