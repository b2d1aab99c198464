"""Many images give what each gives alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.models.conftest import Loaded
from tlcore.datasets.image_io import read
from tlcore.errors import BadImage
from tlcore.models.model import compute_logits, load_pretrained
from tlcore.models.predictions import ModelRef, brief
from tlcore.settings import Limits, Settings

REFS = (ModelRef("MobileNet-0.25", 128), ModelRef("MobileNet-0.5", 160, fit="squash"))
MOST = 45  # images: a whole batch and a part of one


@pytest.fixture(scope="module")
def alone(loaded: Loaded, photos: list[Path]) -> list[list[np.ndarray]]:
    """What each image gives by itself, network by network."""
    images = [read(path, Limits()) for path in photos[:MOST]]
    return [[loaded(ref).predict(image).logits for ref in REFS] for image in images]


@pytest.mark.parametrize("count", [0, 1, 32, MOST])
def test_batch_equals_singles(
    count: int, loaded: Loaded, photos: list[Path], alone: list[list[np.ndarray]]
) -> None:
    answers = list(compute_logits([loaded(ref) for ref in REFS], photos[:count], Limits()))
    assert len(answers) == count
    for both, expected in zip(answers, alone, strict=False):
        assert not isinstance(both, BadImage)
        for logits, single in zip(both, expected, strict=True):
            np.testing.assert_allclose(logits, single, atol=1e-4)


def test_what_cannot_be_read_keeps_its_place(
    settings: Settings, photos: list[Path], tmp_path: Path
) -> None:
    bad = tmp_path / "no image.jpg"
    bad.write_text("nothing")
    network = load_pretrained(ModelRef("MobileNet-0.25", 64, random=True), settings)
    first, second, third = compute_logits([network], [photos[0], bad, photos[1]], Limits())
    assert isinstance(second, BadImage)
    assert "no image.jpg" in str(second)
    assert not isinstance(first, BadImage)
    assert not isinstance(third, BadImage)
    [only] = compute_logits([network], [bad], Limits())
    assert isinstance(only, BadImage)


def test_the_short_form() -> None:
    found = brief(np.array([0.1, 0.7, 0.2], np.float32))
    assert found.index == 1
    assert found.probability == pytest.approx(0.7)
    assert found.certainty.margin == pytest.approx(0.5)
