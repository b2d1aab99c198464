"""The Feature maps page: whose network, which layer, and a page of its maps."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import streamlit as st
from PIL import Image

from tlcore.images.dataset import Sample
from tlcore.networks.answers import Layer, MapGrid, NetworkRef, Pretrained, Trained
from tlcore.networks.catalogue import BACKBONES
from tlcore.networks.grid import GAP, Layout
from tlcore.runs.store import run_info
from tlcore.settings import Settings
from tlcore.ui.answers import map_grid, spatial_layers
from tlcore.ui.networks import backbone_select, head_select, pretrained, view_options
from tlcore.ui.selecting import segments, select
from tlcore.ui.shell import TUNE
from tlcore.ui.state import Choice, choose, chosen, generation, renew
from tlcore.ui.words import count, signed

LAYOUT = Layout(rows=4, columns=8)
WHOSE = {"pretrained": ":blue[●] ImageNet's network", "head": ":orange[●] Your own"}


def network_picker(settings: Settings) -> NetworkRef | None:
    """Choose whose maps to see; None where that has been explained instead."""
    whose, which, options = st.columns([4, 5, 3], gap="medium", vertical_alignment="bottom")
    with whose:
        if _whose() == "head":
            with which:
                info = head_select(settings)
            if info is None:
                _no_run_yet()
                return None
            return Trained(info.id)
    with which:
        row = backbone_select(settings)
    with options:
        size, how = view_options(row, top=False, bars=False)
    return pretrained(row, size, how, settings)


def layer_picker(ref: NetworkRef, settings: Settings) -> Layer:
    """Choose a layer, by name or one step on; an early one that shows much at first."""
    layers = {layer.name: layer for layer in spatial_layers(ref, settings)}
    names = list(layers)
    if chosen(Choice.LAYER) not in layers:
        choose(Choice.LAYER, _first_look(ref, names, settings))
    back, which, on = st.columns([2, 8, 2], vertical_alignment="bottom")
    with which:
        name = select(
            f"Layer (of {len(names)} that have maps)",
            names,
            Choice.LAYER,
            words=lambda name: _layer_title(layers[name]),
            help="From the first, next to the pixels, to the last, next to the answer.",
            also=_first_page,
        )
    place = names.index(name)
    with back:
        _step("Previous", ":material/arrow_back:", names, place - 1)
    with on:
        _step("Next", ":material/arrow_forward:", names, place + 1)
    return layers[name]


def draw_maps(sample: Sample, ref: NetworkRef, layer: Layer, settings: Settings) -> None:
    """Draw one page of a layer's maps and say what it shows."""
    channels = layer.output_shape[-1] or 1
    pages = LAYOUT.pages(channels)
    key = f"maps-page-{generation('maps')}"
    page = min(int(st.session_state.get(key, 1)), pages)
    grid = map_grid(sample, ref, layer.name, page - 1, settings)
    with st.container(key="maps"):
        st.image(_png(grid), width="stretch", alt=f"Feature maps of layer {layer.name}")
    if pages > 1:
        st.pagination(pages, key=key)
    st.caption(_words(grid))
    if grid.source == "random":
        st.caption(":material/casino: Random weights: nothing here has been learned.")
    if grid.note:
        st.caption(f":material/info: {grid.note[:1].upper()}{grid.note[1:]}.")


def _whose() -> str:
    return segments("Network", list(WHOSE), Choice.NETWORK, words=lambda whose: WHOSE[whose])


def _no_run_yet() -> None:
    with st.container(border=True):
        st.markdown("**No run of your own yet.** After one, its layers can be seen here.")
        st.page_link(TUNE.file, label="Fine-tune a head", icon=TUNE.icon)


def _first_look(ref: NetworkRef, names: Sequence[str], settings: Settings) -> str:
    """The second stage of the backbone: edges and colours have just become textures."""
    if isinstance(ref, Pretrained):
        row = BACKBONES[ref.backbone]
    else:
        row = BACKBONES[run_info(ref.run, settings).config.backbone]
    wanted = row.layers[1]
    return next((name for name in names if name.endswith(wanted)), names[0])


def _layer_title(layer: Layer) -> str:
    height, width, channels = layer.output_shape
    return f"{layer.name} · {layer.type} · {height} × {width} × {channels}"


def _step(words: str, icon: str, names: Sequence[str], to: int) -> None:
    possible = 0 <= to < len(names)
    st.button(
        words,
        key=f"layer-{words.lower()}",
        icon=icon,
        width="stretch",
        disabled=not possible,
        on_click=_go,
        args=(names[to] if possible else "",),
    )


def _go(layer: str) -> None:
    choose(Choice.LAYER, layer)
    _first_page()


def _first_page() -> None:
    renew("maps")


def _png(grid: MapGrid) -> bytes:
    """Return the tiles as PNG bytes, clear between them, so that they lie on any ground."""
    height, width = grid.pixels.shape
    tile = (height + GAP) // LAYOUT.rows - GAP, (width + GAP) // LAYOUT.columns - GAP
    clear = np.zeros((height, width), np.uint8)
    for place in range(len(grid.lows)):
        row, column = divmod(place, LAYOUT.columns)
        top, left = row * (tile[0] + GAP), column * (tile[1] + GAP)
        clear[top : top + tile[0], left : left + tile[1]] = 255
    rows = -(-len(grid.lows) // LAYOUT.columns)
    end = rows * (tile[0] + GAP) - GAP
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([grid.pixels, clear])[:end]).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _words(grid: MapGrid) -> str:
    last = grid.first + len(grid.lows)
    low, high = min(grid.lows), max(grid.highs)
    dead = sum(low == high for low, high in zip(grid.lows, grid.highs, strict=True))
    text = (
        f"Channels {grid.first + 1}–{last} of {grid.channels}, each {grid.shape[0]} × "
        f"{grid.shape[1]}. Values from {signed(low)} to {signed(high)}; each tile runs from its "
        "own lowest (black) to its own highest (white)."
    )
    return text + (f" {count(dead, 'tile')} the same everywhere." if dead else "")
