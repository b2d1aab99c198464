"""Charts of a channel and of a network's depth. Figures only; nothing is drawn on a page here."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tlcore.activations.values import ChannelDetail, LayerInfo, LayerStatistics
from tlcore.percentages import percent
from tlcore.ui.components.clickable import clickable
from tlcore.ui.format import plain
from tlcore.ui.state import Choice, choose
from tlcore.ui.theme import Colours

HEIGHT = 230  # px

# what the chart over depth can show: name → (title, whether it is a share)
MEASURES = {
    "zeros": ("Zeros: share of values that are exactly 0", True),
    "dead": ("Dead channels: share that is 0 everywhere", True),
    "mean": ("Mean of all values", False),
    "spread": ("Spread: standard deviation of all values", False),
}


def histogram(look: ChannelDetail, tone: Colours, template: go.layout.Template) -> go.Figure:
    """How often each value occurs in one channel; the count's axis is logarithmic."""
    middles = [(a + b) / 2 for a, b in zip(look.edges, look.edges[1:], strict=False)]
    figure = go.Figure(layout={"template": template, "bargap": 0.05})
    figure.add_bar(x=middles, y=look.counts, marker_color=tone.pretrained)
    top = math.log10(max(1, *look.counts))
    figure.update_yaxes(type="log", title="pixels", dtick=1, range=[-0.3, top + 0.1])  # from 0.5
    figure.update_xaxes(title="value")
    figure.update_layout(height=HEIGHT, margin={"l": 48, "r": 8, "t": 8, "b": 44})
    if look.broken:
        words = f"{percent(look.broken)} are NaN or infinite, and left out"
        figure.update_layout(title={"text": words, "font": {"size": 13}}, margin={"t": 34})
    return figure


def over_depth(
    lines: Sequence[tuple[str, Sequence[LayerStatistics], str]],
    measure: str,
    layer: str,
    tone: Colours,
    template: go.layout.Template,
) -> go.Figure:
    """One measure of every layer, first to last.

    Args:
        lines: name, numbers and colour of each image.
        measure: a key of ``MEASURES``.
        layer: the present one, marked.
    """
    figure = go.Figure(layout={"template": template})
    for name, numbers, colour in lines:
        figure.add_scatter(
            x=list(range(1, len(numbers) + 1)),
            y=[getattr(row, measure) for row in numbers],
            text=[row.name for row in numbers],
            name=name,
            mode="lines",
            line={"color": colour, "width": 2},
            hovertemplate="%{text}<br>%{y:.3g}",
        )
    names = [row.name for row in lines[0][1]]
    if layer in names:
        figure.add_vline(x=names.index(layer) + 1, line={"color": tone.faint, "dash": "dot"})
    figure.update_xaxes(title="layer, from the pixels to the answer", tickformat="d")
    if MEASURES[measure][1]:
        figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    figure.update_layout(
        height=HEIGHT + 60,
        margin={"l": 48, "r": 8, "t": 24, "b": 44},
        showlegend=len(lines) > 1,
        legend={"orientation": "h", "y": 1.12},
    )
    return figure


# The network as a map: how its resolution falls and its channels grow; a click jumps there.


TALL = 64  # px of the bar of the largest resolution
LOW = 7  # px of that of a map of one pixel


def depth_map(places: Sequence[LayerInfo], layer: str) -> None:
    """Draw one bar a layer that has maps, block by block, the present one marked."""
    shown = [place for place in places if place.layer.spatial]
    names = [place.layer.name for place in shown]
    at = names.index(layer)
    st.html(f"<style>.depth i:nth-of-type({at + 1}){{--bar:var(--head);opacity:1}}</style>")
    clickable(_bars(shown), key="depth", on_pick=go_to)
    place = shown[at]
    height, width, channels = place.layer.output_shape
    st.caption(
        f"Layer **{at + 1} of {len(shown)}** with maps · {plain(place.block)} · "
        f"{height} × {width} pixels, {channels} channels · {sees(place)}",
        help="Each bar is a layer: its height is the resolution of its maps, which falls; the "
        "darker, the more channels, which grow. Click one to go there.",
    )


def sees(place: LayerInfo) -> str:
    """Say what one value of a layer sees of the image."""
    if math.isinf(max(place.sees)):
        return "each value sees the whole image"
    height, width = place.sees
    return f"each value sees {height:.0f} × {width:.0f} pixels"


def go_to(layer: str) -> None:
    """Look at another layer, from its first page on."""
    choose(Choice.LAYER, layer)
    choose(Choice.PAGE, "")


def layer_table(places: Sequence[LayerInfo], layer: str) -> None:
    """The list as ``summary`` has it; a row of a layer with maps goes there when clicked."""
    words = st.text_input("Find a layer", placeholder="name, type or block", key="layer-search")
    found = [place for place in places if words.lower() in _text(place).lower()]
    key = f"layers-{words}-{layer}"
    st.dataframe(
        _rows(found, layer),
        hide_index=True,
        height=340,
        on_select=lambda: go_to_row(found, st.session_state[key]["selection"]["rows"]),
        selection_mode="single-row",
        key=key,
    )
    st.caption("Click the box before a row to look into that layer.")


def go_to_row(places: Sequence[LayerInfo], rows: Sequence[int]) -> None:
    """Look at the layer of a row that was clicked, if it has maps."""
    if rows and places[rows[0]].layer.spatial:
        go_to(places[rows[0]].layer.name)


def _rows(places: Sequence[LayerInfo], layer: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "block": place.block,
                "layer": ("▸ " if place.layer.name == layer else "") + place.layer.name,
                "type": place.layer.type,
                "output shape": " × ".join(map(str, place.layer.output_shape)),
                "parameters": place.layer.parameters,
                "sees": _sees_short(place),
                "connected to": ", ".join(place.layer.connected_to),
                "trainable": place.layer.trainable,
            }
            for place in places
        ]
    )


def _sees_short(place: LayerInfo) -> str:
    if not place.layer.spatial:
        return ""
    if math.isinf(max(place.sees)):
        return "all"
    height, width = place.sees
    return f"{height:.0f} px" if height == width else f"{height:.0f} × {width:.0f} px"


def _text(place: LayerInfo) -> str:
    return f"{place.layer.name} {place.layer.type} {place.block}"


def _bars(places: Sequence[LayerInfo]) -> str:
    largest = max(place.layer.output_shape[0] or 1 for place in places)
    most = max(place.layer.output_shape[2] or 1 for place in places)
    bars, last = [], 0
    for number, (_, block) in enumerate(itertools.groupby(places, lambda place: place.block)):
        for place in block:
            gap = " class=gap" if number and last != number else ""
            last = number
            bars.append(_bar(place, largest, most, gap))
    return f'<div class="depth" role="group" aria-label="Layers">{"".join(bars)}</div>'


def _bar(place: LayerInfo, largest: int, most: int, gap: str) -> str:
    height, width, channels = (side or 1 for side in place.layer.output_shape)
    tall = LOW + (TALL - LOW) * math.log1p(height) / math.log1p(largest)
    dark = 0.18 + 0.82 * math.log1p(channels) / math.log1p(most)
    name = html.escape(place.layer.name, quote=True)
    title = f"{name} · {place.layer.type} · {height} × {width} × {channels}"
    style = f"height:{tall:.0f}px;--dark:{dark:.2f}"
    return f'<i{gap} data-pick="{name}" title="{title}" style="{style}"></i>'
