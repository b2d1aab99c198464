"""The Feature maps page: a row of choices, the bar of depth, the maps beside one channel, tabs.

The page is one fragment: a step to the next layer runs nothing else. Popovers draw their widgets
only while they are open, and a tab computes only what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tlcore.activations.layers import LayerInfo
from tlcore.activations.values import ActivationRequest, ChannelDetail, MapPage
from tlcore.datasets.dataset import Sample
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.predictions import ModelRef
from tlcore.models.summary import Layer
from tlcore.settings import Settings
from tlcore.training.store import load_run_info
from tlcore.ui.components.clickable import clickable
from tlcore.ui.components.framing import model_input_png
from tlcore.ui.components.image_picker import current_image, image_picker
from tlcore.ui.components.model_picker import (
    find_pretrained,
    select_backbone,
    select_size_and_fit,
)
from tlcore.ui.components.run_picker import select_head, show_damaged_head, show_no_run
from tlcore.ui.feature_maps.channel import channel_panel, channel_tab
from tlcore.ui.feature_maps.comparison import before_and_after, two_images
from tlcore.ui.feature_maps.controls import (
    display_options,
    display_popover,
    download_popover,
    paging,
)
from tlcore.ui.feature_maps.depth import depth_bar, go_to, layer_table
from tlcore.ui.feature_maps.filters import filters_tab
from tlcore.ui.feature_maps.layer_text import first_sentence, layer_text
from tlcore.ui.feature_maps.statistics import statistics_tab
from tlcore.ui.feature_maps.tiles import tiles_html
from tlcore.ui.format import escape_md, plural, signed
from tlcore.ui.inference_requests import activation_request, channel, layer_page, list_layers
from tlcore.ui.shell import FEATURE_MAPS, boundary
from tlcore.ui.state import Choice, choose, chosen, chosen_number, write_address
from tlcore.ui.widgets import current, segments, select

NETWORKS = {"pretrained": ":blue[●] ImageNet's", "head": ":orange[●] Yours"}
TABS = {
    "channel": "Channel",
    "before": "Before / after",
    "images": "Two images",
    "statistics": "Statistics",
    "filters": "Filters",
}


@st.fragment
def maps_view(settings: Settings) -> None:
    """Draw the page below its title."""
    with boundary():
        row = st.container(
            horizontal=True, vertical_alignment="bottom", gap="small", key="maps-row"
        )
        with row:
            sample = _image_choice(settings)
            ref = _model_choice(settings)
        if ref is None:
            return
        layers = list_layers(ref, settings)
        with row:
            layer, following = _layer_choice(layers, ref, settings)
        write_address(FEATURE_MAPS.address)
        _layer_view(activation_request(sample, ref), sample, layers, layer, following, settings)


def _image_choice(settings: Settings) -> Sample:
    """Show the image small; the popover beside it holds the picker."""
    place = st.container(width=68, key="maps-image")
    popover = st.popover("Change", width="content", key="change-image", on_change="rerun")
    if popover.open:
        with popover, st.container(width=900):
            sample = image_picker(settings)
    else:
        sample = current_image(settings)
    place.image(model_input_png(sample, 96, "crop", settings), width=64, alt=sample.file)
    return sample


def _model_choice(settings: Settings) -> ModelRef | None:
    """Choose whose maps to see; None where a message says what is missing."""
    if segments("Network", list(NETWORKS), Choice.NETWORK, words=NETWORKS.__getitem__) == "head":
        if show_damaged_head(settings):
            return None
        info = select_head(settings)
        if info is None:
            show_no_run("its layers are shown here")
            return None
        return info.ref
    row = select_backbone(settings)
    size, fit = select_size_and_fit(row, top=False)
    return find_pretrained(row, size, fit, settings)


def _layer_choice(
    layers: Sequence[LayerInfo], ref: ModelRef, settings: Settings
) -> tuple[Layer, str]:
    """Choose a layer by name or one step on; return it and the next one's name, "" for none."""
    spatial = {info.layer.name: info.layer for info in layers if info.layer.spatial}
    names = list(spatial)
    if chosen(Choice.LAYER) not in spatial:
        if chosen(Choice.LAYER):  # of another network, or of an old link
            st.toast(f"This network has no layer “{escape_md(chosen(Choice.LAYER))}” with maps.")
        go_to(_second_stage(names, _backbone(ref, settings)))
    name = select(
        "Layer",
        names,
        Choice.LAYER,
        words=lambda name: _layer_title(spatial[name]),
        help="From the first, next to the pixels, to the last, next to the answer. Type to "
        "search. N and P on the keyboard go to the next and the previous one.",
        also=lambda: go_to(chosen(Choice.LAYER)),
    )
    place = names.index(name)
    _step_button("Previous layer", "chevron_left", "P", names, place - 1)
    _step_button("Next layer", "chevron_right", "N", names, place + 1)
    return spatial[name], names[place + 1] if place + 1 < len(names) else ""


