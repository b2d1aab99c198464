"""Colours for values 0 to 255: tables of a few anchors, evenly spaced, with straight lines between.

"grey", "blue" and "fire" grow steadily in lightness, so that they read the same to people who see
colours differently and on paper; "signed" is for values around 0, blue below and orange above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

import numpy as np

from tlcore.activations.tiles import Levels, bounds, broken, draw, extremes, levels, sheet, to_png
from tlcore.activations.values import DisplayOptions, Tiles, channel_order
from tlcore.errors import UnknownName
from tlcore.models.predictions import Floats

PALETTES: Mapping[str, tuple[tuple[int, int, int], ...]] = MappingProxyType(
    {
        "grey": ((0, 0, 0), (255, 255, 255)),
        "blue": ((4, 12, 30), (0, 62, 108), (0, 114, 178), (86, 180, 233), (236, 248, 255)),
        "fire": ((10, 4, 20), (88, 20, 70), (178, 44, 46), (230, 130, 20), (255, 244, 190)),
        "signed": ((0, 60, 110), (86, 180, 233), (246, 246, 246), (240, 160, 60), (150, 60, 0)),
    }
)


@cache
def palette(name: str) -> Levels:
    """Return a palette as uint8 (256, 3) RGB.

    Raises:
        UnknownName: no such palette.
    """
    if name not in PALETTES:
        raise UnknownName.of("palette", name, PALETTES)
    anchors = np.array(PALETTES[name], np.float64)
    places = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(places, range(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


# Maps to pages: which channels, on which scale, in which colours.


def page_of(maps: Floats, view: DisplayOptions) -> tuple[list[int], int, int]:
    """Return the channels on a page, the number of that page and how many there are."""
    channels = maps.shape[2]
    pages = view.layout.pages(channels)
    page = min(max(view.page, 0), pages - 1)
    first = page * view.layout.tiles
    return channel_order(maps, view.order)[first : first + view.layout.tiles].tolist(), page, pages


def tiles(maps: Floats, channels: list[int], view: DisplayOptions, *others: Floats) -> Tiles:
    """Draw some channels; ``others`` share the scale where it is the layer's.

    Args:
        maps: (height, width, channels) of the whole layer.
        channels: which, in the order of the tiles, at most ``view.layout.tiles``.
        view: layout, scale and palette.
        others: further maps of the same layer that are drawn beside these.
    """
    shown = _pick(maps, channels)
    lows, highs = extremes(shown)
    low, high = _bounds(shown, maps, view, [(_pick(other, channels), other) for other in others])
    return Tiles(
        png=to_png(sheet(levels(shown, low, high), view.layout), palette(view.palette)),
        layout=view.layout,
        shape=(maps.shape[0], maps.shape[1]),
        channels=tuple(channels),
        lows=tuple(lows.tolist()),
        highs=tuple(highs.tolist()),
        black=tuple(low.tolist()),
        white=tuple(high.tolist()),
        broken=tuple(broken(shown).tolist()),
    )


def image(maps: Floats, view: DisplayOptions, only: Sequence[int] | None = None) -> bytes:
    """Return a page as a PNG to keep: enlarged, with gaps.

    Args:
        maps: (height, width, channels) of the whole layer, which sets the scale of the layer.
        view: which page, and how it is drawn.
        only: the channels that are drawn, all by default.
    """
    drawn = list(range(maps.shape[2]) if only is None else only)
    places, _, _ = page_of(_pick(maps, drawn), view)
    channels = [drawn[place] for place in places]
    shown = _pick(maps, channels)
    low, high = _bounds(shown, maps, view, [])
    return to_png(draw(levels(shown, low, high), view.layout), palette(view.palette), keep=True)


def _pick(maps: Floats, channels: list[int]) -> Floats:
    first, last = channels[0], channels[-1]
    if channels == list(range(first, last + 1)):
        return np.ascontiguousarray(maps[:, :, first : last + 1])  # the usual case: be quick
    return maps[:, :, channels]


def _bounds(
    shown: Floats, maps: Floats, view: DisplayOptions, others: list[tuple[Floats, Floats]]
) -> tuple[Floats, Floats]:
    whole = (0.0, 0.0)
    if view.scale in ("layer", "zero"):
        ends = [extremes(every) for every in (maps, *(other for _, other in others))]
        whole = (
            min(float(low.min()) for low, _ in ends),
            max(float(high.max()) for _, high in ends),
        )
    found = [bounds(shown, view.scale, whole)]
    found += [bounds(part, view.scale, whole) for part, _ in others]
    return (
        np.minimum.reduce([low for low, _ in found]),
        np.maximum.reduce([high for _, high in found]),
    )
