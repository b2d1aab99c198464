"""The kernels of a convolution as tiles: in colour where it reads the image, else in grey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tlcore.activations.layers import LayerGraph
from tlcore.activations.render import (
    compute_bounds,
    describe_tiles,
    draw_sheet,
    encode_png,
    extremes,
    palette,
    to_levels,
)
from tlcore.activations.values import DisplayOptions, Filters, Tiles
from tlcore.errors import UnknownName
from tlcore.models.predictions import Floats

RGB = 3
# Layers that leave each channel where it is, and have as many outputs as inputs.
_CHANNEL_BY_CHANNEL = frozenset(
    (
        "Activation", "BatchNormalization", "Dropout", "ELU", "Identity", "LayerScale",
        "LeakyReLU", "MaxPooling2D", "AveragePooling2D", "PReLU", "ReLU", "ZeroPadding2D",
        "Cropping2D",
    )
)  # fmt: skip


def render_filters_at(
    graph: LayerGraph, layer: str, view: DisplayOptions, output_channel: int, *, bgr: bool
) -> Filters:
    """Draw one page of the kernels of the convolution at or before a layer.

    Args:
        output_channel: whose slices are shown, where a kernel has several (see
            ``render_filters``); past the end means the first.

    Raises:
        UnknownName: there is no convolution up to there.
    """
    convolution, values = find_convolution(graph, layer)
    filters = render_filters(values, convolution, view, output_channel, bgr=bgr)
    return replace(filters, matches_channels=_makes_channels(graph, convolution, layer))


def find_convolution(graph: LayerGraph, layer: str) -> tuple[str, Floats]:
    """Return the name and the kernel of the nearest convolution that feeds a layer, or is it.

    Raises:
        UnknownName: there is none.
    """
    for name in reversed(graph.ancestors(layer)):
        values = read_kernel(graph.layers[name])
        if values is not None:
            return name, values
    raise UnknownName(
        f"Expected a layer with a convolution at or before it. Received {layer!r}, which still "
        "is the image itself. Choose a later layer."
    )


def _makes_channels(graph: LayerGraph, convolution: str, layer: str) -> bool:
    """Whether each kernel of a convolution makes the same channel of a later layer."""
    if type(graph.layers[convolution]).__name__ == "SeparableConv2D":
        return False  # its second half mixes them
    while layer != convolution:
        if type(graph.layers[layer]).__name__ not in _CHANNEL_BY_CHANNEL:
            return False
        layer = graph.inputs[layer][0]
    return True


def read_kernel(layer: Any) -> Floats | None:
    """Return a convolution's kernel, float32 (height, width, inputs, outputs), else None.

    Of a separable convolution the depthwise half.
    """
    for name in ("depthwise_kernel", "kernel"):
        kernel = getattr(layer, name, None)
        if kernel is not None and len(kernel.shape) == 4:
            return np.asarray(kernel.numpy(), np.float32)
    return None


def render_filters(
    values: Floats, name: str, view: DisplayOptions, output_channel: int, *, bgr: bool
) -> Filters:
    """Draw one page of a convolution's kernels, 0 in the middle of the palette.

    Args:
        values: (height, width, inputs, outputs).
        name: of the layer.
        view: layout, palette and page; scale and order do not matter here.
        output_channel: whose slices are shown, where a kernel reads no colours and has
            more than one slice an output; past the end means the first.
        bgr: whether the model gets blue first.
    """
    height, width, inputs, outputs = values.shape
    colour = inputs == RGB
    depthwise = outputs == 1 or inputs == 1  # one slice a channel
    output_channel = output_channel if 0 <= output_channel < outputs else 0
    if colour:
        tiles, count = _colour_tiles(values[:, :, ::-1] if bgr else values, view), outputs
    else:
        slices = values.reshape(height, width, -1) if depthwise else values[:, :, :, output_channel]
        tiles, count = _grey_tiles(slices, view), slices.shape[2]
    return Filters(
        layer=name,
        tiles=tiles,
        colour=colour,
        shape=values.shape,
        output_channel=None if colour or depthwise else output_channel,
        matches_channels=True,
        count=count,
        pages=view.layout.pages(count),
        page=view.page_number(count),
    )


def _grey_tiles(slices: Floats, view: DisplayOptions) -> Tiles:
    """Draw slices (height, width, n) on one scale, evenly around 0."""
    shown = _page(slices, view)
    reach = float(np.abs(extremes(slices)).max())
    bounds = compute_bounds(slices[:, :, shown], "zero", (-reach, reach))
    sheet = draw_sheet(to_levels(slices[:, :, shown], *bounds), view.layout)
    png = encode_png(sheet, palette(view.palette))
    return describe_tiles(png, slices[:, :, shown], shown, bounds, view)


def _colour_tiles(values: Floats, view: DisplayOptions) -> Tiles:
    """Draw kernels in colour, each evenly around 0, which is grey."""
    shown = _page(values, view)
    kernels = values[:, :, :, shown]
    flat = kernels.reshape(kernels.shape[0], -1, len(shown))
    bounds = compute_bounds(flat, "channel zero", (0, 0))
    sheets = [
        draw_sheet(to_levels(kernels[:, :, colour], *bounds), view.layout) for colour in range(RGB)
    ]
    tiles = describe_tiles(encode_png(np.stack(sheets, axis=2)), flat, shown, bounds, view)
    return replace(tiles, shape=(values.shape[0], values.shape[1]))


def _page(values: Floats, view: DisplayOptions) -> list[int]:
    """Return the kernels or slices on the page that is shown."""
    count = values.shape[-1]
    first = view.page_number(count) * view.layout.tiles
    return list(range(first, min(first + view.layout.tiles, count)))
