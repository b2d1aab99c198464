"""The Feature maps page: whose network, which layer, and a page of its maps."""

from __future__ import annotations

import base64
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
COARSE = 80  # px of a map below which its pixels are shown as squares
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
    which, steps = st.columns([8, 4], vertical_alignment="bottom", gap="small")
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
    with steps, st.container(horizontal=True, gap="small"):
        _step("Previous layer", ":material/arrow_back:", names, place - 1)
        _step("Next layer", ":material/arrow_forward:", names, place + 1)
    return layers[name]


def draw_maps(sample: Sample, ref: NetworkRef, layer: Layer, settings: Settings) -> None:
    """Draw one page of a layer's maps and say what it shows."""
    channels = layer.output_shape[-1] or 1
    pages = LAYOUT.pages(channels)
    key = f"maps-page-{generation('maps')}"
    page = min(int(st.session_state.get(key, 1)), pages)
    grid = map_grid(sample, ref, layer.name, page - 1, settings)
    st.html(_tiles(grid))
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
        key=words.lower().replace(" ", "-"),
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


def _tiles(grid: MapGrid) -> str:
    """Return the maps as HTML: tiles cut from one picture, each with its channel and range."""
    height, width = grid.shape
    rows, columns = LAYOUT.rows, LAYOUT.columns
    cells = "".join(
        f'<span title="Channel {grid.first + place + 1}: {signed(low)} to {signed(high)}" '
        f'style="background-position:{place % columns / (columns - 1):.4%} '
        f'{place // columns / (rows - 1):.4%}"></span>'
        for place, (low, high) in enumerate(zip(grid.lows, grid.highs, strict=True))
    )
    coarse = " coarse" if width < COARSE else ""
    return (
        f"<style>.maps span{{background-image:url({_sheet(grid)});aspect-ratio:{width}/{height};"
        f"background-size:{columns}00% {rows}00%}}</style>"
        f'<div class="maps{coarse}" role="img" aria-label="Feature maps of {grid.layer}">'
        f"{cells}</div>"
    )


def _sheet(grid: MapGrid) -> str:
    """Return the tiles side by side at their own size, as a PNG in a data URI."""
    rows, columns = LAYOUT.rows, LAYOUT.columns
    tile = [(grid.pixels.shape[0] + GAP) // rows, (grid.pixels.shape[1] + GAP) // columns]
    zoom = (tile[1] - GAP) // grid.shape[1]
    whole = np.pad(grid.pixels, ((0, GAP), (0, GAP))).reshape(rows, tile[0], columns, tile[1])
    close = whole[:, :-GAP:zoom, :, :-GAP:zoom]
    buffer = io.BytesIO()
    picture = Image.fromarray(close.reshape(rows * grid.shape[0], columns * grid.shape[1]))
    picture.save(buffer, "PNG", compress_level=3)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


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
