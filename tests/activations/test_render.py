"""A drawn page has the pixels that arithmetic says."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tlcore.activations.render import (
    GAP,
    GROUND,
    ORDERS,
    PALETTES,
    TILE,
    draw_sheet,
    encode_png,
    order_channels,
    palette,
    render_page,
    render_tiles,
    select_channels,
)
from tlcore.activations.values import DisplayOptions, Layout, Tiles
from tlcore.errors import BadConfig, UnknownName

NAN, INF = float("nan"), float("inf")


def hand_made() -> np.ndarray:
    maps = np.zeros((2, 2, 3), np.float32)
    maps[:, :, 0] = [[0, 1], [2, 4]]
    maps[:, :, 1] = [[-1, 1], [1, -1]]
    maps[:, :, 2] = 7  # the same everywhere
    return maps


def tiles(maps: np.ndarray, scale: str, *others: np.ndarray) -> Tiles:
    channels = maps.shape[2]
    return render_tiles(
        maps, range(channels), DisplayOptions(Layout(1, channels), scale=scale), *others
    )


def levels(drawn: Tiles) -> list[list[list[int]]]:
    """The palette's numbers of each tile."""
    sheet = np.asarray(Image.open(io.BytesIO(drawn.png)))
    return [tile.tolist() for tile in np.split(sheet, len(drawn.channels), axis=1)]


@pytest.mark.parametrize(
    ("scale", "channel", "expected"),
    [
        ("channel", 0, [[0, 64], [128, 255]]),  # 63.75, 127.5 rounded
        ("channel", 1, [[0, 255], [255, 0]]),
        ("channel", 2, [[0, 0], [0, 0]]),
        ("layer", 0, [[32, 64], [96, 159]]),  # from −1 to 7, 255/8 a unit: 31.9, 63.75, 95.6, 159.4
        ("layer", 2, [[255, 255], [255, 255]]),
        ("zero", 1, [[109, 146], [146, 109]]),  # from −7 to 7: 109.3, 145.7
        ("channel zero", 0, [[128, 159], [191, 255]]),  # from −4 to 4: 127.5, 159.4, 191.25
        ("channel zero", 1, [[0, 255], [255, 0]]),
    ],
)
def test_levels_on_each_scale(scale: str, channel: int, expected: list[list[int]]) -> None:
    assert levels(tiles(hand_made(), scale))[channel] == expected


def test_two_requests_share_a_scale_and_values_are_noted() -> None:
    for scale in ("zero", "channel zero"):  # nothing is drawn in the middle
        assert levels(tiles(np.zeros((1, 1, 1), np.float32), scale)) == [[[128]]]
    maps = hand_made()
    alone = tiles(maps, "channel")
    assert (alone.lows, alone.highs) == ((0, -1, 7), (4, 1, 7))
    shared = tiles(maps, "channel", maps * 2)
    assert (shared.black[0], shared.white[0]) == (0, 8)


def test_a_page_file_has_enlarged_tiles_with_gaps() -> None:
    view = DisplayOptions(Layout(2, 2))
    page = np.asarray(Image.open(io.BytesIO(render_page(hand_made(), view))))
    step = TILE // 2  # 2 pixels enlarged to a tile
    assert page.shape == (2 * TILE + GAP, 2 * TILE + GAP)
    assert page[::step, :TILE:step][:2].tolist() == [[0, 64], [128, 255]]
    assert (page[0, TILE + GAP], page[0, TILE + GAP + step]) == (0, 255)
    assert (page[TILE + GAP :, :TILE] == 0).all()
    assert (page[TILE : TILE + GAP] == GROUND).all()
    assert (page[TILE + GAP :, TILE + GAP :] == GROUND).all()  # no fourth channel


def test_some_channels_are_drawn_on_the_scale_of_the_layer() -> None:
    view = DisplayOptions(Layout(1, 2), scale="layer")
    for only, expected in (([1, 0], (0, 32)), (None, (32, 0))):  # −1 and 0 on −1 … 7
        page = np.asarray(Image.open(io.BytesIO(render_page(hand_made(), view, only))))
        assert (page[0, 0], page[0, TILE + GAP]) == expected


