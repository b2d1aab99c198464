"""One channel: large over the image, its values, and the images that activate it most."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import streamlit as st

from tlcore.activations.top_images import Ranking, TopImages, find_top_images
from tlcore.activations.values import ActivationRequest, ChannelDetail
from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.sample_dataset import dataset_title
from tlcore.models.summary import Layer
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.components.framing import model_input_png
from tlcore.ui.components.image_grid import thumbnails
from tlcore.ui.components.live import live
from tlcore.ui.components.model_picker import input_geometry
from tlcore.ui.feature_maps.tiles import OverlayView, legend_html, overlay_html
from tlcore.ui.format import escape_md, plural, signed
from tlcore.ui.inference_requests import top_image_values
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.theme import colours, template

OPACITY = "opacity"  # key of the slider
DEFAULT_OPACITY = 60  # %
HEIGHT = 230  # px of the histogram


def channel_panel(
    sample: Sample,
    request: ActivationRequest,
    layer: Layer,
    detail: ChannelDetail,
    settings: Settings,
) -> None:
    """Draw a channel over the image, with its legend and receptive field."""
    size, fit = input_geometry(request.ref, settings)
    opacity = int(st.session_state.get(OPACITY, DEFAULT_OPACITY)) / 100
    image = model_input_png(sample, size, fit, settings)
    st.markdown(f"**Channel {detail.channel + 1}** of {layer.output_shape[-1]}")
    st.html(
        overlay_html(detail, OverlayView(image, size, opacity))
        + legend_html(detail.low, detail.high)
    )
    left, top, right, bottom = detail.box
    st.caption(
        receptive_field_sentence(detail),
        help=f"Within the image: {left}–{right} across, {top}–{bottom} down, in pixels.",
    )


def receptive_field_sentence(detail: ChannelDetail) -> str:
    """Return where a channel is strongest, and what that value sees of the image."""
    row, column = detail.strongest
    first = f" (first of {detail.equal} equal places)" if detail.equal > 1 else ""
    sees = f"{detail.field.width:.0f} × {detail.field.height:.0f} pixels, framed here"
    if math.isinf(detail.field.width):
        sees = "the whole image"
    return f"Strongest at row {row + 1}, column {column + 1}{first}: that value sees {sees}."


def channel_tab(
    request: ActivationRequest, layer: Layer, detail: ChannelDetail, settings: Settings
) -> None:
    """Draw a channel's number, values and histogram, and the images that activate it most."""
    left, right = st.columns(2, gap="large")
    with left:
        number, slider = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
        with number:
            _number_input(detail.channel + 1, layer.output_shape[-1] or 1)
        slider.slider("Opacity over the image", 0, 100, DEFAULT_OPACITY, format="%d%%", key=OPACITY)
        st.caption(
            f"Values from {signed(detail.low)} to {signed(detail.high)}, mean "
            f"{signed(detail.mean)}; {percent(detail.zeros)} are exactly 0."
        )
        colour = colours().head if request.ref.run else colours().pretrained
        figure = histogram(detail, colour, template())
        st.plotly_chart(figure, theme=None, config=PLAIN_CHART, alt="Histogram of the values")
    with right:
        _top_images(request, layer.name, detail.channel, settings)


def _number_input(number: int, channels: int) -> None:
    key = "channel-number"
    st.session_state[key] = number
    st.number_input(
        f"Channel (of {channels})",
        1,
        channels,
        key=key,
        on_change=lambda: choose(Choice.CHANNEL, st.session_state[key]),
    )


def histogram(detail: ChannelDetail, colour: str, style: go.layout.Template) -> go.Figure:
    """How often each value occurs in one channel; the count's axis is logarithmic."""
    middles = [(a + b) / 2 for a, b in zip(detail.edges, detail.edges[1:], strict=False)]
    figure = go.Figure(layout={"template": style, "bargap": 0.05})
    figure.add_bar(x=middles, y=detail.counts, marker_color=colour)
    top = math.log10(max(1, *detail.counts))
    figure.update_yaxes(type="log", title="pixels", dtick=1, range=[-0.3, top + 0.1])  # from 0.5
    figure.update_xaxes(title="value")
    figure.update_layout(height=HEIGHT, margin={"l": 48, "r": 8, "t": 8, "b": 44})
    if detail.not_finite:
        note = f"{percent(detail.not_finite)} are NaN or infinite, and left out"
        figure.update_layout(title={"text": note, "font": {"size": 13}}, margin={"t": 34})
    return figure


def _top_images(request: ActivationRequest, layer: str, channel: int, settings: Settings) -> None:
    """Show the images of the dataset that activate a channel most; compute them on request."""
    dataset = open_dataset(chosen(Choice.DATASET), settings)
    top = find_top_images(dataset, request.ref, layer, settings)
    st.markdown(
        f"**Images with the highest activation** in {escape_md(dataset_title(dataset.name))}"
    )
    running = f"_top-images-{top.folder.name}"

    def is_running() -> bool:
        return bool(st.session_state.get(running)) and not top.complete

    def draw() -> None:
        if is_running():
            top.compute_next(lambda paths: top_image_values(paths, request.ref, layer, settings))
        _draw_top_images(top, channel, settings)
        if is_running():
            st.progress(top.done / len(top.samples), f"{top.done} of {len(top.samples)} images")
            st.button("Stop", icon=":material/stop:", key="top-images-stop",
                      on_click=st.session_state.pop, args=(running, None))  # fmt: skip
        elif not top.complete:
            _offer_top_images(top, dataset, running)

    live(is_running, draw, every=0.2)  # a few images a tick, so that a stop is not kept waiting


def _offer_top_images(top: TopImages, dataset: Dataset, running: str) -> None:
    if top.done:
        st.caption(f"Stopped after {top.done} of {len(top.samples)}: the best of these are shown.")
    st.button(
        "Continue" if top.done else "Find the images",
        icon=":material/search:",
        key="top-images",
        help=f"Runs {plural(len(top.samples), 'image')} to this layer, once; the result is stored.",
        on_click=st.session_state.update,
        kwargs={running: True},
    )


def _draw_top_images(top: TopImages, channel: int, settings: Settings) -> None:
    best = top.rank(channel)
    if best.images:
        samples = [image.sample for image in best.images]
        thumbnails(samples, settings, key="top-images-grid", size=88)
        st.caption(top_images_text(best))


def top_images_text(best: Ranking) -> str:
    """Return the values of the images shown, and how many images share the highest."""
    highest = [signed(image.highest) for image in best.images]
    if best.tied > 1 and best.images[0].highest == best.images[0].mean == 0:
        return f"No image activates it: its map is 0 all over in {plural(best.tied, 'image')}."
    if best.tied < 2:
        return f"Highest values {', '.join(highest)}."
    means = ", ".join(signed(image.mean) for image in best.images[: best.tied])
    text = (
        f"{best.tied:,} of {plural(best.readable, 'image')} reach the highest value {highest[0]}; "
        f"ranked by mean activation ({means})."
    )
    below = highest[best.tied :]
    return f"{text} Then {', '.join(below)}." if below else text
