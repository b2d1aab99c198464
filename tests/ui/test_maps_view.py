"""The sheet of maps that a page cuts its tiles from: every map's own pixels, and only those."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tlcore.networks.answers import MapGrid
from tlcore.networks.grid import draw
from tlcore.ui.maps_view import LAYOUT, _sheet


@pytest.mark.parametrize("shape", [(7, 7), (3, 5), (112, 112), (150, 150)])
def test_a_sheet_is_the_maps_side_by_side(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    maps = generator.integers(0, 256, (*shape, 30)).astype(np.float32)
    maps[0, 0], maps[0, 1] = 0, 255  # each map then keeps its values when it is drawn
    lows, highs = tuple(maps.min(axis=(0, 1))), tuple(maps.max(axis=(0, 1)))
    grid = MapGrid("layer", draw(maps, LAYOUT), 0, 30, shape, lows, highs, "imagenet", "")
    data = base64.b64decode(_sheet(grid).split(",")[1])
    sheet = np.asarray(Image.open(io.BytesIO(data)))
    assert sheet.shape == (shape[0] * 4, shape[1] * 8)
    for place in range(30):
        row, column = divmod(place, 8)
        tile = sheet[row * shape[0] :, column * shape[1] :][: shape[0], : shape[1]]
        np.testing.assert_array_equal(tile, maps[:, :, place].astype(np.uint8))
