"""Kernels as tiles have the pixels that arithmetic says."""

from __future__ import annotations

import io

import keras
import numpy as np
import pytest
from PIL import Image

from tlcore.activations.filters import find_convolution, render_filters, render_filters_at
from tlcore.activations.layers import read_graph
from tlcore.activations.values import DisplayOptions, Filters, Layout, Tiles
from tlcore.errors import UnknownName

VIEW = DisplayOptions(Layout(1, 2))
GREY = 128  # 0 in the middle of −reach … reach: 127.5, rounded up


def draw(
    kernel: np.ndarray, output_channel: int = 0, view: DisplayOptions = VIEW, *, bgr: bool = False
) -> Filters:
    return render_filters(kernel, "conv", view, output_channel, bgr=bgr)


def pixels(tiles: Tiles) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(tiles.png)))


def test_a_kernel_that_reads_colours_is_drawn_in_colour() -> None:
    kernel = np.zeros((1, 2, 3, 2), np.float32)  # the second one is of zeros
    kernel[0, :, :, 0] = [[1, 0, -1], [0.5, -0.5, 0]]
    rgb = draw(kernel)
    assert rgb.colour
    assert rgb.output_channel is None
    left, right = np.split(pixels(rgb.tiles), 2, axis=1)
    assert left.tolist() == [[[255, GREY, 0], [191, 64, GREY]]]  # 191.25 and 63.75
    assert right.tolist() == [[[GREY] * 3] * 2]  # grey, not black
    bgr = draw(kernel, bgr=True)
    assert np.split(pixels(bgr.tiles), 2, axis=1)[0].tolist() == [[[0, GREY, 255], [GREY, 64, 191]]]


def test_other_kernels_are_grey_slices_of_one_output_on_one_scale() -> None:
    kernel = np.zeros((1, 1, 2, 3), np.float32)
    kernel[0, 0, :, 1] = [2, -2]
    kernel[0, 0, 0, 2] = 1
    found = draw(kernel, 1)
    assert (found.colour, found.output_channel) == (False, 1)
    assert pixels(found.tiles)[0].tolist() == [255, 0]
    found = draw(kernel, 2)
    assert pixels(found.tiles)[0].tolist() == [255, GREY]
    assert draw(kernel, 3).output_channel == 0  # there is no fourth
    nothing = draw(kernel)  # all of its slices are zeros
    assert pixels(nothing.tiles)[0].tolist() == [GREY, GREY]


def test_the_find_convolution_a_layer_is_on_its_own_path() -> None:
    image = keras.Input((8, 8, 3), name="image")
    left = keras.layers.Conv2D(2, 3, padding="same", name="left")(image)
    right = keras.layers.Conv2D(2, 3, padding="same", name="right")(image)
    after = keras.layers.ReLU(name="after")(left)
    both = keras.layers.Add(name="both")([after, right])
    graph = read_graph(keras.Model(image, both))

    def before(layer: str) -> str:
        return find_convolution(graph, layer)[0]

    assert before("after") == "left"
    assert before("right") == "right"
    assert before("both") in ("left", "right")
    with pytest.raises(UnknownName, match="still is the image itself"):
        before("image")


def test_all_kernels_can_be_paged_to() -> None:
    kernel = np.arange(5, dtype=np.float32).reshape(1, 1, 1, 5) - 2
    seen = []
    for page in range(3):
        found = render_filters(
            kernel, "wide", DisplayOptions(Layout(1, 2), page=page), 0, bgr=False
        )
        assert (found.count, found.pages, found.page) == (5, 3, page)
        seen += found.tiles.channels
        assert found.tiles.lows == tuple(float(number - 2) for number in found.tiles.channels)
    assert seen == [0, 1, 2, 3, 4]
    assert draw(kernel, view=DisplayOptions(Layout(1, 2), page=9)).page == 2


def test_other_kernels() -> None:
    depthwise = draw(np.array([1, -1], np.float32).reshape(1, 1, 2, 1), 5)  # a slice a channel
    assert depthwise.output_channel is None
    assert pixels(depthwise.tiles)[0].tolist() == [255, 0]
    assert draw(np.ones((1, 7, 2, 2), np.float32)).tiles.shape == (1, 7)
    assert draw(np.ones((5, 2, 3, 2), np.float32)).tiles.shape == (5, 2)
    kernel = np.array([np.nan, 1, -2, np.inf], np.float32).reshape(1, 2, 2, 1)
    found = draw(kernel)
    assert found.tiles.not_finite == (0.5, 0.5)
    assert pixels(found.tiles)[0].tolist() == [0, 0, 191, 255]  # −2 … 2: NaN, −2, 1, ∞


def test_whether_a_kernel_makes_the_channel() -> None:
    image = keras.Input((8, 8, 3))
    one = keras.layers.Conv2D(4, 3, padding="same", name="one")(image)
    relu = keras.layers.ReLU(name="relu")(keras.layers.BatchNormalization(name="bn")(one))
    other = keras.layers.SeparableConv2D(4, 3, padding="same", name="separable")(relu)
    both = keras.layers.Concatenate(name="both")([relu, other])
    graph = read_graph(keras.Model(image, both))
    own = {
        name: render_filters_at(graph, name, VIEW, 0, bgr=False).matches_channels
        for name in ("one", "bn", "relu", "separable", "both")
    }
    assert own == {"one": True, "bn": True, "relu": True, "separable": False, "both": False}
