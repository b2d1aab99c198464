"""The kernels of a convolution as tiles: in colour where it reads the picture, else in grey."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlcore.errors import UnknownName
from tlcore.networks.answers import Floats
from tlcore.networks.grid import bounds, levels, sheet, to_png
from tlcore.networks.maps.palettes import palette
from tlcore.networks.maps.values import Filters, Tiles, View
from tlcore.networks.maps.wiring import Wiring

RGB = 3


def convolution_before(wiring: Wiring, layer: str) -> int:
    """Return the place of the nearest convolution at or before a layer, on its own path.

    Raises:
        UnknownName: there is none.
    """
    for place in reversed(wiring.below(wiring.place[layer])):
        if kernel(wiring.makers[place]) is not None:
            return place
    raise UnknownName(
        f"Expected a layer with a convolution at or before it. Received {layer!r}, which still "
        "is the picture itself. Choose a later layer."
    )


def kernel(layer: Any) -> Floats | None:
    """Return a convolution's kernel, float32 (height, width, inputs, outputs), else None.

    Of a separable convolution the part that looks at neighbours.
    """
    for name in ("depthwise_kernel", "kernel"):
        found = getattr(layer, name, None)
        if found is not None and len(found.shape) == 4:
            return np.asarray(found.numpy(), np.float32)
    return None


def draw_filters(values: Floats, name: str, view: View, of: int, *, bgr: bool) -> Filters:
    """Draw one page of a convolution's kernels, 0 in the middle of the palette.

    Args:
        values: (height, width, inputs, outputs).
        name: of the layer.
        view: layout, palette and page; scale and order do not matter here.
        of: the output channel whose slices are shown, where a kernel reads no colours and has
            more than one slice an output.
        bgr: whether the network gets blue first.
    """
    height, width, inputs, outputs = values.shape
    colour = inputs == RGB
    alone = outputs == 1 or inputs == 1  # depthwise: one slice a channel
    if colour:
        found = values[:, :, ::-1] if bgr else values
        return Filters(name, _colour_tiles(found, view), True, values.shape, None)
    slices = values.reshape(height, width, -1) if alone else values[:, :, :, of % outputs]
    slices_of = None if alone else of % outputs
    return Filters(name, _grey_tiles(slices, view), False, values.shape, slices_of)


def _grey_tiles(slices: Floats, view: View) -> Tiles:
    first = _first(slices.shape[2], view)
    shown = slices[:, :, first : first + view.layout.tiles]
    reach = float(np.abs(slices).max())
    low, high = bounds(shown, "zero", (-reach, reach))
    png = to_png(sheet(levels(shown, low, high), view.layout), palette(view.palette))
    return _tiles(png, shown, first, low, high, view)


def _colour_tiles(values: Floats, view: View) -> Tiles:
    """Each kernel from its own furthest below 0 to as far above, grey being 0."""
    first = _first(values.shape[3], view)
    shown = values[:, :, :, first : first + view.layout.tiles]
    reach = np.abs(shown).max(axis=(0, 1, 2))
    reach = np.where(reach > 0, reach, np.float32(1))  # a kernel of zeros is grey, not black
    sheets = [
        sheet(levels(shown[:, :, channel], -reach, reach), view.layout) for channel in range(RGB)
    ]
    flat = shown.reshape(shown.shape[0], -1, shown.shape[3])
    return _tiles(to_png(np.stack(sheets, axis=2)), flat, first, -reach, reach, view)


def _first(count: int, view: View) -> int:
    return min(max(view.page, 0), view.layout.pages(count) - 1) * view.layout.tiles


def _tiles(png: bytes, shown: Floats, first: int, low: Floats, high: Floats, view: View) -> Tiles:
    return Tiles(
        png=png,
        layout=view.layout,
        shape=(shown.shape[0], shown.shape[0]),
        channels=tuple(range(first, first + shown.shape[2])),
        lows=tuple(shown.min(axis=(0, 1)).tolist()),
        highs=tuple(shown.max(axis=(0, 1)).tolist()),
        black=tuple(low.tolist()),
        white=tuple(high.tolist()),
    )
