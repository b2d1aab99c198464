"""The Filters tab: the kernels of the convolution at or before the chosen layer."""

from __future__ import annotations

import streamlit as st

from tlcore.activations.values import (
    ActivationRequest,
    DisplayOptions,
    Filters,
    Layout,
)
from tlcore.models.summary import Layer
from tlcore.settings import Settings
from tlcore.ui.components.clickable import clickable
from tlcore.ui.feature_maps.tiles import tiles_html
from tlcore.ui.inference_requests import filters
from tlcore.ui.state import Choice, choose, chosen_number

KERNELS = Layout(4, 16)
GREY = "Middle grey is 0, darker below, lighter above."


def filters_tab(request: ActivationRequest, layer: Layer, settings: Settings) -> None:
    """Draw the kernels of the convolution at or before the layer, page by page."""
    model = f"{request.ref}-{layer.name}"  # another model has other numbers of kernels
    paging, kernel_key = f"kernels-page-{model}", f"kernel-{model}"
    page = int(st.session_state.get(paging, 1)) - 1
    options = DisplayOptions(KERNELS, palette="grey", page=page)
    channel = max(0, chosen_number(Choice.CHANNEL, 1) - 1)
    kernels = filters(request.ref, layer.name, options, channel, settings)
    if (
        not kernels.matches_channels and kernels.output_channel is not None
    ):  # the channel is not made by one of its kernels
        kernel = int(st.session_state.get(kernel_key, 1)) - 1
        kernels = filters(request.ref, layer.name, options, kernel, settings)
    if kernels.output_channel is not None:
        _kernel_input(kernels, kernel_key)
    one_a_channel = kernels.matches_channels and kernels.output_channel is None
    words = kernel_text(kernels, layer.name)
    selected = channel if one_a_channel else None
    clickable(
        tiles_html(kernels.tiles, name="filters", alt=words, selected=selected),
        key="kernels",
        on_pick=_select_channel if one_a_channel else lambda _: None,
    )
    if kernels.pages > 1:
        st.pagination(kernels.pages, key=paging)
    st.caption(words)


def kernel_text(kernels: Filters, layer: str) -> str:
    """Return what a page of kernels shows, and which of how many."""
    height, width = kernels.shape[:2]
    name = kernels.layer
    if kernels.colour:
        words = f"The kernels of {name}, {height} × {width} pixels of colour each; grey is 0."
    elif kernels.output_channel is None:
        words = f"The kernels of {name}, {height} × {width}, one a channel. {GREY}"
    else:
        words = (
            f"Kernel {kernels.output_channel + 1} of {kernels.shape[3]} of {name}: its "
            f"{height} × {width} weights for each of the {kernels.shape[2]} channels it "
            f"reads. {GREY}"
        )
    if kernels.layer != layer:
        words += " This layer has none itself; it is the convolution before it."
    first, shown = kernels.tiles.channels[0] + 1, len(kernels.tiles.channels)
    if shown == kernels.count:
        return words
    return f"{words} {first}–{first + shown - 1} of {kernels.count}."


def _kernel_input(kernels: Filters, key: str) -> None:
    """Draw a field for the kernel's number, the channel's where a kernel makes a channel."""
    if kernels.matches_channels:
        st.session_state[key] = (kernels.output_channel or 0) + 1
    st.number_input(
        f"Kernel (of {kernels.shape[3]})",
        1,
        kernels.shape[3],
        key=key,
        width=160,
        on_change=(lambda: _select_channel(st.session_state[key]))
        if kernels.matches_channels
        else None,
    )


def _select_channel(number: str | int) -> None:
    choose(Choice.CHANNEL, number)
