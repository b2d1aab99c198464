"""What can be asked beyond the maps themselves; nothing of it is computed before it is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from tlcore.activations.tiles import Layout
from tlcore.activations.values import ActivationRequest, DisplayOptions, Filters, LayerInfo
from tlcore.datasets.dataset import Sample
from tlcore.models.predictions import Layer
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.ui.components.clickable import clickable
from tlcore.ui.feature_maps.channel import channel_view
from tlcore.ui.feature_maps.comparison import before_and_after, other_image, two_images
from tlcore.ui.feature_maps.depth import MEASURES, layer_table, over_depth
from tlcore.ui.feature_maps.tiles import tiles_html
from tlcore.ui.format import label, signed
from tlcore.ui.questions import activation_request, filters, layer_statistics
from tlcore.ui.state import Choice, choose, chosen_number
from tlcore.ui.theme import colours, template
from tlcore.ui.widgets import segments

MORE = {
    "none": "Just the maps",
    "channel": "One channel",
    "layers": "All layers",
    "numbers": "In numbers",
    "filters": "Filters",
    "before": "Before and after",
    "images": "Two images",
}
KERNELS = Layout(4, 16)
GREY = "Middle grey is 0, darker below, lighter above."


def more(
    sample: Sample,
    look: ActivationRequest,
    places: Sequence[LayerInfo],
    layer: Layer,
    view: DisplayOptions,
    settings: Settings,
) -> None:
    """Show what has been asked for."""
    st.space("small")
    asked = segments("More", list(MORE), Choice.MAPS_VIEW, words=MORE.__getitem__)
    if asked == "channel":
        channel_view(sample, look, layer, settings)
    elif asked == "layers":
        layer_table(places, layer.name)
    elif asked == "numbers":
        _numbers(sample, look, layer, settings)
    elif asked == "filters":
        _filters(look, layer, settings)
    elif asked == "before":
        before_and_after(sample, look, layer, view, settings)
    elif asked == "images":
        two_images(sample, look, layer, view, settings)


def _numbers(sample: Sample, look: ActivationRequest, layer: Layer, settings: Settings) -> None:
    """The layer in numbers, over the depth of the network, beside another image."""
    mine = layer_statistics(look, settings)
    tone = colours()
    lines = [(label(sample.label), mine, tone.pretrained)]
    other = other_image(sample, settings)
    if other is not None:
        theirs = layer_statistics(activation_request(other, look.ref), settings)
        lines.insert(0, (f"{label(other.label)} (other)", theirs, tone.frozen))  # below
    row = next((row for row in mine if row.name == layer.name), None)
    if row:
        st.markdown(
            f"This layer: **{percent(row.zeros)}** zeros, **{percent(row.dead)}** dead channels, "
            f"mean **{signed(row.mean)}**, spread **{signed(row.spread)}**."
        )
        if not (math.isfinite(row.mean) and math.isfinite(row.spread)):
            st.warning(
                "Some values of this layer are NaN or infinite, or too large to take their mean.",
                icon=":material/warning:",
            )
    for column, pair in zip(
        st.columns(2, gap="medium"), (("zeros", "dead"), ("mean", "spread")), strict=True
    ):
        with column:
            for measure in pair:
                st.caption(MEASURES[measure][0])
                st.plotly_chart(
                    over_depth(lines, measure, layer.name, tone, template()),
                    theme=None,
                    config={"displayModeBar": False},
                    key=f"depth-{measure}",
                )


def _filters(look: ActivationRequest, layer: Layer, settings: Settings) -> None:
    """The kernels of the convolution at or before the layer, page by page."""
    this = f"{look.ref}-{layer.name}"  # another network has other numbers of kernels
    paging = f"kernels-page-{this}"
    page = int(st.session_state.get(paging, 1)) - 1
    wanted = DisplayOptions(KERNELS, palette="grey", page=page)
    channel = max(0, chosen_number(Choice.CHANNEL, 1) - 1)
    found = filters(look.ref, layer.name, wanted, channel, settings)
    if not found.own and found.of is not None:  # the channel looked at is none of its kernels
        kernel = int(st.session_state.get(f"kernel-{this}", 1)) - 1
        found = filters(look.ref, layer.name, wanted, kernel, settings)
    if found.of is not None:
        _which_kernel(found, f"kernel-{this}")
    words = kernel_words(found, layer.name)
    marked = channel if found.own and found.of is None else None
    clickable(
        tiles_html(found.tiles, name="filters", words=words, chosen=marked),
        key="kernels",
        on_pick=_open_kernel if found.own and found.of is None else lambda _: None,
    )
    if found.pages > 1:
        st.pagination(found.pages, key=paging)
    st.caption(words)


def kernel_words(found: Filters, layer: str) -> str:
    """Say what a page of kernels shows, and which of how many."""
    height, width = found.shape[:2]
    name = found.layer
    if found.colour:
        words = f"The kernels of {name}, {height} × {width} pixels of colour each; grey is 0."
    elif found.of is None:
        words = f"The kernels of {name}, {height} × {width}, one a channel. {GREY}"
    else:
        words = (
            f"Kernel {found.of + 1} of {found.shape[3]} of {name}: its {height} × {width} weights "
            f"for each of the {found.shape[2]} channels it reads. {GREY}"
        )
    if found.layer != layer:
        words += " This layer has none itself; it is the convolution before it."
    first, shown = found.tiles.channels[0] + 1, len(found.tiles.channels)
    return (
        words if shown == found.count else f"{words} {first}–{first + shown - 1} of {found.count}."
    )


def _which_kernel(found: Filters, key: str) -> None:
    """A field for the kernel's number, which is the channel's where a kernel makes a channel."""
    if found.own:
        st.session_state[key] = (found.of or 0) + 1
    st.number_input(
        f"Kernel (of {found.shape[3]})",
        1,
        found.shape[3],
        key=key,
        width=160,
        on_change=(lambda: choose(Choice.CHANNEL, st.session_state[key])) if found.own else None,
    )


def _open_kernel(number: str) -> None:
    """Mark a kernel and the map that it makes, and stay here."""
    choose(Choice.CHANNEL, number)
