"""A drawn page of maps as HTML: tiles cut from one image, each with its number and range."""

from __future__ import annotations

import base64
import html

from tlcore.activations.values import Tiles
from tlcore.percentages import percent
from tlcore.ui.format import signed

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
    cells = "".join(_cell(tiles, place, chosen) for place in range(len(tiles.channels)))
    coarse = " coarse" if width < COARSE else ""
    return (
        f"<style>.maps-{name}{{--columns:{columns};--narrow:{min(columns, 4)}}}"
        f".maps-{name} span{{background-image:url({uri(tiles.png)});"
        f"aspect-ratio:{width}/{height};background-size:{columns}00% {rows}00%}}</style>"
        f'<div class="maps maps-{name}{coarse}" role="img" '
        f'aria-label="{html.escape(words, quote=True)}">{cells}</div>{_broken(tiles)}'
    )


def _cell(tiles: Tiles, place: int, chosen: int | None) -> str:
    number, rows, columns = tiles.channels[place], tiles.layout.rows, tiles.layout.columns
    said = f"{signed(tiles.lows[place])} to {signed(tiles.highs[place])}"
    if tiles.broken and tiles.broken[place]:
        said += f", {percent(tiles.broken[place])} NaN or infinite"
    return (
        f'<span data-pick="{number + 1}" title="Channel {number + 1}: {html.escape(said)}"'
        f"{' class=chosen' if number == chosen else ''} "
        f'style="background-position:{_share(place % columns, columns)} '
        f'{_share(place // columns, rows)}"></span>'
    )


def _broken(tiles: Tiles) -> str:
    """Say it where a network has run over: such pixels look like any other."""
    count = sum(part > 0 for part in tiles.broken)
    if not count:
        return ""
    return (
        f"<p><b>{count} of {len(tiles.channels)} tiles hold values that are no numbers</b> (NaN or "
        "infinite), which are drawn as the lowest or the highest. The weights of this network, or "
        "what it was trained on, have run over.</p>"
    )


def uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _share(place: int, count: int) -> str:
    return f"{place / (count - 1):.4%}" if count > 1 else "0"