@pytest.mark.parametrize("shape", [(3, 5), (150, 150)])
def test_a_sheet_is_the_maps_side_by_side_and_large_ones_are_shrunk_to_means(
    shape: tuple[int, int],
) -> None:
    maps = np.random.default_rng(0).integers(0, 256, (*shape, 30)).astype(np.uint8)
    whole = draw_sheet(maps, Layout(4, 8))
    assert whole.shape == (shape[0] * 4, shape[1] * 8)
    for place in range(30):
        row, column = divmod(place, 8)
        tile = whole[row * shape[0] :, column * shape[1] :][: shape[0], : shape[1]]
        np.testing.assert_array_equal(tile, maps[:, :, place])

    maps = np.zeros((224, 224, 1), np.uint8)
    maps[::2] = 100
    sheet = draw_sheet(maps, Layout(1, 1))
    assert (sheet.shape, np.unique(sheet).tolist()) == ((112, 112), [50])


def test_a_png_has_the_palettes_colours_and_the_pixels() -> None:
    pixels = np.array([[0, 128, 255]], np.uint8)
    image = Image.open(io.BytesIO(encode_png(pixels, palette("green"))))
    assert np.asarray(image).tolist() == pixels.tolist()
    colours = np.asarray(image.convert("RGB"))[0].tolist()
    assert (colours[0], colours[2]) == (list(PALETTES["green"][0]), list(PALETTES["green"][-1]))


@pytest.mark.parametrize("name", ["grey", "green", "fire"])
def test_palettes_grow_in_lightness(name: str) -> None:
    lightness = palette(name).astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) >= -0.51).all()  # to a rounded level


@pytest.mark.parametrize(
    ("order", "expected"),
    [("index", [0, 1, 2, 3]), ("mean", [2, 0, 3, 1]), ("max", [2, 0, 1, 3]),
     ("variance", [0, 1, 3, 2]), ("dead", [3, 0, 1, 2])],
)  # fmt: skip
def test_orders_by_hand(order: str, expected: list[int]) -> None:
    maps = np.concatenate([hand_made(), np.zeros((2, 2, 1), np.float32)], axis=2)
    maps[0, 0, 3] = 0.5  # means 1.75, 0, 7, 0.125; zeros 1, 0, 0, 3 of 4
    assert order_channels(maps, order).tolist() == expected


def test_pages() -> None:
    layout = Layout(4, 8)
    assert [layout.pages(channels) for channels in (1, 32, 33, 1280)] == [1, 1, 2, 40]
    last = DisplayOptions(Layout(1, 2), page=99)
    assert (select_channels(hand_made(), last), last.page_number(3)) == ([2], 1)
    assert select_channels(hand_made(), DisplayOptions(Layout(1, 2), order="max")) == [2, 0]


def test_what_is_not_finite_is_drawn_at_the_end_and_counted() -> None:
    maps = hand_made()
    maps[0, 0, 0], maps[0, 1, 1], maps[1, 0, 1] = NAN, INF, -INF
    own, layer = tiles(maps, "channel"), tiles(maps, "layer")
    assert (own.lows, own.highs) == ((1, -1, 7), (4, -1, 7))  # of the finite values
    assert own.not_finite == (0.25, 0.5, 0)
    assert levels(own)[0] == [[0, 0], [85, 255]]  # from 1 to 4: 85 a unit
    assert (set(layer.black), set(layer.white)) == ({-1}, {7})
    assert levels(layer)[1] == [[0, 255], [0, 0]]  # −1 and ∞, −∞ and −1
    for order in ORDERS:
        assert sorted(order_channels(maps, order).tolist()) == [0, 1, 2]
    assert order_channels(maps, "max").tolist()[-1] == 0  # NaN has no place among numbers


def test_a_scale_wider_than_float32() -> None:
    maps = np.array([[[-3e38, 1e-44], [3e38, 0]]], np.float32)
    assert levels(tiles(maps, "channel")) == [[[0, 255]], [[255, 0]]]
    assert levels(tiles(maps, "layer")) == [[[0, 255]], [[128, 128]]]


def test_unknown_names_and_layouts_are_refused() -> None:
    with pytest.raises(UnknownName, match="variance"):
        order_channels(hand_made(), "beauty")
    with pytest.raises(UnknownName, match="layer"):
        tiles(hand_made(), "page")
    with pytest.raises(UnknownName, match="green"):
        palette("pink")
    for rows, columns in ((0, 8), (4, 33)):
        with pytest.raises(BadConfig, match="Received"):
            Layout(rows, columns)
