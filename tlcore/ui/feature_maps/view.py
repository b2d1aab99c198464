"""The Feature maps page: a row of choices, the bar of depth, the maps beside one channel, tabs.

The page is one fragment: a step to the next layer runs nothing else. What is folded draws its
widgets only while it is open, and a tab computes only what it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.activations.layers import LayerInfo
from tlcore.activations.values import MapPage
from tlcore.datasets.dataset import Sample
from tlcore.models.catalog import BACKBONES
from tlcore.models.predictions import ModelRef
from tlcore.models.summary import Layer
from tlcore.settings import Settings
from tlcore.training.store import load_run_info
from tlcore.ui.components.clickable import clickable
from tlcore.ui.components.framing import model_input_png
from tlcore.ui.components.image_picker import current_image, image_picker
from tlcore.ui.components.model_picker import find_pretrained, select_backbone, select_size_and_fit
from tlcore.ui.components.run_picker import choose_head
from tlcore.ui.feature_maps import channel, comparison, controls, more
from tlcore.ui.feature_maps.controls import Shown, go_to
from tlcore.ui.feature_maps.layer_text import first_sentence, layer_text
from tlcore.ui.feature_maps.tiles import tiles_html
from tlcore.ui.format import escape_md, plural, signed
from tlcore.ui.inference_requests import activation_request, ask, list_layers
from tlcore.ui.shell import FEATURE_MAPS, boundary
from tlcore.ui.state import Choice, choose, chosen, chosen_number, write_address
from tlcore.ui.widgets import current, folded, segments, select

NETWORKS = {"pretrained": "ImageNet's", "head": "Yours"}
FIRST = (("ReLU", "Activation"), ("Conv2D",))  # types of the layer on which the page opens
TABS: dict[str, tuple[str, Callable[[Shown], None]]] = {
    "channel": ("Channel", channel.channel_tab),
    "before": ("Before / after", comparison.before_and_after),
    "images": ("Two images", comparison.two_images),
    "statistics": ("Statistics", more.statistics_tab),
    "filters": ("Filters", more.filters_tab),
}


@st.fragment
def maps_view(settings: Settings) -> None:
    """Draw the page below its title."""
    with boundary():
        row = st.container(
            horizontal=True, vertical_alignment="bottom", gap="small", key="maps-row"
        )
        below = folded("size-and-fit")
        with row:
            sample = _image_choice(settings)
            ref = _model_choice(below, settings)
        if ref is None:
            return
        layers = list_layers(ref, settings)
        name = load_run_info(ref.run, settings).config.backbone if ref.run else ref.backbone
        with row:
            layer, following = _layer_choice(layers)
        write_address(FEATURE_MAPS.address)
        controls.depth_bar(layers, layer.name, BACKBONES[name], "head" if ref.run else "pretrained")
        _layer_view(sample, ref, layer, following, settings)
        more.layer_table(layers, layer.name)


def _image_choice(settings: Settings) -> Sample:
    """Show the image small; the popover beside it holds the picker."""
    place = st.container(width=68, key="maps-image")
    popover = st.popover("Change", width="content", key="change-image", on_change="rerun")
    if popover.open:
        with popover, st.container(width=900):
            sample = image_picker(settings)
    else:
        sample = current_image(settings)
    place.image(model_input_png(sample, 64, "crop", settings), width=64, alt=sample.file)
    return sample


def _model_choice(below: DeltaGenerator, settings: Settings) -> ModelRef | None:
    """Choose whose maps to see, and in ``below`` how; None where a message says what is missing."""
    if segments("Network", list(NETWORKS), Choice.NETWORK, words=NETWORKS.__getitem__) == "head":
        info = choose_head(settings, "its layers are shown here")
        return info.ref if info else None
    row = select_backbone(settings)
    size, fit = select_size_and_fit(row, below, top=False)
    return find_pretrained(row, size, fit, settings, top=False)


def _layer_choice(layers: Sequence[LayerInfo]) -> tuple[Layer, str]:
    """Choose a layer by name or one step on; return it and the next one's name, "" for none.

    At first it is the first one behind a non-linear step: its maps show the photograph's edges.
    """
    spatial = {info.layer.name: info.layer for info in layers if info.layer.spatial}
    names = list(spatial)
    if chosen(Choice.LAYER) not in spatial:
        if chosen(Choice.LAYER):  # of another network, or of an old link
            st.toast(f"This network has no layer “{escape_md(chosen(Choice.LAYER))}” with maps.")
        first = (name for kind in FIRST for name in names if spatial[name].type in kind)
        go_to(next(first, names[0]))
    shapes = {name: " × ".join(map(str, spatial[name].output_shape)) for name in names}
    name = select(
        "Layer",
        names,
        Choice.LAYER,
        words=lambda name: f"{name} · {spatial[name].type} · {shapes[name]}",
        help="From the first, next to the pixels, to the last, next to the answer. Type to "
        "search. N and P on the keyboard go to the next and the previous one.",
        also=lambda: go_to(chosen(Choice.LAYER)),
    )
    place, padded = names.index(name), ["", *names, ""]
    before, after = padded[place], padded[place + 2]
    for title, icon, key, to in (
        ("Previous layer", "chevron_left", "P", before),
        ("Next layer", "chevron_right", "N", after),
    ):
        st.button(
            title,
            key=title.lower().replace(" ", "-"),
            icon=f":material/{icon}:",
            disabled=not to,
            help=f"{title}: {key} on the keyboard",
            on_click=go_to,
            args=(to,),
        )
    return spatial[name], after


def _layer_view(
    sample: Sample, ref: ModelRef, layer: Layer, following: str, settings: Settings
) -> None:
    """Draw the maps beside the selected channel, and the tabs."""
    options, request = controls.display_options(), activation_request(sample, ref)
    ask_worker = partial(ask, settings=settings)
    ahead = (request, following, replace(options, page=0)) if following else ()
    page, detail = ask_worker("draw_layer", request, layer.name, options, ahead=ahead)
    number = min(chosen_number(Choice.CHANNEL, 0), page.channels) - 1
    if number >= 0 and number != detail.channel:
        detail = ask_worker("inspect_channel", request, layer.name, number)
    shown = Shown(sample, request, layer, detail, options, settings)
    with st.container(key="maps-and-channel"):
        left, right = st.columns([8, 5], gap="medium")
    with left:
        alt = f"Feature maps of {page.layer}"
        html = tiles_html(page.tiles, name="main", alt=alt, selected=detail.channel)
        clickable(html, key="grid", on_pick=_select_channel)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if page.pages > 1:
                controls.paging(page.page, page.pages)
            more.download_popover(shown)
        controls.display_panel()
        st.caption(page_text(page))
        if page.source == "random":
            st.caption(":material/casino: Random weights: nothing here has been learned.")
        if page.note:
            st.caption(f":material/info: {page.note[:1].upper()}{page.note[1:]}.")
        what = f"**{escape_md(page.kind)}** {first_sentence(page.kind)}"
        st.markdown(what, help=layer_text(page.kind))
    with right:
        channel.channel_panel(shown)
    words = lambda tab: TABS[tab][0]  # noqa: E731
    views = list(TABS)
    _, draw = TABS[
        segments("Views", views, Choice.MAPS_VIEW, words=words, also=comparison.find_change)
    ]
    draw(shown)


def _select_channel(number: str) -> None:
    """Show a channel; among the filters the kernel that makes it."""
    choose(Choice.CHANNEL, number)
    if current(Choice.MAPS_VIEW, list(TABS)) != "filters":
        choose(Choice.MAPS_VIEW, "channel")


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
