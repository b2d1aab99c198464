"""Views of an image: the same every time, each kind does what it says."""

from __future__ import annotations

import numpy as np
import pytest

from tlcore.training.augmentation import augment
from tlcore.training.config import AUGMENTATIONS

SHA = "ab" * 32
RAMP = np.tile(np.linspace(0, 250, 32, dtype=np.uint8)[None, :, None], (32, 1, 3))


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_a_view_is_a_function_of_its_number(kind: str) -> None:
    drawn = [augment(RAMP, (kind,), sha256=SHA, seed=1, number=number) for number in range(8)]
    again = [augment(RAMP, (kind,), sha256=SHA, seed=1, number=number) for number in range(8)]
    for one, other in zip(drawn, again, strict=True):
        assert one.shape == RAMP.shape
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, other)
    assert any((one != RAMP).any() for one in drawn)


def test_a_flip_is_the_image_or_its_mirror_image() -> None:
    drawn = [augment(RAMP, ("flip",), sha256=SHA, seed=0, number=number) for number in range(16)]
    mirrored = [(one == RAMP[:, ::-1]).all() for one in drawn]
    assert all(
        is_mirror or (one == RAMP).all() for is_mirror, one in zip(mirrored, drawn, strict=True)
    )
    assert 0 < sum(mirrored) < 16


def test_no_kind_changes_nothing() -> None:
    np.testing.assert_array_equal(augment(RAMP, (), sha256=SHA, seed=0, number=3), RAMP)
