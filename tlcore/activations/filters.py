"""The kernels of a convolution as tiles: in colour where it reads the image, else in grey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tlcore.activations import render
from tlcore.activations.layers import LayerGraph
from tlcore.activations.values import DisplayOptions, Filters, Tiles
from tlcore.errors import UnknownName
from tlcore.models.predictions import Floats

RGB = 3
# Layers that leave each channel where it is, and have as many outputs as inputs.
_CHANNEL_BY_CHANNEL = (
    "Activation", "BatchNormalization", "Dropout", "ELU", "Identity", "LayerScale", "LeakyReLU",
    "MaxPooling2D", "AveragePooling2D", "PReLU", "ReLU", "ZeroPadding2D", "Cropping2D",
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
    """Return the nearest convolution that feeds a layer, or is it: its name and its kernel.

    Returns:
        The kernel is float32 (height, width, inputs, outputs); of a separable convolution it is
        the depthwise half.

    Raises:
        UnknownName: there is none.
    """
    for name in reversed(graph.ancestors(layer)):
        for attribute in ("depthwise_kernel", "kernel"):
            kernel = getattr(graph.layers[name], attribute, None)
            if kernel is not None and len(kernel.shape) == 4:
                return name, np.asarray(kernel.numpy(), np.float32)
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
    one_each = colour or 1 in (inputs, outputs)  # a kernel, or its one slice, a channel
    output_channel = output_channel if 0 <= output_channel < outputs else 0
    if colour:
        slices = values[:, :, ::-1] if bgr else values
    else:
        slices = values.reshape(height, width, -1) if one_each else values[..., output_channel]
    count = slices.shape[-1]
    return Filters(
        layer=name,
        tiles=_draw(slices, colour, view),
        colour=colour,
        shape=values.shape,
        output_channel=None if one_each else output_channel,
        matches_channels=True,
        count=count,
        pages=view.layout.pages(count),
        page=view.page_number(count),
        weights=() if one_each or height * width > 1 else tuple(slices.ravel().tolist()),
    )


def _draw(slices: Floats, colour: bool, view: DisplayOptions) -> Tiles:
    """Draw a page of slices (height, width, n), evenly around 0 on one scale, or of kernels in
    colour (height, width, 3, n), each evenly around 0, which is grey."""
    height, width, count = slices.shape[0], slices.shape[1], slices.shape[-1]
    first = view.page_number(count) * view.layout.tiles
    shown = list(range(count))[first : first + view.layout.tiles]
    flat = slices[..., shown].reshape(height, -1, len(shown))
    reach = 0.0 if colour else float(np.abs(render.extremes(slices)).max())
    scale = "channel zero" if colour else "zero"
    bounds = render.compute_bounds(flat, scale, (-reach, reach))
    levels = render.to_levels(flat, *bounds).reshape(height, width, -1, len(shown))
    sheets = [render.draw_sheet(levels[:, :, i], view.layout) for i in range(levels.shape[2])]
    if colour:
        png = render.encode_png(np.stack(sheets, axis=2))
    else:
        png = render.encode_png(sheets[0], render.palette(view.palette))
    tiles = render.describe_tiles(png, flat, shown, bounds, view)
    return replace(tiles, shape=(height, width))
