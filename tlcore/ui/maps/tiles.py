"""A drawn page of maps as HTML: tiles cut from one picture, each with its number and range."""

from __future__ import annotations

import base64

from tlcore.networks.maps.values import Tiles
from tlcore.ui.words import signed

COARSE = 80  # px of a map below which its pixels are shown as squares


def tiles_html(tiles: Tiles, *, name: str, words: str, chosen: int | None = None) -> str:
    """Return a page of tiles.

    Args:
        tiles: the page.
        name: of this grid among those on the page, part of a CSS class.
        words: what it shows, for people who cannot see it.
        chosen: a channel (from 0) that is marked.
    """
    height, width = tiles.shape
    rows, columns = tiles.layout.rows, tiles.layout.columns
    cells = "".join(
        f'<span data-pick="{number + 1}" title="Channel {number + 1}: {signed(low)} to '
        f'{signed(high)}"{" class=chosen" if number == chosen else ""} '
        f'style="background-position:{_share(place % columns, columns)} '
        f'{_share(place // columns, rows)}"></span>'
        for place, (number, low, high) in enumerate(
            zip(tiles.channels, tiles.lows, tiles.highs, strict=True)
        )
    )
    coarse = " coarse" if width < COARSE else ""
    return (
        f"<style>.maps-{name}{{--columns:{columns};--narrow:{min(columns, 4)}}}"
        f".maps-{name} span{{background-image:url({uri(tiles.png)});"
        f"aspect-ratio:{width}/{height};background-size:{columns}00% {rows}00%}}</style>"
        f'<div class="maps maps-{name}{coarse}" role="img" aria-label="{words}">{cells}</div>'
    )


def uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _share(place: int, count: int) -> str:
    return f"{place / (count - 1):.4%}" if count > 1 else "0"
