"""How a page of maps is displayed, and its downloads. Folded: the defaults are good."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import streamlit as st

from tlcore.activations.values import ActivationRequest, DisplayOptions, Layout
from tlcore.settings import Settings
from tlcore.ui.inference_requests import map_image, map_values
from tlcore.ui.state import Choice, choose, chosen_number
from tlcore.ui.widgets import current, segments, select

ORDERS: Mapping[str, str] = MappingProxyType(
    {
        "mean": "Strongest first: highest mean",
        "max": "Highest peak first",
        "variance": "Highest variance first",
        "dead": "Most zeros first",
        "index": "By channel number",
    }
)
SCALES = MappingProxyType({"channel": "Each map by itself", "layer": "One for the layer"})
PALETTES = MappingProxyType({"grey": "Grey", "blue": "Blue", "fire": "Fire"})
ROWS = ("4", "2", "6", "8")  # the default first
COLUMNS = ("8", "4", "6", "12", "16")


def display_options() -> DisplayOptions:
    """Return how maps are displayed, as the person chose it under ``display_popover``."""
    rows, columns = current(Choice.ROWS, ROWS), current(Choice.COLUMNS, COLUMNS)
    return DisplayOptions(
        Layout(int(rows), int(columns)),
        current(Choice.ORDER, list(ORDERS)),
        current(Choice.SCALE, list(SCALES)),
        current(Choice.PALETTE, list(PALETTES)),
        max(0, chosen_number(Choice.PAGE, 1) - 1),
    )


def display_popover() -> None:
    """Let the person change order, scale, colours, rows and columns."""
    popover = st.popover(
        "Display", icon=":material/tune:", type="tertiary", key="display", on_change="rerun"
    )
    if not popover.open:  # its widgets cost time at every step
        return
    with popover:
        select("Order", list(ORDERS), Choice.ORDER, words=ORDERS.__getitem__, also=_first_page)
        st.caption(
            "From black to white",
            help="By itself, each map runs from its own lowest to its own highest value: a weak "
            "one appears as bright as a strong one. On one scale they can be compared.",
        )
        segments("Scale", list(SCALES), Choice.SCALE, words=SCALES.__getitem__)
        segments("Colours", list(PALETTES), Choice.PALETTE, words=PALETTES.__getitem__)
        rows, columns = st.columns(2)
        with rows:
            select("Rows", sorted(ROWS, key=int), Choice.ROWS, also=_first_page)
        with columns:
            select("Columns", sorted(COLUMNS, key=int), Choice.COLUMNS, also=_first_page)


def paging(page: int, pages: int) -> None:
    """Let the person turn to another page of maps; ``page`` counts from 0."""
    key = "maps-page"
    st.session_state[key] = page + 1
    st.pagination(pages, key=key, on_change=lambda: choose(Choice.PAGE, st.session_state[key]))


def download_popover(
    request: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> None:
    """Offer the page as an image and the values as a file; computed when they are clicked."""
    name = layer.replace("/", "-")
    popover = st.popover(
        "Download", icon=":material/download:", type="tertiary", key="download", on_change="rerun"
    )
    if not popover.open:
        return
    with popover:
        st.download_button(
            "This page as PNG",
            data=lambda: map_image(request, layer, view, settings),
            file_name=f"{name}.png",
            mime="image/png",
            on_click="ignore",
            width="stretch",
        )
        st.download_button(
            "All values as NPZ",
            data=lambda: map_values(request, layer, settings),
            file_name=f"{name}.npz",
            mime="application/octet-stream",
            on_click="ignore",
            width="stretch",
            help="`maps`, float32 (height, width, channels), for `numpy.load`.",
        )
        st.caption("The address of this page opens the same image, network, layer and display.")


def _first_page() -> None:
    choose(Choice.PAGE, "")
    choose(Choice.CHANNEL, "")
