"""A drawn page has the pixels that arithmetic says."""

from __future__ import annotations

import numpy as np
import pytest

from tlcore.errors import BadConfig
from tlcore.networks.grid import GAP, GROUND, TILE, Layout, draw


def test_tiles_are_stretched_enlarged_and_placed() -> None:
    maps = np.zeros((2, 2, 3), np.float32)
    maps[:, :, 0] = [[0, 1], [2, 4]]
    maps[:, :, 1] = [[-1, 1], [1, -1]]
    maps[:, :, 2] = 7  # the same everywhere
    page = draw(maps, Layout(rows=2, columns=2))
    step = TILE // 2  # 2 pixels enlarged to a tile
    assert page.shape == (2 * TILE + GAP, 2 * TILE + GAP)
    assert page[::step, :TILE:step][:2].tolist() == [[0, 64], [128, 255]]  # 63.75, 127.5 rounded
    assert page[0, TILE + GAP] == 0
    assert page[0, TILE + GAP + step] == 255
    assert (page[TILE + GAP :, :TILE] == 0).all()
    assert (page[TILE : TILE + GAP] == GROUND).all()
    assert (page[TILE + GAP :, TILE + GAP :] == GROUND).all()  # no fourth channel


def test_pages() -> None:
    layout = Layout(4, 8)
    assert [layout.pages(channels) for channels in (1, 32, 33, 1280)] == [1, 1, 2, 40]


@pytest.mark.parametrize("rows, columns", [(0, 8), (4, 33)])
def test_layouts_refused(rows: int, columns: int) -> None:
    with pytest.raises(BadConfig, match="Received"):
        Layout(rows, columns)
