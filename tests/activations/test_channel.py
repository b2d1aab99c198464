"""One channel: its strongest place, what that sees, its values counted; images that activate it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlcore.activations.channel import BINS, CHUNK, TopImages, find_top_images, inspect_channel
from tlcore.activations.layers import Axis, ReceptiveField
from tlcore.activations.values import ChannelDetail
from tlcore.datasets.dataset import Dataset, Sample
from tlcore.errors import UnknownName
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings

NINE = ReceptiveField(Axis(-2, 6, 4), Axis(-2, 6, 4))
NAN, INF = np.float32(np.nan), np.float32(np.inf)


def inspect(rows: object, channel: int = 0) -> ChannelDetail:
    return inspect_channel(np.array(rows, np.float32)[:, :, None], "relu", channel, NINE, 16)


def levels(found: ChannelDetail) -> list[list[int]]:
    return np.asarray(Image.open(io.BytesIO(found.png))).tolist()


def test_the_first_of_several_equal_places_and_what_it_sees() -> None:
    found = inspect([[0, 0, 0, 0], [0, 0, 6, 0], [6, 0, 0, 0]])  # cut off at 6, as a ReLU6 does
    assert (found.strongest, found.equal) == ((1, 2), 2)
    assert found.box == (6, 2, 15, 11)  # 2 · 4 − 2 to 2 · 4 + 6, the last pixel included
    assert (found.low, found.high, found.mean) == (0, 6, 1)
    assert found.zeros == pytest.approx(10 / 12)
    assert (len(found.counts), found.counts[0], found.counts[-1]) == (BINS, 10, 2)
    assert inspect([[1, 0], [0, 0]]).box == (0, 0, 7, 7)  # the padding is cut off
    for channel in (-1, 1):
        with pytest.raises(UnknownName, match=f"from 0 to 0 of relu. Received {channel}"):
            inspect([[1.0]], channel)


def test_values_that_are_no_numbers_are_counted_and_left_out() -> None:
    found = inspect([[1, 2, 6], [NAN, INF, -INF]])
    assert (found.not_finite, found.low, found.high, found.mean) == (0.5, 1, 6, 3)
    assert (found.strongest, found.equal, sum(found.counts)) == ((0, 2), 1, 3)
    assert (found.edges[0], found.edges[-1]) == (1, 6)
    assert levels(found) == [[0, 51, 255], [0, 255, 0]]  # 255 / 5 a unit
    nothing = inspect([[NAN]])
    assert (nothing.not_finite, nothing.low, nothing.high, nothing.mean) == (1, 0, 0, 0)
    assert (nothing.equal, sum(nothing.counts)) == (0, 0)


@pytest.mark.parametrize("value", [3, 1e20, -1e20, 3e38, 1e-42])
def test_a_constant_is_counted(value: float) -> None:
    found = inspect([[value] * 2] * 2)
    assert (found.equal, sum(found.counts)) == (4, 4)
    assert found.edges[0] < found.low < found.edges[-1]


def test_a_range_that_float32_cannot_hold() -> None:
    found = inspect([[-3e38, 0, 3e38]])
    assert (found.counts[0], found.counts[-1]) == (1, 1)
    assert levels(found) == [[0, 128, 255]]


REF = ModelRef("MobileNet-0.25", 64, random=True)


def find(images: int, settings: Settings, ref: ModelRef = REF, layer: str = "layer") -> TopImages:
    samples = [Sample(f"{n}.png", Path(str(n)), f"{n:04}", "a", None) for n in range(images)]
    return find_top_images(Dataset("set", tuple(samples)), ref, layer, settings)


def by_name(paths: Sequence[Path]) -> Floats:
    """Channel 0 grows with the number, 1 falls, 2 is cut off at 6; image 3 cannot be read.

    The means of channel 2 grow with the number, and so does its value below the cut.
    """
    numbers = [int(path.name) for path in paths]
    highest = [[n, -n, min(6, n - 8)] for n in numbers]
    values = np.array([highest, [[0, 0, n / 100] for n in numbers]], np.float32)
    values[:, [number == 3 for number in numbers]] = np.nan
    return values


def numbers_of(found: TopImages, channel: int) -> list[int]:
    return [int(each.sample.sha256) for each in found.rank(channel).images]


def test_parts_are_computed_once_a_stop_keeps_them_and_they_are_ranked(settings: Settings) -> None:
    found = find(CHUNK + 5, settings)
    found.compute_next(by_name)
    assert (found.done, found.complete) == (CHUNK, False)
    again = find(CHUNK + 5, settings)  # after a restart
    again.compute_next(by_name)
    assert (again.done, again.complete) == (CHUNK + 5, True)
    again.compute_next(lambda paths: 1 / 0)  # nothing is left to ask
    assert numbers_of(again, 0) == numbers_of(again, 2) == [*range(20, 11, -1)]
    assert numbers_of(again, 1)[:4] == [0, 1, 2, 4]
    best = again.rank(2)  # 14 and more reach 6: their means decide
    assert (best.tied, best.readable, again.rank(0).tied) == (7, 20, 1)
    assert [each.highest for each in best.images] == [6] * 7 + [5, 4]


@pytest.mark.parametrize("damage", [b"", b"garbage", None], ids=["empty", "garbage", "truncated"])
def test_damaged_values_are_computed_again(damage: bytes | None, settings: Settings) -> None:
    found = find(21, settings)
    found.compute_next(by_name)
    found.compute_next(by_name)
    before, part = found.rank(0), min(found.folder.iterdir())
    part.write_bytes(part.read_bytes()[:-40] if damage is None else damage)
    assert numbers_of(found, 0) == [20, 19, 18, 17, 16]  # of the part that is whole
    assert not found.complete
    found.compute_next(by_name)
    assert (found.complete, found.rank(0)) == (True, before)


def test_another_layer_network_or_image_has_another_folder(settings: Settings) -> None:
    others = (find(3, settings), find(3, settings, layer="other"), find(4, settings),
              find(3, settings, replace(REF, size=96)))  # fmt: skip
    assert len({each.folder for each in others}) == 4
