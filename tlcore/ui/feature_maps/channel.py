"""One channel, large: on its image, in a histogram, and what of a dataset excites it most."""

from __future__ import annotations

import math

import streamlit as st

from tlcore.activations.values import ActivationRequest, ChannelDetail
from tlcore.datasets.dataset import Sample
from tlcore.datasets.sample import dataset_title
from tlcore.inference.top_images import Best, TopImages, find_top_images
from tlcore.models.predictions import Layer, ModelRef
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.ui.components.dataset_picker import open_dataset, tiles
from tlcore.ui.components.framing import network_view
from tlcore.ui.components.model_picker import view_of
from tlcore.ui.feature_maps.depth import histogram
from tlcore.ui.feature_maps.tiles import COARSE, uri
from tlcore.ui.format import count, plain, signed
from tlcore.ui.questions import ROOM, channel
from tlcore.ui.services import inference
from tlcore.ui.shell import boundary
from tlcore.ui.state import Choice, choose, chosen, chosen_number
from tlcore.ui.theme import colours, template


def channel_view(sample: Sample, look: ActivationRequest, layer: Layer, settings: Settings) -> None:
    """Show the chosen channel of a layer."""
    channels = layer.output_shape[-1] or 1
    number = min(max(chosen_number(Choice.CHANNEL, 1), 1), channels)
    large, side = st.columns([5, 7], gap="large")
    with side:
        number = _number(number, channels)
        opacity = st.slider("Opacity of the map", 0, 100, 60, format="%d%%", key="opacity") / 100
    found = channel(look, layer.name, number - 1, settings)
    with large:
        st.html(_over(found, look, sample, opacity, settings))
        st.caption(_seen(found))
    with side:
        st.caption(
            f"Values from {signed(found.low)} to {signed(found.high)}, mean {signed(found.mean)}; "
            f"{percent(found.zeros)} are exactly 0."
        )
        st.plotly_chart(
            histogram(found, colours(), template()), theme=None, config={"displayModeBar": False}
        )
        _exciting(look.ref, layer.name, number - 1, settings)


def _number(number: int, channels: int) -> int:
    key = "channel-number"
    if st.session_state.get(key) != number:
        st.session_state[key] = number
    st.number_input(
        f"Channel (of {channels})",
        1,
        channels,
        key=key,
        on_change=lambda: choose(Choice.CHANNEL, st.session_state[key]),
    )
    return number


def _over(
    found: ChannelDetail,
    look: ActivationRequest,
    sample: Sample,
    opacity: float,
    settings: Settings,
) -> str:
    """The map over the image, with a frame around what its strongest value sees."""
    size, fit = view_of(look.ref, settings)
    image = uri(network_view(sample, size, fit, settings))
    left, top, right, bottom = found.box
    coarse = "coarse" if found.field.step_across * COARSE > size else ""
    return (
        f'<div class="over"><img src="{image}" alt="">'
        f'<img class="{coarse}" src="{uri(found.png)}" alt="Channel {found.channel + 1}" '
        f'style="opacity:{opacity:.2f}">'
        f'<div class="box" style="left:{left / size:.2%};top:{top / size:.2%};'
        f'width:{(right - left) / size:.2%};height:{(bottom - top) / size:.2%}"></div></div>'
    )


def _seen(found: ChannelDetail) -> str:
    row, column = found.strongest
    left, top, right, bottom = found.box
    if math.isinf(found.field.width):
        what = "which sees the whole image"
    else:
        what = (
            f"which sees {found.field.width:.0f} × {found.field.height:.0f} pixels; the frame "
            f"({left}–{right} across, {top}–{bottom} down) is what of them lies in the image"
        )
    first = f" (the first of {found.equal} places as strong)" if found.equal > 1 else ""
    return f"Strongest at row {row + 1}, column {column + 1} of the map{first}, {what}."


def _exciting(ref: ModelRef, layer: str, number: int, settings: Settings) -> None:
    dataset = open_dataset(chosen(Choice.DATASET), settings)
    found = find_top_images(dataset, ref, layer, settings)
    st.markdown(f"**What excites it most** in {plain(dataset_title(dataset.name))}")
    if found.complete:
        _best(found, number, settings)
        return
    works = st.session_state.get("_exciting") == str(found.folder)
    if works:
        _working(found, ref, layer, number, settings)
        return
    st.button(
        "Find the images" if not found.done else "Go on",
        icon=":material/search:",
        key="excite",
        help=f"Runs all {count(len(found.samples), 'image')} to this layer, once; kept on disk.",
        on_click=lambda: st.session_state.update(_exciting=str(found.folder)),
    )
    if found.done:
        st.caption(
            f"Stopped after {found.done} of {len(found.samples)}. These are the best so far."
        )
        _best(found, number, settings)


@st.fragment(run_every=0.2)
def _working(found: TopImages, ref: ModelRef, layer: str, number: int, settings: Settings) -> None:
    """One part at each tick, so that the page answers in between and a stop is at once."""
    with boundary():
        found.step(
            lambda paths: inference(settings).ask(f"{ROOM}:measure_images", list(paths), ref, layer)
        )
        st.progress(found.done / len(found.samples), f"{found.done} of {len(found.samples)} images")
        stopped = st.button("Stop", icon=":material/stop:", key="excite-stop")
        _best(found, number, settings)
        if stopped or found.complete:
            st.session_state["_exciting"] = ""
            st.rerun()


def _best(found: TopImages, number: int, settings: Settings) -> None:
    best = found.best(number)
    if best.images:
        samples = [each.sample for each in best.images]
        st.html(tiles("exciting", samples, settings, side=88, rows=3))
        st.caption(_values(best))


def _values(best: Best) -> str:
    """The values of what is shown, and how many images share the highest."""
    highest = [signed(each.highest) for each in best.images]
    if best.tied > 1 and best.images[0].highest == best.images[0].mean == 0:
        return f"No image excites it: its map is 0 all over in {count(best.tied, 'image')}."
    if best.tied < 2:
        return f"Highest values {', '.join(highest)}."
    means = ", ".join(signed(each.mean) for each in best.images[: best.tied])
    words = (
        f"{best.tied:,} of {count(best.readable, 'image')} reach the highest value {highest[0]}; "
        f"ranked by mean activation ({means})."
    )
    below = highest[best.tied :]
    return f"{words} Then {', '.join(below)}." if below else words