def _backbone(ref: ModelRef, settings: Settings) -> Backbone:
    return BACKBONES[load_run_info(ref.run, settings).config.backbone if ref.run else ref.backbone]


def _second_stage(names: Sequence[str], row: Backbone) -> str:
    """Return the layer shown at first: edges and colours have just become textures."""
    return next((name for name in names if name.endswith(row.layers[1])), names[0])


def _layer_title(layer: Layer) -> str:
    height, width, channels = layer.output_shape
    return f"{layer.name} · {layer.type} · {height} × {width} × {channels}"


def _step_button(name: str, icon: str, shortcut: str, names: Sequence[str], to: int) -> None:
    possible = 0 <= to < len(names)
    st.button(
        name,
        key=name.lower().replace(" ", "-"),
        icon=f":material/{icon}:",
        disabled=not possible,
        shortcut=shortcut,
        on_click=go_to,
        args=(names[to] if possible else "",),
    )


def _layer_view(
    request: ActivationRequest,
    sample: Sample,
    layers: Sequence[LayerInfo],
    layer: Layer,
    following: str,
    settings: Settings,
) -> None:
    """Draw the depth, the maps beside the selected channel, and the tabs."""
    view = display_options()
    page, detail = layer_page(request, layer.name, view, settings, following=following)
    number = min(chosen_number(Choice.CHANNEL, 0), page.channels) - 1
    if number >= 0 and number != detail.channel:
        detail = channel(request, layer.name, number, settings)
    kind = "head" if request.ref.run else "pretrained"
    depth_bar(layers, layer.name, _backbone(request.ref, settings), kind)
    with st.container(key="maps-and-channel"):
        left, right = st.columns([8, 5], gap="medium")
    with left:
        _grid(page, detail)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if page.pages > 1:
                paging(page.page, page.pages)
            display_popover()
            download_popover(request, layer.name, view, settings)
        _page_notes(page)
        what = f"**{escape_md(layer.type)}** {first_sentence(layer.type)}"
        st.markdown(what, help=layer_text(layer.type))
    with right:
        channel_panel(sample, request, layer, detail, settings)
    tab = segments("Views of the layer", list(TABS), Choice.MAPS_VIEW, words=TABS.__getitem__)
    if tab == "channel":
        channel_tab(request, layer, detail, settings)
    elif tab == "before":
        before_and_after(sample, request, layer, view, settings)
    elif tab == "images":
        two_images(sample, request, layer, view, settings)
    elif tab == "statistics":
        statistics_tab(sample, request, layer, settings)
    else:
        filters_tab(request, layer, settings)
    table = st.expander("All layers", icon=":material/list:", key="all-layers", on_change="rerun")
    if table.open:
        with table:
            layer_table(layers, layer.name)


def _grid(page: MapPage, detail: ChannelDetail) -> None:
    html = tiles_html(
        page.tiles, name="main", alt=f"Feature maps of {page.layer}", selected=detail.channel
    )
    clickable(html, key="grid", on_pick=_select_channel)


def _select_channel(number: str) -> None:
    choose(Choice.CHANNEL, number)
    if (
        current(Choice.MAPS_VIEW, list(TABS)) != "filters"
    ):  # there it is the kernel that makes this map
        choose(Choice.MAPS_VIEW, "channel")


def _page_notes(page: MapPage) -> None:
    st.caption(page_text(page))
    if page.source == "random":
        st.caption(":material/casino: Random weights: nothing here has been learned.")
    if page.note:
        st.caption(f":material/info: {page.note[:1].upper()}{page.note[1:]}.")


def page_text(page: MapPage) -> str:
    """Return which channels are shown, and on which scale."""
    tiles = page.tiles
    constant = sum(low == high for low, high in zip(tiles.lows, tiles.highs, strict=True))
    own_scale = len(set(tiles.black)) > 1 or len(set(tiles.white)) > 1 or page.channels == 1
    scale = (
        "each tile runs from its own lowest to its own highest value"
        if own_scale
        else f"all tiles run from {signed(tiles.black[0])} to {signed(tiles.white[0])}"
    )
    first = page.page * tiles.layout.tiles + 1
    text = (
        f"{first}–{first + len(tiles.channels) - 1} of {page.channels} channels, each "
        f"{tiles.shape[0]} × {tiles.shape[1]}. Values from {signed(min(tiles.lows))} to "
        f"{signed(max(tiles.highs))}; {scale}."
    )
    return text + (f" {plural(constant, 'tile')} the same everywhere." if constant else "")
