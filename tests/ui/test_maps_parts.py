"""The parts of the Feature maps page that need no page: their HTML, charts and words."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from tlcore.activations import render as drawing
from tlcore.activations.channel import inspect_channel
from tlcore.activations.filters import draw_filters
from tlcore.activations.render import PALETTES
from tlcore.activations.tiles import SCALES, Layout
from tlcore.activations.values import ORDERS, DisplayOptions, LayerInfo, MapPair, ReceptiveField
from tlcore.datasets.dataset import Sample
from tlcore.inference.top_images import Best, TopImage
from tlcore.models.predictions import Layer
from tlcore.ui.feature_maps import controls
from tlcore.ui.feature_maps.channel import _values
from tlcore.ui.feature_maps.comparison import SIDE, _beginning, _which
from tlcore.ui.feature_maps.depth import histogram, sees
from tlcore.ui.feature_maps.layer_text import UNKNOWN, layer_text
from tlcore.ui.feature_maps.more import kernel_words
from tlcore.ui.feature_maps.tiles import tiles_html
from tlcore.ui.theme import LIGHT

MAPS = np.array([[[0, 1], [2, np.nan]]], np.float32)
ONE = ReceptiveField(top=0, bottom=0, left=0, right=0, step_down=1, step_across=1)


def test_a_name_is_shown_as_it_is_and_never_as_html() -> None:
    tiles = drawing.tiles(np.zeros((1, 1, 1), np.float32), [0], DisplayOptions(Layout(1, 1)))
    html = tiles_html(tiles, name="first", words='"><img src=x onerror=alert(1)>')
    assert "<img" not in html
    assert 'aria-label="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"' in html
    assert "NaN" not in html


def test_tiles_say_what_is_no_number() -> None:
    html = tiles_html(
        drawing.tiles(MAPS, [0, 1], DisplayOptions(Layout(1, 2))), name="main", words=""
    )
    assert 'title="Channel 1: 0 to 2"' in html
    assert 'title="Channel 2: 1 to 1, 50% NaN or infinite"' in html
    assert "1 of 2 tiles hold values that are no numbers" in html


def test_a_histogram_says_what_it_leaves_out() -> None:
    found = inspect_channel(MAPS, "layer", 1, ONE, 4)
    assert (
        "50% are NaN or infinite" in histogram(found, LIGHT, go.layout.Template()).layout.title.text
    )
    whole = histogram(inspect_channel(MAPS, "layer", 0, ONE, 4), LIGHT, go.layout.Template())
    assert whole.layout.title.text is None
    nothing = inspect_channel(np.full((1, 1, 1), np.nan, np.float32), "layer", 0, ONE, 4)
    assert histogram(nothing, LIGHT, go.layout.Template()).layout.title.text.startswith("100%")


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((7.0, 7.0), "each value sees 7 × 7 pixels"),
        ((1.0, 13.0), "each value sees 1 × 13 pixels"),
        ((math.inf, math.inf), "each value sees the whole image"),
    ],
)
def test_what_a_value_sees(size: tuple[float, float], said: str) -> None:
    layer = Layer("conv", "Conv2D", (4, 4, 8), 0, (), False)
    assert sees(LayerInfo(layer, "block", size)) == said


def test_a_pair_begins_where_the_page_stands_and_says_which_channels() -> None:
    third = DisplayOptions(Layout(4, 8), page=2)  # channels 65 to 96
    assert _beginning(third) == 5
    maps = np.zeros((1, 1, 72), np.float32)
    view = replace(third, layout=SIDE, page=4)
    channels, page, pages = drawing.page_of(maps, view)
    tiles = drawing.tiles(maps, channels, view)
    pair = MapPair("layer", tiles, tiles, tiles, 0.0, 0.0, True, 72, pages, page)
    assert (page, pages) == (4, 5)
    assert _which(pair, third) == "65–72 of 72 channels."
    assert _which(pair, replace(third, order="max")).endswith("in the order chosen under Drawing.")


def test_kernels_say_which_they_are() -> None:
    values = np.ones((3, 3, 8, 4), np.float32)
    found = draw_filters(values, "conv", DisplayOptions(Layout(1, 4), page=1), 2, bgr=False)
    words = kernel_words(found, "relu")
    assert words.startswith("Kernel 3 of 4 of conv: its 3 × 3 weights for each of the 8 channels")
    assert "the convolution before it" in words
    assert words.endswith("5–8 of 8.")
    first = draw_filters(
        np.ones((3, 3, 3, 4), np.float32), "conv", DisplayOptions(Layout(1, 4)), 0, bgr=True
    )
    assert kernel_words(first, "conv").endswith("grey is 0.")


def test_what_is_on_offer_is_what_can_be_drawn() -> None:
    assert list(controls.ORDERS) == list(ORDERS)
    assert set(controls.PALETTES) == set(PALETTES) - {"signed"}
    assert set(controls.SCALES) <= set(SCALES)


def test_words_for_a_layer_nobody_knows() -> None:
    assert layer_text("Attention") == UNKNOWN
    assert layer_text("LayerScale") != UNKNOWN


def excited(values: list[tuple[float, float]], readable: int) -> Best:
    sample = Sample("a.png", Path("a.png"), "0" * 64, "a", None)
    images = tuple(TopImage(sample, *each) for each in values)
    tied = sum(highest == values[0][0] for highest, _ in values)
    return Best(images, tied, readable)


@pytest.mark.parametrize(
    ("best", "words"),
    [
        (excited([(5.5, 1.0), (5.25, 2.0)], 40), "Highest values 5.5, 5.25."),
        (
            excited([(6.0, 3.2), (6.0, 2.4)], 720),
            "2 of 720 images reach the highest value 6; ranked by mean activation (3.2, 2.4).",
        ),
        (
            excited([(6.0, 3.2), (6.0, 2.4), (5.0, 4.0)], 720),
            "2 of 720 images reach the highest value 6; ranked by mean activation (3.2, 2.4). "
            "Then 5.",
        ),
        (
            excited([(0.0, 0.0), (0.0, 0.0)], 2),
            "No image excites it: its map is 0 all over in 2 images.",
        ),
    ],
)
def test_what_excites_a_channel_says_how_many_share_its_highest_value(
    best: Best, words: str
) -> None:
    assert _values(best) == words
