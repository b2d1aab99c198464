"""A drawn page has the pixels that arithmetic says."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tlcore.activations import render as drawing
from tlcore.activations.render import (
    GAP,
    GROUND,
    PALETTES,
    TILE,
    compute_bounds,
    draw_enlarged,
    draw_sheet,
    encode_png,
    order_channels,
    palette,
    to_levels,
)
from tlcore.activations.values import DisplayOptions, Layout
from tlcore.errors import BadConfig, UnknownName


def hand_made() -> np.ndarray:
    maps = np.zeros((2, 2, 3), np.float32)
    maps[:, :, 0] = [[0, 1], [2, 4]]
    maps[:, :, 1] = [[-1, 1], [1, -1]]
    maps[:, :, 2] = 7  # the same everywhere
    return maps


def drawn(maps: np.ndarray, scale: str) -> np.ndarray:
    low, high = compute_bounds(maps, scale, (float(maps.min()), float(maps.max())))
    return to_levels(maps, low, high)


def test_levels_on_each_scale() -> None:
    maps = hand_made()
    own = drawn(maps, "channel")
    assert own[:, :, 0].tolist() == [[0, 64], [128, 255]]  # 63.75, 127.5 rounded
    assert own[:, :, 1].tolist() == [[0, 255], [255, 0]]
    assert own[:, :, 2].tolist() == [[0, 0], [0, 0]]
    layer = drawn(maps, "layer")  # from −1 to 7: 255/8 a unit
    assert layer[:, :, 0].tolist() == [[32, 64], [96, 159]]  # 31.9, 63.75, 95.6, 159.4
    assert layer[:, :, 2].tolist() == [[255, 255], [255, 255]]
    zero = drawn(maps, "zero")  # from −7 to 7
    assert zero[:, :, 1].tolist() == [[109, 146], [146, 109]]  # 109.3, 145.7
    assert drawn(np.zeros((1, 1, 1), np.float32), "zero").tolist() == [[[128]]]


def test_tiles_are_enlarged_and_placed() -> None:
    page = draw_enlarged(drawn(hand_made(), "channel"), Layout(rows=2, columns=2))
    step = TILE // 2  # 2 pixels enlarged to a tile
    assert page.shape == (2 * TILE + GAP, 2 * TILE + GAP)
    assert page[::step, :TILE:step][:2].tolist() == [[0, 64], [128, 255]]
    assert page[0, TILE + GAP] == 0
    assert page[0, TILE + GAP + step] == 255
    assert (page[TILE + GAP :, :TILE] == 0).all()
    assert (page[TILE : TILE + GAP] == GROUND).all()
    assert (page[TILE + GAP :, TILE + GAP :] == GROUND).all()  # no fourth channel


@pytest.mark.parametrize("shape", [(7, 7), (3, 5), (112, 112), (150, 150)])
def test_a_sheet_is_the_maps_side_by_side(shape: tuple[int, int]) -> None:
    maps = np.random.default_rng(0).integers(0, 256, (*shape, 30)).astype(np.uint8)
    whole = draw_sheet(maps, Layout(4, 8))
    assert whole.shape == (shape[0] * 4, shape[1] * 8)
    for place in range(30):
        row, column = divmod(place, 8)
        tile = whole[row * shape[0] :, column * shape[1] :][: shape[0], : shape[1]]
        np.testing.assert_array_equal(tile, maps[:, :, place])


def test_large_maps_are_shrunk_to_means() -> None:
    maps = np.zeros((224, 224, 1), np.uint8)
    maps[::2] = 100
    assert np.unique(draw_sheet(maps, Layout(1, 1))).tolist() == [50]
    assert draw_sheet(maps, Layout(1, 1)).shape == (112, 112)


def test_a_png_has_the_palettes_colours_and_the_pixels() -> None:
    levels = np.array([[0, 128, 255]], np.uint8)
    image = Image.open(io.BytesIO(encode_png(levels, palette("blue"))))
    assert np.asarray(image).tolist() == levels.tolist()
    colours = np.asarray(image.convert("RGB"))[0]
    assert colours[0].tolist() == list(PALETTES["blue"][0])
    assert colours[2].tolist() == list(PALETTES["blue"][-1])


@pytest.mark.parametrize("name", ["grey", "blue", "fire"])
def test_palettes_grow_in_lightness(name: str) -> None:
    lightness = palette(name).astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) >= -0.51).all()  # to a rounded level


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("index", [0, 1, 2, 3]),
        ("mean", [2, 0, 3, 1]),
        ("max", [2, 0, 1, 3]),
        ("variance", [0, 1, 3, 2]),
        ("dead", [3, 0, 1, 2]),
    ],
)
def test_orders_by_hand(order: str, expected: list[int]) -> None:
    maps = np.concatenate([hand_made(), np.zeros((2, 2, 1), np.float32)], axis=2)
    maps[0, 0, 3] = 0.5  # means 1.75, 0, 7, 0.125; zeros 1, 0, 0, 3 of 4
    assert order_channels(maps, order).tolist() == expected


def test_a_page_picks_its_channels() -> None:
    maps = hand_made()
    assert drawing.select_channels(maps, DisplayOptions(Layout(1, 2), order="max")) == [2, 0]
    last = DisplayOptions(Layout(1, 2), page=99)
    assert (drawing.select_channels(maps, last), last.page_number(3)) == ([2], 1)
    tiles = drawing.render_tiles(maps, [0, 1], DisplayOptions(Layout(1, 2)))
    assert np.asarray(Image.open(io.BytesIO(tiles.png))).tolist() == [
        [0, 64, 0, 255],
        [128, 255, 255, 0],
    ]
    assert (tiles.lows, tiles.highs) == ((0, -1), (4, 1))


def test_two_looks_share_a_scale() -> None:
    maps = hand_made()
    tiles = drawing.render_tiles(maps, [0], DisplayOptions(Layout(1, 1)), maps * 2)
    assert (tiles.black, tiles.white) == ((0,), (8,))


def test_each_map_evenly_around_zero() -> None:
    maps = hand_made()
    own = drawn(maps, "channel zero")
    assert own[:, :, 0].tolist() == [[128, 159], [191, 255]]  # from −4 to 4: 127.5, 159.4, 191.25
    assert own[:, :, 1].tolist() == [[0, 255], [255, 0]]
    assert drawn(np.zeros((1, 1, 1), np.float32), "channel zero").tolist() == [[[128]]]


def test_what_is_no_number_is_drawn_at_the_end_and_said() -> None:
    maps = hand_made()
    maps[0, 0, 0], maps[0, 1, 1], maps[1, 0, 1] = np.nan, np.inf, -np.inf
    tiles = drawing.render_tiles(maps, [0, 1, 2], DisplayOptions(Layout(1, 3)))
    assert (tiles.lows, tiles.highs) == ((1, -1, 7), (4, -1, 7))  # of the finite values
    assert tiles.not_finite == (0.25, 0.5, 0)
    shown = np.asarray(Image.open(io.BytesIO(tiles.png)))
    assert shown[:, :2].tolist() == [[0, 0], [85, 255]]  # from 1 to 4: 85 a unit
    layer = drawing.render_tiles(maps, [0, 1, 2], DisplayOptions(Layout(1, 3), scale="layer"))
    assert (set(layer.black), set(layer.white)) == ({-1}, {7})
    shown = np.asarray(Image.open(io.BytesIO(layer.png)))
    assert shown[:, 2:4].tolist() == [[0, 255], [0, 0]]  # −1 and ∞, −∞ and −1
    for order in ("mean", "max", "variance", "dead"):
        assert sorted(order_channels(maps, order).tolist()) == [0, 1, 2]
    assert order_channels(maps, "max").tolist()[-1] == 0  # NaN has no place among numbers


def test_a_scale_wider_than_float32() -> None:
    maps = np.array([[[-3e38, 1e-44], [3e38, 0]]], np.float32)
    assert drawn(maps, "channel")[0].tolist() == [[0, 255], [255, 0]]
    assert drawn(maps, "layer")[0].tolist() == [[0, 128], [255, 128]]


def test_some_channels_on_the_scale_of_the_layer() -> None:
    maps = hand_made()
    view = DisplayOptions(Layout(1, 2), scale="layer")
    kept = np.asarray(Image.open(io.BytesIO(drawing.render_page(maps, view, [1, 0]))))
    assert (kept[0, 0], kept[0, TILE + GAP]) == (0, 32)  # −1 and 0 on the scale of −1 … 7
    first = np.asarray(Image.open(io.BytesIO(drawing.render_page(maps, view))))
    assert (first[0, 0], first[0, TILE + GAP]) == (32, 0)


def test_pages() -> None:
    layout = Layout(4, 8)
    assert [layout.pages(channels) for channels in (1, 32, 33, 1280)] == [1, 1, 2, 40]


@pytest.mark.parametrize("rows, columns", [(0, 8), (4, 33)])
def test_layouts_refused(rows: int, columns: int) -> None:
    with pytest.raises(BadConfig, match="Received"):
        Layout(rows, columns)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownName, match="variance"):
        order_channels(hand_made(), "beauty")
    with pytest.raises(UnknownName, match="layer"):
        compute_bounds(hand_made(), "page", (0, 1))
    with pytest.raises(UnknownName, match="blue"):
        palette("pink")
