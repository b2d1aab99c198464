"""Maps to pages: which channels, on which scale, in which colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tlcore.models.answers import Floats
from tlcore.models.grid import bounds, broken, draw, extremes, levels, sheet, to_png
from tlcore.models.maps.order import ordered
from tlcore.models.maps.palettes import palette
from tlcore.models.maps.values import Tiles, View


def page_of(maps: Floats, view: View) -> tuple[list[int], int, int]:
    """Return the channels on a page, the number of that page and how many there are."""
    channels = maps.shape[2]
    pages = view.layout.pages(channels)
    page = min(max(view.page, 0), pages - 1)
    first = page * view.layout.tiles
    return ordered(maps, view.order)[first : first + view.layout.tiles].tolist(), page, pages


def tiles(maps: Floats, channels: list[int], view: View, *others: Floats) -> Tiles:
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


def picture(maps: Floats, view: View, only: Sequence[int] | None = None) -> bytes:
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
    shown: Floats, maps: Floats, view: View, others: list[tuple[Floats, Floats]]
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
