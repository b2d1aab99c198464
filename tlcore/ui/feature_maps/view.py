"""The Feature maps page: whose network, the walk from layer to layer, and a page of maps."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tlcore.activations.values import DisplayOptions, LayerInfo, MapPage
from tlcore.datasets.dataset import Sample
from tlcore.models.catalog import BACKBONES
from tlcore.models.predictions import Layer, ModelRef
from tlcore.settings import Settings
from tlcore.training.store import load_run_info
from tlcore.ui.components.clickable import clickable
from tlcore.ui.components.damaged import show_damaged_head
from tlcore.ui.components.framing import network_view
from tlcore.ui.components.model_picker import pretrained, select_backbone, view_of, view_options
from tlcore.ui.components.run_picker import select_head, show_no_run
from tlcore.ui.feature_maps.controls import download_options, drawing_options, paging
from tlcore.ui.feature_maps.depth import depth_map, go_to
from tlcore.ui.feature_maps.layer_text import layer_text
from tlcore.ui.feature_maps.more import more
from tlcore.ui.feature_maps.tiles import tiles_html
from tlcore.ui.format import count, plain, signed
from tlcore.ui.questions import activation_request, list_layers, map_page
from tlcore.ui.shell import FEATURE_MAPS, boundary
from tlcore.ui.state import Choice, choose, chosen, chosen_number, write_address
from tlcore.ui.widgets import segments, select

WHOSE = {"pretrained": ":blue[●] ImageNet's network", "head": ":orange[●] Your own"}


def network_picker(settings: Settings) -> ModelRef | None:
    """Choose whose maps to see; None where that has been explained instead."""
    with st.container(key="whose"):
        whose, which, options = st.columns([5, 4, 3], gap="medium", vertical_alignment="bottom")
    with whose:
        if _whose() == "head":
            with which:
                if show_damaged_head(settings):
                    return None
                info = select_head(settings)
            if info is None:
                show_no_run("its layers can be seen here")
                return None
            return info.ref
    with which:
        row = select_backbone(settings)
    with options:
        size, how = view_options(row, top=False, bars=False)
    return pretrained(row, size, how, settings)


@st.fragment
def layer_view(sample: Sample, ref: ModelRef, settings: Settings) -> None:
    """Walk through the layers. Only this part of the page runs again with each step."""
    with boundary():
        layers = list_layers(ref, settings)
        layer, following, view = _steps(layers, ref, settings)
        write_address(FEATURE_MAPS.address)
        look = activation_request(sample, ref)
        page = map_page(look, layer.name, view, settings, then=following)
        with st.container(key="walk"):
            image, maps = st.columns([2, 7], gap="medium")
        with maps:
            depth_map(layers, layer.name)
            _grid(page)
        with image, st.container(key="walk-image"):
            size, how = view_of(ref, settings)
            st.image(network_view(sample, size, how, settings), width="stretch", alt=sample.file)
            st.caption(f"What the network gets: {size} × {size} pixels.")
            about = st.expander("What this layer does", key="about", on_change="rerun")
            if about.open:
                about.markdown(f"**{plain(layer.type)}.** {layer_text(layer.type)}")
            download_options(look, layer.name, view, settings)
        more(sample, look, layers, layer, view, settings)


def _steps(
    layers: Sequence[LayerInfo], ref: ModelRef, settings: Settings
) -> tuple[Layer, str, DisplayOptions]:
    """Choose a layer, by name or one step on; an early one that shows much at first.

    Returns:
        The layer, the name of the one behind it ("" behind the last), and how to draw.
    """
    found = {place.layer.name: place.layer for place in layers if place.layer.spatial}
    names = list(found)
    if chosen(Choice.LAYER) not in found:
        if chosen(Choice.LAYER):  # of another network, or of an old link
            st.toast(f"“{plain(chosen(Choice.LAYER))}” is no layer with maps of this network.")
        go_to(_first_look(ref, names, settings))
    with st.container(key="layer-steps"):
        which, steps, drawing = st.columns([6, 5, 2], vertical_alignment="bottom", gap="small")
    with which:
        name = select(
            f"Layer (of {len(names)} that have maps)",
            names,
            Choice.LAYER,
            words=lambda name: _layer_title(found[name]),
            help="From the first, next to the pixels, to the last, next to the answer. Type to "
            "search. N and P on the keyboard go on and back.",
            also=lambda: go_to(chosen(Choice.LAYER)),
        )
    place = names.index(name)
    with steps, st.container(horizontal=True, gap="small"):
        _step("Previous layer", ":material/arrow_back:", "P", names, place - 1)
        _step("Next layer", ":material/arrow_forward:", "N", names, place + 1)
    with drawing:
        view = drawing_options()
    return found[name], (names[place + 1] if place + 1 < len(names) else ""), view


def _grid(page: MapPage) -> None:
    chosen_now = chosen_number(Choice.CHANNEL, 0) - 1
    html = tiles_html(
        page.tiles, name="main", words=f"Feature maps of {page.layer}", chosen=chosen_now
    )
    clickable(html, key="grid", on_pick=_open_channel)
    if page.pages > 1:
        paging(page.page, page.pages)
    st.caption(_words(page))
    if page.source == "random":
        st.caption(":material/casino: Random weights: nothing here has been learned.")
    if page.note:
        st.caption(f":material/info: {page.note[:1].upper()}{page.note[1:]}.")


def _open_channel(number: str) -> None:
    choose(Choice.CHANNEL, number)
    if chosen(Choice.MAPS_VIEW) != "filters":  # there it is the kernel that makes this map
        choose(Choice.MAPS_VIEW, "channel")


def _whose() -> str:
    return segments("Network", list(WHOSE), Choice.NETWORK, words=lambda whose: WHOSE[whose])


def _first_look(ref: ModelRef, names: Sequence[str], settings: Settings) -> str:
    """The second stage of the backbone: edges and colours have just become textures."""
    if not ref.run:
        row = BACKBONES[ref.backbone]
    else:
        row = BACKBONES[load_run_info(ref.run, settings).config.backbone]
    wanted = row.layers[1]
    return next((name for name in names if name.endswith(wanted)), names[0])


def _layer_title(layer: Layer) -> str:
    height, width, channels = layer.output_shape
    return f"{layer.name} · {layer.type} · {height} × {width} × {channels}"


def _step(words: str, icon: str, shortcut: str, names: Sequence[str], to: int) -> None:
    possible = 0 <= to < len(names)
    st.button(
        words,
        key=words.lower().replace(" ", "-"),
        icon=icon,
        width="stretch",
        disabled=not possible,
        shortcut=shortcut,
        on_click=go_to,
        args=(names[to] if possible else "",),
    )


def _words(page: MapPage) -> str:
    tiles = page.tiles
    dead = sum(low == high for low, high in zip(tiles.lows, tiles.highs, strict=True))
    own = len(set(tiles.black)) > 1 or len(set(tiles.white)) > 1 or page.channels == 1
    scale = (
        "each tile runs from its own lowest to its own highest value"
        if own
        else f"all tiles run from {signed(tiles.black[0])} to {signed(tiles.white[0])}"
    )
    first = page.page * tiles.layout.tiles + 1
    text = (
        f"{first}–{first + len(tiles.channels) - 1} of {page.channels} channels, each "
        f"{tiles.shape[0]} × {tiles.shape[1]}. Values from {signed(min(tiles.lows))} to "
        f"{signed(max(tiles.highs))}; {scale}. Click a tile to see it large."
    )
    return text + (f" {count(dead, 'tile')} the same everywhere." if dead else "")
