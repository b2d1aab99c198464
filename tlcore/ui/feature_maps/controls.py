"""How a page of maps is drawn, and what may be taken away. Folded: the defaults are good."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import streamlit as st

from tlcore.activations.tiles import Layout
from tlcore.activations.values import ActivationRequest, DisplayOptions
from tlcore.settings import Settings
from tlcore.ui.questions import map_image, map_values
from tlcore.ui.state import Choice, choose, chosen, chosen_number
from tlcore.ui.widgets import current, segments, select

ORDERS: Mapping[str, str] = MappingProxyType(
    {
        "index": "As the network numbers them",
        "mean": "Highest mean first",
        "max": "Highest peak first",
        "variance": "Most varied first",
        "dead": "Most zeros first",
    }
)
SCALES = MappingProxyType({"channel": "Each map by itself", "layer": "One for the layer"})
PALETTES = MappingProxyType({"grey": "Grey", "blue": "Blue", "fire": "Fire"})
ROWS = ("2", "4", "6", "8")
COLUMNS = ("4", "6", "8", "12", "16")


def drawing_options() -> DisplayOptions:
    """Let the person change rows, columns, order, scale and colours; return the view."""
    for choice, default in ((Choice.ROWS, "4"), (Choice.COLUMNS, "8")):
        if chosen(choice) not in (ROWS if choice is Choice.ROWS else COLUMNS):
            choose(choice, default)
    drawer = st.popover(
        "Drawing", icon=":material/tune:", width="stretch", key="drawing", on_change="rerun"
    )
    if drawer.open:  # its widgets cost time at every step, so they are there when they are seen
        with drawer:
            _options()
    return DisplayOptions(
        Layout(int(chosen(Choice.ROWS)), int(chosen(Choice.COLUMNS))),
        current(Choice.ORDER, list(ORDERS)),
        current(Choice.SCALE, list(SCALES)),
        current(Choice.PALETTE, list(PALETTES)),
        max(0, chosen_number(Choice.PAGE, 1) - 1),
    )


def paging(page: int, pages: int) -> None:
    """Let the person turn to another page of maps; ``page`` counts from 0."""
    key = "maps-page"
    st.session_state[key] = page + 1
    st.pagination(pages, key=key, on_change=lambda: choose(Choice.PAGE, st.session_state[key]))


def _options() -> None:
    select("Order", list(ORDERS), Choice.ORDER, words=ORDERS.__getitem__, also=_first)
    st.caption(
        "From black to white",
        help="By itself, each map runs from its own lowest to its own highest value: a faint "
        "one looks as strong as a strong one. On one scale they can be compared.",
    )
    segments("Scale", list(SCALES), Choice.SCALE, words=SCALES.__getitem__)
    segments("Colours", list(PALETTES), Choice.PALETTE, words=PALETTES.__getitem__)
    rows, columns = st.columns(2)
    with rows:
        select("Rows", ROWS, Choice.ROWS, also=_first)
    with columns:
        select("Columns", COLUMNS, Choice.COLUMNS, also=_first)


def download_options(
    look: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> None:
    """Offer the page as an image and the values as a file; drawn when they are asked for."""
    name = layer.replace("/", "-")
    drawer = st.popover(
        "Take away", icon=":material/download:", width="stretch", key="away", on_change="rerun"
    )
    if not drawer.open:
        return
    with drawer:
        st.download_button(
            "This page as PNG",
            data=lambda: map_image(look, layer, view, settings),
            file_name=f"{name}.png",
            mime="image/png",
            on_click="ignore",
            width="stretch",
        )
        st.download_button(
            "All values as NPZ",
            data=lambda: map_values(look, layer, settings),
            file_name=f"{name}.npz",
            mime="application/octet-stream",
            on_click="ignore",
            width="stretch",
            help="`maps`, float32 (height, width, channels), for `numpy.load`.",
        )
        st.caption("The address of this page opens the same image, network, layer and drawing.")


def _first() -> None:
    choose(Choice.PAGE, "")
