"""What is shown and how: display options, paging, and the bar of depth from layer to layer."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import streamlit as st

from tlcore.activations.layers import LayerInfo
from tlcore.activations.values import ActivationRequest, ChannelDetail, DisplayOptions, Layout
from tlcore.datasets.dataset import Sample
from tlcore.models.catalog import Backbone
from tlcore.models.summary import Layer
from tlcore.settings import Settings
from tlcore.ui.components.clickable import clickable
from tlcore.ui.format import escape_md
from tlcore.ui.state import Choice, choose, chosen_number
from tlcore.ui.widgets import current, segments, select

ORDERS = {
    "mean": "Strongest first: highest mean",
    "max": "Highest peak first",
    "variance": "Highest variance first",
    "dead": "Most zeros first",
    "index": "By channel number",
}
SCALES = {"channel": "Each map by itself", "layer": "One for the layer"}
PALETTES = {"grey": "Grey", "green": "Green", "fire": "Fire"}
ROWS = ("4", "2", "6", "8")  # the default first
COLUMNS = ("8", "4", "6", "12", "16")
TALL = 64  # px of the bar of the largest resolution
LOW = 7  # px of that of a map of one pixel
STOPS = ("edges", "textures", "parts")  # what early, middle and late layers respond to
HELP = (
    "Each bar is a layer: its height is the resolution of its maps, which falls; the darker, the "
    "more channels, which grow. Click one to go there."
)


@dataclass(frozen=True, eq=False)
class Shown:
    """What the page shows: one layer of one model for one image."""

    sample: Sample
    request: ActivationRequest
    layer: Layer
    detail: ChannelDetail  # of the selected channel
    options: DisplayOptions
    settings: Settings


def display_options() -> DisplayOptions:
    """Return how maps are displayed, as the person chose it in ``display_panel``."""
    return DisplayOptions(
        Layout(int(current(Choice.ROWS, ROWS)), int(current(Choice.COLUMNS, COLUMNS))),
        current(Choice.ORDER, list(ORDERS)),
        current(Choice.SCALE, list(SCALES)),
        current(Choice.PALETTE, list(PALETTES)),
        max(0, chosen_number(Choice.PAGE, 1) - 1),
    )


def display_panel() -> None:
    """Let the person change order, scale, colours, rows and columns, below the maps."""
    panel = st.expander("Display", icon=":material/tune:", key="display", on_change="rerun")
    if not panel.open:  # its widgets cost time at every step
        return
    with panel:
        order, rows, columns = st.columns([2, 1, 1], gap="small")
        with order:
            select("Order", list(ORDERS), Choice.ORDER, words=ORDERS.__getitem__, also=_first_page)
        with rows:
            select("Rows", sorted(ROWS, key=int), Choice.ROWS, also=_first_page)
        with columns:
            select("Columns", sorted(COLUMNS, key=int), Choice.COLUMNS, also=_first_page)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            segments("Scale", list(SCALES), Choice.SCALE, words=SCALES.__getitem__)
            segments("Colours", list(PALETTES), Choice.PALETTE, words=PALETTES.__getitem__)
        st.caption(
            "From black to white each map by itself, from its own lowest to its own highest value: "
            "a weak one appears as bright as a strong one. On one scale they can be compared."
        )


def paging(page: int, pages: int) -> None:
    """Let the person turn to another page of maps; ``page`` counts from 0."""
    key = f"maps-page-{pages}"  # a kept one would stay as narrow as its first number of pages
    st.session_state[key] = page + 1
    st.pagination(pages, key=key, on_change=lambda: choose(Choice.PAGE, st.session_state[key]))


def go_to(layer: str) -> None:
    """Show another layer, from its first page and its strongest channel on."""
    choose(Choice.LAYER, layer)
    _first_page()


def _first_page() -> None:
    choose(Choice.PAGE, "")
    choose(Choice.CHANNEL, "")


def depth_bar(layers: Sequence[LayerInfo], layer: str, row: Backbone, kind: str) -> None:
    """Draw one bar for each layer that has maps, the present one marked; a click goes there.

    ``kind`` is "pretrained" or "head": in whose colour.
    """
    spatial = [info for info in layers if info.layer.spatial]
    names = [info.layer.name for info in spatial]
    place = names.index(layer)
    bars = _bars(spatial, kind) + _stops(names, row)
    clickable(bars, key="depth", on_pick=go_to, chosen=layer, keys={"n": 1, "p": -1})
    info = spatial[place]
    height, width, channels = info.layer.output_shape
    st.caption(
        f"Layer **{place + 1} of {len(spatial)}** with maps · {escape_md(info.block)} · "
        f"{height} × {width} pixels, {channels} channels · each value sees "
        f"{receptive_field_text(info, spatial[0].layer.output_shape[0] or 0)}",
        help=HELP,
    )


def receptive_field_text(info: LayerInfo, size: int = 0) -> str:
    """Return how much of the image one value of a layer depends on: "7 × 7 pixels".

    With the size of the input it says so where that is more than the image has.
    """
    height, width = info.receptive_field
    if math.isinf(max(height, width)):
        return "the whole image"
    text = f"{height:.0f} × {width:.0f} pixels"
    return f"{text}, more than the image has" if size and min(height, width) > size else text


def stop_layers(names: Sequence[str], row: Backbone) -> Mapping[str, str]:
    """Return an early, a middle and a late layer of a backbone, by what such layers respond to."""
    ends = [name for end in row.layers for name in names if name.endswith(end)]
    if len(ends) < len(STOPS):
        return {}
    return dict(zip(STOPS, (ends[0], ends[len(ends) // 2], ends[-1]), strict=True))


def _bars(layers: Sequence[LayerInfo], kind: str) -> str:
    largest = max(info.layer.output_shape[0] or 1 for info in layers)
    most = max(info.layer.output_shape[2] or 1 for info in layers)
    bars = []
    for before, info in pairwise([layers[0], *layers]):
        height, width, channels = (side or 1 for side in info.layer.output_shape)
        tall = LOW + (TALL - LOW) * math.log1p(height) / math.log1p(largest)
        dark = 0.18 + 0.82 * math.log1p(channels) / math.log1p(most)
        name = html.escape(info.layer.name)
        bars.append(
            f'<i{" class=gap" if before.block != info.block else ""} data-pick="{name}" '
            f'title="{name} · {info.layer.type} · {height} × {width} × {channels}" '
            f'style="height:{tall:.0f}px;--dark:{dark:.2f}"></i>'
        )
    return f'<div class="depth {kind}" role="group" aria-label="Layers">{"".join(bars)}</div>'


def _stops(names: Sequence[str], row: Backbone) -> str:
    stops = "".join(
        f'<span data-pick="{html.escape(name)}" title="Go to {html.escape(name)}" '
        f'style="left:{(names.index(name) + 0.5) / len(names):.2%}">{word}</span>'
        for word, name in stop_layers(names, row).items()
    )
    return f'<div class="stops">{stops}</div>'
