"""Feature maps as HTML: a page of tiles cut from one image, and one map laid over its image."""

from __future__ import annotations

import base64
import html

from tlcore.activations.render import PALETTES
from tlcore.activations.values import ChannelDetail, Tiles
from tlcore.percentages import percent
from tlcore.ui.format import signed

COARSE = 80  # px of a map below which its pixels are shown as squares


def tiles_html(tiles: Tiles, *, name: str, alt: str, selected: int | None = None) -> str:
    """Return a page of tiles, with a note on those whose pixels hide NaN or infinite values.

    Args:
        tiles: the page.
        name: of this grid among those on the page, part of a CSS class.
        alt: what it shows, for people who cannot see it.
        selected: a channel (from 0) that is marked.
    """
    height, width = tiles.shape
    rows, columns = tiles.layout.rows, tiles.layout.columns
    cells = "".join(_tile(tiles, place, selected) for place in range(len(tiles.channels)))
    coarse = " coarse" if width < COARSE else ""
    count = sum(share > 0 for share in tiles.not_finite)
    note = (
        f"<p><b>{count} of {len(tiles.channels)} tiles hold NaN or infinite values</b>, drawn as "
        "the lowest or the highest. The weights of this network have overflowed, or the values "
        "that it was trained on had.</p>"
    )
    return (
        f"<style>.maps-{name}{{--columns:{columns};--narrow:{min(columns, 4)}}}"
        f".maps-{name} span{{background-image:url({_data_uri(tiles.png)});"
        f"aspect-ratio:{width}/{height};background-size:{columns}00% {rows}00%}}</style>"
        f'<div class="maps maps-{name}{coarse}" role="img" '
        f'aria-label="{html.escape(alt)}">{cells}</div>{note if count else ""}'
    )


def _tile(tiles: Tiles, place: int, selected: int | None) -> str:
    channel, rows, columns = tiles.channels[place], tiles.layout.rows, tiles.layout.columns
    values = f"{signed(tiles.lows[place])} to {signed(tiles.highs[place])}"
    if tiles.not_finite and tiles.not_finite[place]:
        values += f", {percent(tiles.not_finite[place])} NaN or infinite"
    return (
        f'<span data-pick="{channel + 1}" title="Channel {channel + 1}: {html.escape(values)}"'
        f"{' class=chosen' if channel == selected else ''} "
        f'style="background-position:{_position(place % columns, columns)} '
        f'{_position(place // columns, rows)}"></span>'
    )


def _position(place: int, count: int) -> str:
    """Return where a tile lies along one axis of the page, as CSS counts it."""
    return f"{place / (count - 1):.4%}" if count > 1 else "0"


def overlay_html(channel: ChannelDetail, image: bytes, size: int, opacity: float) -> str:
    """Return one map over its image, framed where its highest value's receptive field lies.

    Below it stands a legend with the values that the ends of the palette stand for.

    Args:
        channel: the map.
        image: PNG of the network's input.
        size: side of that input, pixels.
        opacity: of the map, 0…1.
    """
    left, top, right, bottom = channel.box
    coarse = "coarse" if channel.field.across.step * COARSE > size else ""
    colours = ",".join(f"rgb{colour}" for colour in PALETTES["fire"])
    return (
        f'<div class="over"><img src="{_data_uri(image)}" alt="">'
        f'<img class="{coarse}" src="{_data_uri(channel.png)}" alt="Channel {channel.channel + 1}" '
        f'style="opacity:{opacity:.2f}">'
        f'<div class="box" style="left:{left / size:.2%};top:{top / size:.2%};'
        f'width:{(right - left) / size:.2%};height:{(bottom - top) / size:.2%}"></div></div>'
        f'<div class="scale"><span>{signed(channel.low)}</span>'
        f'<i style="background:linear-gradient(to right,{colours})"></i>'
        f"<span>{signed(channel.high)}</span></div>"
    )


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
