"""The parts of the Feature maps page that need no page: their HTML, charts and words."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tlcore.activations import render as drawing
from tlcore.activations.channel import Ranking, TopImage, inspect_channel
from tlcore.activations.filters import render_filters
from tlcore.activations.layers import Axis, LayerInfo, ReceptiveField
from tlcore.activations.render import ORDERS, PALETTES, SCALES
from tlcore.activations.values import DisplayOptions, Layout, MapPair
from tlcore.datasets.dataset import Sample
from tlcore.models.catalog import BACKBONES
from tlcore.models.summary import Layer
from tlcore.ui.feature_maps import controls
from tlcore.ui.feature_maps.channel import histogram, top_images_text
from tlcore.ui.feature_maps.comparison import HALF, channels_text, first_half_page
from tlcore.ui.feature_maps.controls import receptive_field_text, stop_layers
from tlcore.ui.feature_maps.layer_text import UNKNOWN, WORDS, first_sentence, layer_text
from tlcore.ui.feature_maps.more import kernel_text, sorted_weights
from tlcore.ui.feature_maps.tiles import tiles_html

MAPS = np.array([[[0, 1], [2, np.nan]]], np.float32)
ONE = ReceptiveField(Axis(), Axis())


def test_a_name_is_shown_as_it_is_and_never_as_html() -> None:
    tiles = drawing.render_tiles(np.zeros((1, 1, 1), np.float32), [0], DisplayOptions(Layout(1, 1)))
    html = tiles_html(tiles, name="first", alt='"><img src=x onerror=alert(1)>')
    assert "<img" not in html
    assert 'aria-label="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"' in html
    assert "NaN" not in html


def test_tiles_say_what_is_no_number() -> None:
    html = tiles_html(
        drawing.render_tiles(MAPS, [0, 1], DisplayOptions(Layout(1, 2))), name="main", alt=""
    )
    assert 'title="Channel 1: 0 to 2"' in html
    assert 'title="Channel 2: 1 to 1, 50% NaN or infinite"' in html
    assert "1 of 2 tiles hold NaN or infinite values" in html


def test_a_histogram_says_what_it_leaves_out() -> None:
    def title(maps: np.ndarray, channel: int) -> str | None:
        detail = inspect_channel(maps, "layer", channel, ONE, 4)
        found: str | None = histogram(detail, "black").layout.title.text
        return found

    assert "50% are NaN or infinite" in str(title(MAPS, 1))
    assert title(MAPS, 0) is None
    assert str(title(np.full((1, 1, 1), np.nan, np.float32), 0)).startswith("100%")


def test_what_a_value_sees() -> None:
    layer = Layer("conv", "Conv2D", (4, 4, 8), 0, (), False)
    sizes = {(1.0, 13.0): "1 × 13 pixels", (math.inf, math.inf): "the whole image"}
    for size, words in sizes.items():
        assert receptive_field_text(LayerInfo(layer, "block", size)) == words


def test_a_pair_begins_where_the_page_stands_and_says_which_channels() -> None:
    third = DisplayOptions(Layout(4, 8), page=2)  # channels 65 to 96
    assert first_half_page(third) == 5
    maps = np.zeros((1, 1, 72), np.float32)
    view = replace(third, layout=HALF, page=4)
    tiles = drawing.render_tiles(maps, drawing.select_channels(maps, view), view)
    pair = MapPair("layer", tiles, tiles, tiles, 0.0, 0.0, True, 72, view.layout.pages(72), 4)
    assert channels_text(pair, third) == "65–72 of 72 channels."
    in_order = channels_text(pair, replace(third, order="max"))
    assert in_order.endswith("in the order chosen under Display.")


def test_kernels_say_which_they_are() -> None:
    values = np.ones((3, 3, 8, 4), np.float32)
    found = render_filters(values, "conv", DisplayOptions(Layout(1, 4), page=1), 2, bgr=False)
    words = kernel_text(found, "relu")
    assert words.startswith("Kernel 3 of 4 of conv: its 3 × 3 weights for each of the 8 channels")
    assert "the convolution before it" in words
    assert words.endswith("5–8 of 8.")
    first = render_filters(
        np.ones((3, 3, 3, 4), np.float32), "conv", DisplayOptions(Layout(1, 4)), 0, bgr=True
    )
    assert kernel_text(first, "conv").endswith("grey is 0.")


def test_the_weights_of_a_kernel_of_one_pixel_are_drawn_sorted() -> None:
    values = np.array([0.5, -1, np.nan, 2, 0], np.float32).reshape(1, 1, 5, 1).repeat(2, axis=3)
    found = render_filters(values, "mix", DisplayOptions(Layout(1, 2)), 1, bgr=False)
    [line] = sorted_weights(found.weights, "black").data
    assert list(line.y) == [2, 0.5, 0, -1]
    assert list(line.text) == ["channel 4", "channel 1", "channel 5", "channel 2"]
    words = "Kernel 2 of 2 of mix: its 1 × 1 weights for each of the 5 channels it reads, sorted."
    assert kernel_text(found, "mix") == words
    larger = render_filters(
        values.repeat(3, axis=0), "conv", DisplayOptions(Layout(1, 2)), 1, bgr=False
    )
    assert larger.weights == ()


def test_what_is_on_offer_is_what_can_be_drawn() -> None:
    assert set(controls.ORDERS) == set(ORDERS)
    assert set(controls.PALETTES) == set(PALETTES) - {"signed"}
    assert set(controls.SCALES) <= set(SCALES)


def test_every_kind_of_layer_is_explained_in_a_sentence() -> None:
    assert all(first_sentence(kind).count(".") == 1 for kind in WORDS)
    assert layer_text("Attention") == UNKNOWN
    assert layer_text("LayerScale") != UNKNOWN


MANY = "2 of 720 images reach the highest value 6; ranked by mean activation (3.2, 2.4)."


@pytest.mark.parametrize(
    ("values", "images", "words"),
    [
        ([(5.5, 1.0), (5.25, 2.0)], 40, "Highest values 5.5, 5.25."),
        ([(6.0, 3.2), (6.0, 2.4)], 720, MANY),
        ([(6.0, 3.2), (6.0, 2.4), (5.0, 4.0)], 720, f"{MANY} Then 5."),
        ([(0, 0), (0, 0)], 2, "No image activates it: its map is 0 all over in 2 images."),
    ],
)
def test_top_images_name_how_many_share_the_highest_value(
    values: list[tuple[float, float]], images: int, words: str
) -> None:
    sample = Sample("a.png", Path("a.png"), "0" * 64, "a", None)
    tied = sum(highest == values[0][0] for highest, _ in values)
    best = Ranking(tuple(TopImage(sample, *each) for each in values), tied, images)
    assert top_images_text(best) == words


def test_stops_lie_at_an_early_a_middle_and_a_late_layer() -> None:
    row = BACKBONES["VGG16"]
    names = [f"block{block}_{kind}" for block in range(1, 6) for kind in ("conv1", "pool")]
    stops = {"edges": "block1_pool", "textures": "block3_pool", "parts": "block5_pool"}
    assert stop_layers(names, row) == stops
    assert stop_layers(["other"], row) == {}
