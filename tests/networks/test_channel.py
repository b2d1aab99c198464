"""One channel: its strongest spot, what that sees, and its values counted."""

from __future__ import annotations

import numpy as np
import pytest

from tlcore.errors import UnknownName
from tlcore.networks.maps.channel import BINS, look_at
from tlcore.networks.maps.values import Field

NINE = Field(top=-2, bottom=6, left=-2, right=6, step_down=4, step_across=4)


def test_the_first_of_several_equal_spots_and_what_it_sees() -> None:
    maps = np.zeros((3, 4, 2), np.float32)
    maps[1, 2, 1] = maps[2, 0, 1] = 6  # cut off at 6, as a ReLU6 does
    found = look_at(maps, "relu", 1, NINE, 16)
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
    assert look_at(maps, "relu", 0, NINE, 16).box == (0, 0, 7, 7)


def test_a_channel_that_is_the_same_everywhere_has_as_many_strongest_spots() -> None:
    found = look_at(np.full((2, 2, 1), 3, np.float32), "relu", 0, NINE, 16)
    assert found.equal == 4
    assert sum(found.counts) == 4


@pytest.mark.parametrize("channel", [-1, 2])
def test_a_channel_that_is_not_there(channel: int) -> None:
    with pytest.raises(UnknownName, match=f"from 0 to 1 of relu. Received {channel}"):
        look_at(np.zeros((2, 2, 2), np.float32), "relu", channel, NINE, 16)
