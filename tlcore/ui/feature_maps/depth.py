"""The layers of a network from the pixels to the answer: a bar one can click, and a table."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd
import streamlit as st

from tlcore.activations.layers import LayerInfo
from tlcore.models.catalog import Backbone
from tlcore.ui.components.clickable import clickable
from tlcore.ui.format import escape_md
from tlcore.ui.state import Choice, choose

TALL = 64  # px of the bar of the largest resolution
LOW = 7  # px of that of a map of one pixel
STOPS = ("edges", "textures", "parts")  # what early, middle and late layers respond to
HELP = (
    "Each bar is a layer: its height is the resolution of its maps, which falls; the darker, the "
    "more channels, which grow. Click one to go there."
)


def depth_bar(layers: Sequence[LayerInfo], layer: str, row: Backbone, kind: str) -> None:
    """Draw one bar for each layer that has maps, the present one marked; a click goes there.

    ``kind`` is "pretrained" or "head": in whose colour.
    """
    spatial = [info for info in layers if info.layer.spatial]
    names = [info.layer.name for info in spatial]
    place = names.index(layer)
    st.html(f"<style>.depth i:nth-of-type({place + 1}){{--bar:var(--text);opacity:1}}</style>")
    clickable(_bars(spatial, kind) + _stops(names, row), key="depth", on_pick=go_to)
    info = spatial[place]
    height, width, channels = info.layer.output_shape
    st.caption(
        f"Layer **{place + 1} of {len(spatial)}** with maps · {escape_md(info.block)} · "
        f"{height} × {width} pixels, {channels} channels · {receptive_field_text(info)}",
        help=HELP,
    )


def go_to(layer: str) -> None:
    """Show another layer, from its first page and its strongest channel on."""
    choose(Choice.LAYER, layer)
    choose(Choice.PAGE, "")
    choose(Choice.CHANNEL, "")


def stop_layers(names: Sequence[str], row: Backbone) -> Mapping[str, str]:
    """Return an early, a middle and a late layer of a backbone, by what such layers respond to."""
    ends = [name for end in row.layers for name in names if name.endswith(end)]
    if len(ends) < len(STOPS):
        return {}
    return dict(zip(STOPS, (ends[0], ends[len(ends) // 2], ends[-1]), strict=True))


def receptive_field_text(info: LayerInfo) -> str:
    """Return how much of the image one value of a layer depends on."""
    if math.isinf(max(info.receptive_field)):
        return "each value sees the whole image"
    height, width = info.receptive_field
    return f"each value sees {height:.0f} × {width:.0f} pixels"


def _bars(layers: Sequence[LayerInfo], kind: str) -> str:
    largest = max(info.layer.output_shape[0] or 1 for info in layers)
    most = max(info.layer.output_shape[2] or 1 for info in layers)
    gaps = [False, *(before.block != info.block for before, info in pairwise(layers))]
    bars = [_bar(info, largest, most, gap) for info, gap in zip(layers, gaps, strict=True)]
    return f'<div class="depth {kind}" role="group" aria-label="Layers">{"".join(bars)}</div>'


def _bar(info: LayerInfo, largest: int, most: int, gap: bool) -> str:
    height, width, channels = (side or 1 for side in info.layer.output_shape)
    tall = LOW + (TALL - LOW) * math.log1p(height) / math.log1p(largest)
    dark = 0.18 + 0.82 * math.log1p(channels) / math.log1p(most)
    name = html.escape(info.layer.name, quote=True)
    title = f"{name} · {info.layer.type} · {height} × {width} × {channels}"
    style = f"height:{tall:.0f}px;--dark:{dark:.2f}"
    return (
        f'<i{" class=gap" if gap else ""} data-pick="{name}" title="{title}" style="{style}"></i>'
    )


def _stops(names: Sequence[str], row: Backbone) -> str:
    stops = "".join(
        f'<span data-pick="{html.escape(name, quote=True)}" title="Go to {html.escape(name)}" '
        f'style="left:{(names.index(name) + 0.5) / len(names):.2%}">{word}</span>'
        for word, name in stop_layers(names, row).items()
    )
    return f'<div class="stops">{stops}</div>'


def layer_table(layers: Sequence[LayerInfo], layer: str) -> None:
    """Draw the list as ``summary`` has it; a selected row of a layer with maps goes there."""
    words = st.text_input("Search", placeholder="name, type or block", key="layer-search").lower()
    shown = [
        info
        for info in layers
        if words in f"{info.layer.name} {info.layer.type} {info.block}".lower()
    ]
    key = f"layers-{words}-{layer}"
    st.dataframe(
        pd.DataFrame([_table_row(info, layer) for info in shown]),
        hide_index=True,
        height=340,
        on_select=lambda: go_to_row(shown, st.session_state[key]["selection"]["rows"]),
        selection_mode="single-row",
        key=key,
    )
    st.caption("Select a row to go to that layer.")


def go_to_row(layers: Sequence[LayerInfo], rows: Sequence[int]) -> None:
    """Go to the layer of a selected row, if it has maps."""
    if rows and layers[rows[0]].layer.spatial:
        go_to(layers[rows[0]].layer.name)


def _table_row(info: LayerInfo, selected: str) -> dict[str, object]:
    layer = info.layer
    height, width = info.receptive_field
    square = f"{height:.0f} px" if height == width else f"{height:.0f} × {width:.0f} px"
    field = "whole image" if math.isinf(max(info.receptive_field)) else square
    return {
        "block": info.block,
        "layer": ("▸ " if layer.name == selected else "") + layer.name,
        "type": layer.type,
        "output shape": " × ".join(map(str, layer.output_shape)),
        "parameters": layer.parameters,
        "receptive field": field if layer.spatial else "",
        "connected to": ", ".join(layer.connected_to),
        "trainable": layer.trainable,
    }
