"""The network as a map: how its resolution falls and its channels grow; a click jumps there."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from tlcore.models.maps.values import Place
from tlcore.ui.maps.clickable import clickable
from tlcore.ui.state import Choice, choose
from tlcore.ui.words import plain

TALL = 64  # px of the bar of the largest resolution
LOW = 7  # px of that of a map of one pixel


def depth_map(places: Sequence[Place], layer: str) -> None:
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


def sees(place: Place) -> str:
    """Say what one value of a layer sees of the picture."""
    if math.isinf(max(place.sees)):
        return "each value sees the whole picture"
    height, width = place.sees
    return f"each value sees {height:.0f} × {width:.0f} pixels"


def go_to(layer: str) -> None:
    """Look at another layer, from its first page on."""
    choose(Choice.LAYER, layer)
    choose(Choice.PAGE, "")


def layer_table(places: Sequence[Place], layer: str) -> None:
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


def go_to_row(places: Sequence[Place], rows: Sequence[int]) -> None:
    """Look at the layer of a row that was clicked, if it has maps."""
    if rows and places[rows[0]].layer.spatial:
        go_to(places[rows[0]].layer.name)


def _rows(places: Sequence[Place], layer: str) -> pd.DataFrame:
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


def _sees_short(place: Place) -> str:
    if not place.layer.spatial:
        return ""
    if math.isinf(max(place.sees)):
        return "all"
    height, width = place.sees
    return f"{height:.0f} px" if height == width else f"{height:.0f} × {width:.0f} px"


def _text(place: Place) -> str:
    return f"{place.layer.name} {place.layer.type} {place.block}"


def _bars(places: Sequence[Place]) -> str:
    largest = max(place.layer.output_shape[0] or 1 for place in places)
    most = max(place.layer.output_shape[2] or 1 for place in places)
    bars, last = [], 0
    for number, (_, block) in enumerate(itertools.groupby(places, lambda place: place.block)):
        for place in block:
            gap = " class=gap" if number and last != number else ""
            last = number
            bars.append(_bar(place, largest, most, gap))
    return f'<div class="depth" role="group" aria-label="Layers">{"".join(bars)}</div>'


def _bar(place: Place, largest: int, most: int, gap: str) -> str:
    height, width, channels = (side or 1 for side in place.layer.output_shape)
    tall = LOW + (TALL - LOW) * math.log1p(height) / math.log1p(largest)
    dark = 0.18 + 0.82 * math.log1p(channels) / math.log1p(most)
    name = html.escape(place.layer.name, quote=True)
    title = f"{name} · {place.layer.type} · {height} × {width} × {channels}"
    style = f"height:{tall:.0f}px;--dark:{dark:.2f}"
    return f'<i{gap} data-pick="{name}" title="{title}" style="{style}"></i>'
