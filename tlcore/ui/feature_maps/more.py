"""More of a layer and its network: statistics, filters, the list of layers, downloads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tlcore.activations.layers import LayerInfo, LayerStatistics
from tlcore.activations.values import DisplayOptions, Filters, Layout
from tlcore.percentages import percent
from tlcore.text import name_download
from tlcore.ui.components.charts import draw_chart
from tlcore.ui.components.clickable import clickable
from tlcore.ui.feature_maps.comparison import other_image
from tlcore.ui.feature_maps.controls import Shown, go_to, receptive_field_text
from tlcore.ui.feature_maps.tiles import tiles_html
from tlcore.ui.format import label, signed
from tlcore.ui.inference_requests import activation_request, ask, ask_once, list_layers
from tlcore.ui.state import Choice, choose, chosen, chosen_number
from tlcore.ui.theme import colours

KERNELS = Layout(4, 16)
GREY = "Middle grey is 0, darker below, lighter above."
# What a chart over depth can show: field of LayerStatistics → title, and whether it is a share.
MEASURES = {
    "zeros": ("Zeros: share of values that are exactly 0", True),
    "dead": ("Dead channels: share that is 0 everywhere", True),
    "mean": ("Mean of all values", False),
    "spread": ("Standard deviation of all values", False),
}
ACTIVATIONS = ("ReLU", "Activation", "LeakyReLU", "PReLU", "ELU")
HEIGHT = 290  # px of a chart
Line = tuple[str, Sequence[LayerStatistics], str]  # an image's name, its statistics, its colour


def statistics_tab(shown: Shown) -> None:
    """Draw the layer in numbers, and all layers over depth, beside another image."""
    sample, layer = shown.sample, shown.layer.name
    of_image = partial(ask, "measure_layers", settings=shown.settings)
    statistics: tuple[LayerStatistics, ...] = of_image(shown.request)
    blocks = {info.layer.name: info for info in list_layers(shown.request.ref, shown.settings)}
    colour = colours().head if shown.request.ref.run else colours().pretrained
    lines: list[Line] = [(label(sample.label), one_a_block(statistics, blocks), colour)]
    other = other_image(sample, shown.settings)
    if other is not None:
        others = of_image(activation_request(other, shown.request.ref))
        rows = one_a_block(others, blocks)
        lines.insert(0, (f"{label(other.label)} (other)", rows, colours().frozen))  # drawn below
    row = next((row for row in statistics if row.name == layer), None)
    if row:
        st.markdown(
            f"This layer: **{percent(row.zeros)}** zeros, **{percent(row.dead)}** dead channels, "
            f"mean **{signed(row.mean)}**, standard deviation **{signed(row.spread)}**."
        )
        if not (math.isfinite(row.mean) and math.isfinite(row.spread)):
            words = "Some values of this layer are NaN or infinite, or too large for a mean."
            st.warning(words, icon=":material/warning:")
    places = [*st.columns(2, gap="medium"), *st.columns(2, gap="medium")]
    for place, (measure, (title, _)) in zip(places, MEASURES.items(), strict=True):
        with place:
            st.caption(title)
            draw_chart(_over_depth(lines, measure, blocks, layer), f"depth-{measure}", title)
    st.caption(
        "One point a block: behind its last non-linear step, or where it has none at its end. "
        "The dotted line is this layer's block."
    )


def one_a_block(
    statistics: Sequence[LayerStatistics], layers: Mapping[str, LayerInfo]
) -> list[LayerStatistics]:
    """Return the row of each block's last activation; of a block without any its last row.

    Drawn layer by layer, values jump to and fro between a convolution and its activation.
    """
    rows: dict[str, LayerStatistics] = {}
    active: set[str] = set()
    for row in statistics:
        info = layers[row.name]
        if info.layer.type in ACTIVATIONS or info.block not in active:
            rows[info.block] = row
        if info.layer.type in ACTIVATIONS:
            active.add(info.block)
    return list(rows.values())


def _over_depth(
    lines: Sequence[Line], measure: str, layers: Mapping[str, LayerInfo], layer: str
) -> go.Figure:
    """One measure of every block, first to last; the present layer's is marked."""
    figure = go.Figure()
    for name, statistics, colour in lines:
        figure.add_scatter(
            x=list(range(1, len(statistics) + 1)),
            y=[getattr(row, measure) for row in statistics],
            text=[f"{layers[row.name].block}: {row.name}" for row in statistics],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            hovertemplate="%{text}<br>%{y:.3g}",
        )
    names = [layers[row.name].block for row in lines[0][1]]
    place = names.index(layers[layer].block) + 1
    figure.add_vline(x=place, line={"color": colours().faint, "dash": "dot"})
    figure.update_xaxes(title="block, from the pixels to the answer", tickformat="d")
    if MEASURES[measure][1]:
        figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    figure.update_layout(height=HEIGHT, margin={"l": 48, "r": 8, "t": 24, "b": 44})
    figure.update_layout(showlegend=len(lines) > 1, legend={"orientation": "h", "y": 1.12})
    return figure


