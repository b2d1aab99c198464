"""The kernels of a convolution as tiles: in colour where it reads the image, else in grey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tlcore.activations.render import palette
from tlcore.activations.tiles import bounds, broken, extremes, levels, sheet, to_png
from tlcore.activations.values import DisplayOptions, Filters, Tiles
from tlcore.errors import UnknownName
from tlcore.models.layers import Wiring
from tlcore.models.predictions import Floats

RGB = 3


# What leaves each channel where it is, and gives as many as it gets.
_CHANNEL_BY_CHANNEL = frozenset(
    (
        "Activation", "BatchNormalization", "Dropout", "ELU", "Identity", "LayerScale",
        "LeakyReLU", "MaxPooling2D", "AveragePooling2D", "PReLU", "ReLU", "ZeroPadding2D",
        "Cropping2D",
    )
)  # fmt: skip


def filters_at(wiring: Wiring, layer: str, view: DisplayOptions, of: int, *, bgr: bool) -> Filters:
    """Draw one page of the kernels of the convolution at or before a layer.

    Args:
        of: the output channel whose slices are shown, where a kernel has several (see
            ``draw_filters``); past the end means the first.

    Raises:
        UnknownName: there is no convolution up to there.
    """
    place, values = convolution_before(wiring, layer)
    found = draw_filters(values, wiring.makers[place].name, view, of, bgr=bgr)
    return replace(found, own=_makes(wiring, place, wiring.place[layer]))


def convolution_before(wiring: Wiring, layer: str) -> tuple[int, Floats]:
    """Return the place and the kernel of the nearest convolution at or before a layer, on its own
    path.

    Raises:
        UnknownName: there is none.
    """
    for place in reversed(wiring.below(wiring.place[layer])):
        values = kernel(wiring.makers[place])
        if values is not None:
            return place, values
    raise UnknownName(
        f"Expected a layer with a convolution at or before it. Received {layer!r}, which still "
        "is the image itself. Choose a later layer."
    )


def _makes(wiring: Wiring, convolution: int, place: int) -> bool:
    """Whether each kernel of a convolution makes the same channel of a later tensor."""
    if type(wiring.makers[convolution]).__name__ == "SeparableConv2D":
        return False  # its second half mixes them
    while place != convolution:
        if type(wiring.makers[place]).__name__ not in _CHANNEL_BY_CHANNEL:
            return False
        place = wiring.parents[place][0]
    return True


def kernel(layer: Any) -> Floats | None:
    """Return a convolution's kernel, float32 (height, width, inputs, outputs), else None.

    Of a separable convolution the part that looks at neighbours.
    """
    for name in ("depthwise_kernel", "kernel"):
        found = getattr(layer, name, None)
        if found is not None and len(found.shape) == 4:
            return np.asarray(found.numpy(), np.float32)
    return None


def draw_filters(values: Floats, name: str, view: DisplayOptions, of: int, *, bgr: bool) -> Filters:
    """Draw one page of a convolution's kernels, 0 in the middle of the palette.

    Args:
        values: (height, width, inputs, outputs).
        name: of the layer.
        view: layout, palette and page; scale and order do not matter here.
        of: the output channel whose slices are shown, where a kernel reads no colours and has
            more than one slice an output; past the end means the first.
        bgr: whether the network gets blue first.
    """
    height, width, inputs, outputs = values.shape
    colour = inputs == RGB
    alone = outputs == 1 or inputs == 1  # depthwise: one slice a channel
    of = of if 0 <= of < outputs else 0
    if colour:
        tiles, count = _colour_tiles(values[:, :, ::-1] if bgr else values, view), outputs
    else:
        slices = values.reshape(height, width, -1) if alone else values[:, :, :, of]
        tiles, count = _grey_tiles(slices, view), slices.shape[2]
    return Filters(
        layer=name,
        tiles=tiles,
        colour=colour,
        shape=values.shape,
        of=None if colour or alone else of,
        own=True,
        count=count,
        pages=view.layout.pages(count),
        page=_page(count, view),
    )


def _grey_tiles(slices: Floats, view: DisplayOptions) -> Tiles:
    first = _page(slices.shape[2], view) * view.layout.tiles
    shown = slices[:, :, first : first + view.layout.tiles]
    reach = float(np.abs(extremes(slices)).max())
    low, high = bounds(shown, "zero", (-reach, reach))
    png = to_png(sheet(levels(shown, low, high), view.layout), palette(view.palette))
    return _tiles(png, shown, first, (low, high), view, shown.shape[1])


def _colour_tiles(values: Floats, view: DisplayOptions) -> Tiles:
    """Each kernel from its own furthest below 0 to as far above, grey being 0."""
    first = _page(values.shape[3], view) * view.layout.tiles
    shown = values[:, :, :, first : first + view.layout.tiles]
    flat = shown.reshape(shown.shape[0], -1, shown.shape[3])
    low, high = bounds(flat, "channel zero", (0, 0))
    sheets = [sheet(levels(shown[:, :, colour], low, high), view.layout) for colour in range(RGB)]
    return _tiles(to_png(np.stack(sheets, axis=2)), flat, first, (low, high), view, shown.shape[1])


def _page(count: int, view: DisplayOptions) -> int:
    return min(max(view.page, 0), view.layout.pages(count) - 1)


def _tiles(
    png: bytes,
    shown: Floats,
    first: int,
    ends: tuple[Floats, Floats],
    view: DisplayOptions,
    width: int,
) -> Tiles:
    lows, highs = extremes(shown)
    return Tiles(
        png=png,
        layout=view.layout,
        shape=(shown.shape[0], width),
        channels=tuple(range(first, first + shown.shape[2])),
        lows=tuple(lows.tolist()),
        highs=tuple(highs.tolist()),
        black=tuple(ends[0].tolist()),
        white=tuple(ends[1].tolist()),
        broken=tuple(broken(shown).tolist()),
    )
