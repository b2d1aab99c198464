"""One channel: large over the image, its values, and the images that activate it most."""

from __future__ import annotations

import math
from functools import partial

import plotly.graph_objects as go
import streamlit as st

from tlcore.activations.channel import Ranking, find_top_images
from tlcore.activations.values import ChannelDetail
from tlcore.datasets.sample_dataset import dataset_title
from tlcore.percentages import percent
from tlcore.ui.components.charts import draw_chart
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.components.framing import model_input_png
from tlcore.ui.components.image_grid import thumbnails
from tlcore.ui.components.live import live
from tlcore.ui.components.model_picker import input_geometry
from tlcore.ui.feature_maps.controls import Shown
from tlcore.ui.feature_maps.tiles import overlay_html
from tlcore.ui.format import escape_md, plural, signed
from tlcore.ui.inference_requests import ask_once
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.theme import colours

OPACITY = "opacity"  # key of the slider
DEFAULT_OPACITY = 60  # %
HEIGHT = 230  # px of the histogram


def channel_panel(shown: Shown) -> None:
    """Draw a channel over the image, with its legend and receptive field."""
    detail = shown.detail
    size, fit = input_geometry(shown.request.ref, shown.settings)
    image = model_input_png(shown.sample, size, fit, shown.settings)
    opacity = int(st.session_state.get(OPACITY, DEFAULT_OPACITY)) / 100
    st.markdown(f"**Channel {detail.channel + 1}** of {shown.layer.output_shape[-1]}")
    st.html(overlay_html(detail, image, size, opacity))
    row, column = detail.strongest
    first = f" (first of {detail.equal} equal places)" if detail.equal > 1 else ""
    sees = f"{detail.field.width:.0f} × {detail.field.height:.0f} pixels, framed here"
    if min(detail.field.width, detail.field.height) > size:
        sees = sees.replace("framed", "more than the image has; what lies in it is framed")
    if math.isinf(detail.field.width):
        sees = "the whole image"
    left, top, right, bottom = detail.box
    st.caption(
        f"Strongest at row {row + 1}, column {column + 1}{first}: that value sees {sees}.",
        help=f"Within the image: {left}–{right} across, {top}–{bottom} down, in pixels.",
    )


def channel_tab(shown: Shown) -> None:
    """Draw a channel's number, values and histogram, and the images that activate it most."""
    detail, channels = shown.detail, shown.layer.output_shape[-1] or 1
    left, right = st.columns(2, gap="large")
    with left:
        number, slider = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
        key = "channel-number"
        st.session_state[key] = detail.channel + 1
        choose_channel = lambda: choose(Choice.CHANNEL, st.session_state[key])  # noqa: E731
        number.number_input(
            f"Channel (of {channels})", 1, channels, key=key, on_change=choose_channel
        )
        slider.slider("Opacity over the image", 0, 100, DEFAULT_OPACITY, format="%d%%", key=OPACITY)
        st.caption(
            f"Values from {signed(detail.low)} to {signed(detail.high)}, mean "
            f"{signed(detail.mean)}; {percent(detail.zeros)} are exactly 0."
        )
        colour = colours().head if shown.request.ref.run else colours().pretrained
        figure = histogram(detail, colour)
        draw_chart(figure, "histogram", "Histogram of the values")
    with right:
        _top_images(shown)


def histogram(detail: ChannelDetail, colour: str) -> go.Figure:
    """How often each value occurs in one channel; the count's axis is logarithmic."""
    middles = [(a + b) / 2 for a, b in zip(detail.edges, detail.edges[1:], strict=False)]
    figure = go.Figure(layout={"bargap": 0.05})
    figure.add_bar(x=middles, y=detail.counts, marker_color=colour)
    top = math.log10(max(1, *detail.counts))
    figure.update_yaxes(type="log", title="pixels", dtick=1, range=[-0.3, top + 0.1])  # from 0.5
    figure.update_xaxes(title="value")
    figure.update_layout(height=HEIGHT, margin={"l": 48, "r": 8, "t": 8, "b": 44})
    if detail.not_finite:
        note = f"{percent(detail.not_finite)} are NaN or infinite, and left out"
        figure.update_layout(title={"text": note, "font": {"size": 13}}, margin={"t": 34})
    return figure


def _top_images(shown: Shown) -> None:
    """Show the images of the dataset that activate a channel most; compute them on request."""
    ref, layer, settings = shown.request.ref, shown.layer.name, shown.settings
    dataset = open_dataset(chosen(Choice.DATASET), settings)
    top = find_top_images(dataset, ref, layer, settings)
    images = len(top.samples)
    st.markdown(
        f"**Images with the highest activation** in {escape_md(dataset_title(dataset.name))}"
    )
    running = f"_top-images-{top.folder.name}"

    def is_running() -> bool:
        return bool(st.session_state.get(running)) and not top.complete

    def toggle() -> None:
        st.session_state[running] = not st.session_state.get(running)

    def draw() -> None:
        if is_running():
            ask = partial(ask_once, "measure_images", settings=settings)
            top.compute_next(lambda paths: ask(list(paths), ref, layer))
        best = top.rank(shown.detail.channel)
        if best.images:
            samples = [image.sample for image in best.images]
            thumbnails(samples, settings, key="top-images-grid", size=88)
            st.caption(top_images_text(best))
        if is_running():
            st.progress(top.done / images, f"{top.done} of {images} images")
            st.button("Stop", icon=":material/stop:", key="top-images-stop", on_click=toggle)
        elif not top.complete:
            if top.done:
                st.caption(f"Stopped after {top.done} of {images}: the best of these are shown.")
            words = "Continue" if top.done else "Find the images"
            help = f"Runs {plural(images, 'image')} to this layer, once; the result is stored."
            st.button(words, icon=":material/search:", key="top-images", help=help, on_click=toggle)

    live(is_running, draw, every=0.2)  # a few images a tick, so that a stop is not kept waiting


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
