"""One channel: its strongest spot, what that sees, and its values counted."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tlcore.activations.channel import BINS, inspect_channel
from tlcore.activations.receptive_field import ReceptiveField
from tlcore.errors import UnknownName

NINE = ReceptiveField(top=-2, bottom=6, left=-2, right=6, step_down=4, step_across=4)


def test_the_first_of_several_equal_spots_and_what_it_sees() -> None:
    maps = np.zeros((3, 4, 2), np.float32)
    maps[1, 2, 1] = maps[2, 0, 1] = 6  # cut off at 6, as a ReLU6 does
    found = inspect_channel(maps, "relu", 1, NINE, 16)
    assert found.strongest == (1, 2)
    assert found.equal == 2
    assert found.box == (6, 2, 15, 11)  # 2 · 4 − 2 to 2 · 4 + 6, the last pixel included
    assert (found.low, found.high, found.mean) == (0, 6, 1)
    assert found.zeros == pytest.approx(10 / 12)
    assert len(found.counts) == BINS
    assert (found.counts[0], found.counts[-1]) == (10, 2)


def test_what_lies_in_the_padding_is_cut_off_the_box() -> None:
    maps = np.zeros((3, 4, 1), np.float32)
    maps[0, 0, 0] = 1
    assert inspect_channel(maps, "relu", 0, NINE, 16).box == (0, 0, 7, 7)


def test_a_channel_that_is_the_same_everywhere_has_as_many_strongest_spots() -> None:
    found = inspect_channel(np.full((2, 2, 1), 3, np.float32), "relu", 0, NINE, 16)
    assert found.equal == 4
    assert sum(found.counts) == 4


@pytest.mark.parametrize("channel", [-1, 2])
def test_a_channel_that_is_not_there(channel: int) -> None:
    with pytest.raises(UnknownName, match=f"from 0 to 1 of relu. Received {channel}"):
        inspect_channel(np.zeros((2, 2, 2), np.float32), "relu", channel, NINE, 16)


NAN, INF = np.float32(np.nan), np.float32(np.inf)


def test_values_that_are_no_numbers_are_counted_and_left_out() -> None:
    maps = np.array([[1, 2, 6], [NAN, INF, -INF]], np.float32)[:, :, None]
    found = inspect_channel(maps, "relu", 0, NINE, 16)
    assert found.not_finite == 0.5
    assert (found.low, found.high, found.mean) == (1, 6, 3)
    assert found.strongest == (0, 2)
    assert found.equal == 1
    assert sum(found.counts) == 3
    assert (found.edges[0], found.edges[-1]) == (1, 6)
    with Image.open(io.BytesIO(found.png)) as drawn:
        assert np.asarray(drawn).tolist() == [[0, 51, 255], [0, 255, 0]]  # 255 / 5 a unit


def test_a_channel_without_a_number() -> None:
    found = inspect_channel(np.full((2, 2, 1), NAN), "relu", 0, NINE, 16)
    assert (found.not_finite, found.low, found.high, found.mean, found.equal) == (1, 0, 0, 0, 0)
    assert sum(found.counts) == 0


@pytest.mark.parametrize("value", [1e20, -1e20, 3e38, 1e-42])
def test_a_huge_or_tiny_constant_is_counted(value: float) -> None:
    found = inspect_channel(np.full((2, 2, 1), value, np.float32), "relu", 0, NINE, 16)
    assert sum(found.counts) == 4
    assert found.edges[0] < found.low < found.edges[-1]


def test_a_range_that_float32_cannot_hold() -> None:
    maps = np.array([[-3e38, 0, 3e38]], np.float32)[:, :, None]
    found = inspect_channel(maps, "relu", 0, NINE, 16)
    assert (found.counts[0], found.counts[-1]) == (1, 1)
    with Image.open(io.BytesIO(found.png)) as drawn:
        assert np.asarray(drawn).tolist() == [[0, 128, 255]]
