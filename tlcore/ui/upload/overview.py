"""A dataset in numbers: images of each class and split, sizes, average images, its hash."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from PIL import Image

from tlcore.datasets.dataset import SPLIT_NAMES, Sample
from tlcore.datasets.store import DatasetState
from tlcore.datasets.thumbnails import load_thumbnail
from tlcore.errors import BadImage
from tlcore.settings import Settings
from tlcore.ui.components.charts import draw_chart
from tlcore.ui.format import label, plural
from tlcore.ui.theme import Colours, colours, template

ROW = 34  # px of a class
HEIGHT = 260  # px of the sizes
SPLIT_TITLES: dict[str | None, str] = {None: "in no split"}
SPLIT_TITLES.update(SPLIT_NAMES)
AVERAGED = 200  # images of a class, evenly picked, that its average is made of
AVERAGES = 12  # classes with an average


def class_counts(
    counts: Mapping[str | None, Mapping[str, int]], tone: Colours, template: go.layout.Template
) -> go.Figure:
    """Draw the images of each class as bars, a piece for each split."""
    tones = {"train": tone.frozen, "val": tone.frozen, "test": tone.text, None: tone.line}
    figure = go.Figure(layout={"template": template, "barmode": "stack"})
    names: list[str] = []
    for split, by_class in counts.items():
        names = [label(name) for name in by_class]
        figure.add_bar(
            y=names,
            x=list(by_class.values()),
            name=SPLIT_TITLES[split],
            orientation="h",
            width=0.6,
            marker={
                "color": tones[split],
                "pattern": {"shape": "/" if split == "val" else "", "size": 6, "solidity": 0.5},
            },
            hovertemplate="%{y}: %{x} %{fullData.name}<extra></extra>",
        )
    figure.update_xaxes(rangemode="tozero", tickformat="d", nticks=6)
    figure.update_yaxes(autorange="reversed", automargin=True, gridcolor="rgba(0,0,0,0)")
    figure.update_layout(
        height=max(180, ROW * len(names) + 76),
        showlegend=len(counts) > 1,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        margin={"l": 8, "r": 8, "t": 30, "b": 30},
    )
    return figure


def size_chart(
    pixels: Sequence[tuple[int, int]], tone: Colours, template: go.layout.Template
) -> go.Figure:
    """Draw the width and height of images, equal ones as one larger dot; lines of equal aspect."""
    sizes = Counter(pixels)
    figure = go.Figure(layout={"template": template})
    top = max((max(size) for size in sizes), default=1) * 1.08
    for ratio, name in ((1.0, "1:1"), (4 / 3, "4:3"), (3 / 4, "3:4")):
        end = min(top, top / ratio)
        figure.add_scatter(
            x=[0, end * ratio],
            y=[0, end],
            mode="lines+text",
            text=["", name],
            textposition="bottom left",
            textfont={"color": tone.faint, "size": 12},
            line={"color": tone.line, "width": 1.5},
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=[width for width, _ in sizes],
        y=[height for _, height in sizes],
        customdata=list(sizes.values()),
        mode="markers",
        marker={
            "color": tone.faint,
            "opacity": 0.6,
            "size": [min(28.0, 5 + 2 * number**0.5) for number in sizes.values()],
        },
        hovertemplate="%{x} × %{y} pixels: %{customdata} images<extra></extra>",
    )
    figure.update_xaxes(range=[0, top], title="width, pixels")
    figure.update_yaxes(range=[0, top], title="height, pixels")
    figure.update_layout(height=HEIGHT, margin={"l": 56, "r": 8, "t": 8, "b": 44})
    return figure


def about_dataset(state: DatasetState, settings: Settings) -> None:
    """Sizes, average images and the hash of a dataset, folded away."""
    about = st.expander(
        "About this dataset", icon=":material/info:", on_change="rerun", key="about-dataset"
    )
    if not about.open or not state.included:
        return
    with about:
        st.markdown(
            f"Data hash `{state.dataset.hash}`",
            help="Of images and labels: the same images with the same labels have the same hash.",
        )
        st.markdown("**Sizes**")
        sizes = [(each.width, each.height) for each in state.included]
        draw_chart(size_chart(sizes, colours(), template()), "sizes", "Sizes of the images")
        _averages(state, settings)


def _averages(state: DatasetState, settings: Settings) -> None:
    st.markdown("**The average image of each class**")
    st.caption(
        "If two averages differ at a glance, so do the classes by their background alone: a head "
        "may learn that instead of the object."
    )
    with st.container(horizontal=True, gap="small"):
        for name, number in list(state.counts.items())[:AVERAGES]:
            samples = [sample for sample in state.included if sample.label == name]
            picked = samples[:: max(1, len(samples) // AVERAGED)][:AVERAGED]
            average = _average(tuple(sample.sha256 for sample in picked), picked, settings)
            st.image(average, f"{label(name)} ({plural(number, 'image')})", width=160)


@st.cache_data(show_spinner="Averaging …", max_entries=200)
def _average(shas: tuple[str, ...], _samples: list[Sample], _settings: Settings) -> bytes:
    total = np.zeros((160, 160, 3))
    images = 0
    for sample in _samples:
        try:
            small = Image.open(io.BytesIO(load_thumbnail(sample, _settings)))
        except BadImage:
            continue
        total += np.asarray(small.convert("RGB"))
        images += 1
    buffer = io.BytesIO()
    mean = Image.fromarray((total / max(images, 1)).round().astype(np.uint8))
    mean.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