def filters_tab(shown: Shown) -> None:
    """Draw the kernels of the convolution at or before the layer, page by page."""
    ref, layer = shown.request.ref, shown.layer.name
    model = f"{ref}-{layer}"  # another model has other numbers of kernels
    paging, kernel_key = f"kernels-page-{model}", f"kernel-{model}"
    page = int(st.session_state.get(paging, 1)) - 1
    options = DisplayOptions(KERNELS, palette="grey", page=page)
    channel = max(0, chosen_number(Choice.CHANNEL, 1) - 1)
    draw = partial(ask, "draw_filters", ref, layer, options, settings=shown.settings)
    kernels: Filters = draw(channel)
    slices = kernels.output_channel is not None
    if slices and not kernels.matches_channels:  # the channel is not made by one of its kernels
        kernel = int(st.session_state.get(kernel_key, 1)) - 1
        kernels = draw(kernel)
    if slices:
        _kernel_input(kernels, kernel_key)
    one_a_channel = kernels.matches_channels and not slices
    words = kernel_text(kernels, layer)
    if kernels.weights:
        colour = colours().head if ref.run else colours().pretrained
        draw_chart(sorted_weights(kernels.weights, colour), "kernel-weights", words)
        st.caption(words)
        return
    selected = channel if one_a_channel else None
    clickable(
        tiles_html(kernels.tiles, name="filters", alt=words, selected=selected),
        key="kernels",
        on_pick=lambda number: choose(Choice.CHANNEL, number) if one_a_channel else None,
    )
    if kernels.pages > 1:
        st.pagination(kernels.pages, key=paging)
    st.caption(words)


def sorted_weights(weights: Sequence[float], colour: str) -> go.Figure:
    """The weights of a 1 × 1 kernel, from the channel that raises its map most to the one that
    lowers it most: in the channels' own order they are a comb."""
    rows = [(weight, number) for number, weight in enumerate(weights, 1) if math.isfinite(weight)]
    rows.sort(key=lambda row: -row[0])
    figure = go.Figure()
    figure.add_scatter(
        x=list(range(1, len(rows) + 1)),
        y=[weight for weight, _ in rows],
        text=[f"channel {number}" for _, number in rows],
        mode="lines" if len(rows) > 1 else "markers",
        line={"color": colour, "width": 2},
        fill="tozeroy",
        hovertemplate="%{text}<br>weight %{y:.3g}<extra></extra>",
    )
    figure.update_xaxes(title="channels that it reads, sorted by weight", tickformat="d")
    figure.update_yaxes(title="weight")
    figure.update_layout(height=HEIGHT, margin={"l": 56, "r": 8, "t": 8, "b": 44})
    return figure


def _kernel_input(kernels: Filters, key: str) -> None:
    """Draw a field for the kernel's number, the channel's where a kernel makes a channel."""
    change = None
    if kernels.matches_channels:
        st.session_state[key] = (kernels.output_channel or 0) + 1
        change = lambda: choose(Choice.CHANNEL, st.session_state[key])  # noqa: E731
    count = kernels.shape[3]
    st.number_input(f"Kernel (of {count})", 1, count, key=key, width=160, on_change=change)


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
            f"{height} × {width} weights for each of the {kernels.shape[2]} channels it reads"
        )
        words += ", sorted." if kernels.weights else f". {GREY}"
    if kernels.layer != layer:
        words += " This layer has none itself; it is the convolution before it."
    first, shown = kernels.tiles.channels[0] + 1, len(kernels.tiles.channels)
    if kernels.weights or shown == kernels.count:
        return words
    return f"{words} {first}–{first + shown - 1} of {kernels.count}."


def layer_table(layers: Sequence[LayerInfo], layer: str) -> None:
    """Draw, once it is opened, the layers as ``summary`` has them; a selected row goes there."""
    box = st.expander("All layers", icon=":material/list:", key="all-layers", on_change="rerun")
    if not box.open:
        return
    with box:
        words = st.text_input("Search", placeholder="name, type or block", key="layer-search")
        rows = [
            info
            for info in layers
            if words.lower() in f"{info.layer.name} {info.layer.type} {info.block}".lower()
        ]
        key = f"layers-{words}-{layer}"
        st.dataframe(
            pd.DataFrame([_table_row(info, layer) for info in rows]),
            hide_index=True,
            height=340,
            on_select=lambda: go_to_row(rows, st.session_state[key]["selection"]["rows"]),
            selection_mode="single-row",
            key=key,
        )
        st.caption("Select a row to go to that layer.")


def go_to_row(layers: Sequence[LayerInfo], rows: Sequence[int]) -> None:
    """Go to the layer of a selected row, if it has maps."""
    if rows and layers[rows[0]].layer.spatial:
        go_to(layers[rows[0]].layer.name)


def _table_row(info: LayerInfo, selected: str) -> dict[str, object]:
    layer = info.layer
    return {
        "block": info.block,
        "layer": ("▸ " if layer.name == selected else "") + layer.name,
        "type": layer.type,
        "output shape": " × ".join(map(str, layer.output_shape)),
        "parameters": layer.parameters,
        "receptive field": receptive_field_text(info) if layer.spatial else "",
        "connected to": ", ".join(layer.connected_to),
        "trainable": layer.trainable,
    }


def download_popover(shown: Shown) -> None:
    """Offer the page as an image and the values as a file; computed when they are clicked."""
    request, layer, name = shown.request, shown.layer.name, shown.layer.name.replace("/", "-")
    popover = st.popover(
        "Download", icon=":material/download:", type="tertiary", key="download", on_change="rerun"
    )
    if not popover.open:
        return
    draw = partial(ask_once, "render_png", request, layer, shown.options, settings=shown.settings)
    values = partial(ask_once, "export_maps", request, layer, settings=shown.settings)
    about = (
        "For `numpy.load`: `maps`, float32 (height, width, channels); `input`, the uint8 pixels "
        "that the network got; layer, backbone, weights, size, fit and the image's hash."
    )
    with popover:
        button = partial(st.download_button, on_click="ignore", width="stretch")
        named = partial(name_download, chosen(Choice.DATASET))
        button("This page as PNG", draw, named(f"{name}.png"), "image/png")
        kind = "application/octet-stream"
        button("All values as NPZ", values, named(f"{name}.npz"), kind, help=about)
        st.caption("The address of this page opens the same image, network, layer and display.")
