"""A look at the whole set: its classes, how many of each in which part, sizes, averages."""

from __future__ import annotations

import io

import numpy as np
import streamlit as st
from PIL import Image

from tlcore.datasets.dataset import Sample
from tlcore.datasets.edits.state import SetState
from tlcore.datasets.store import thumbnail
from tlcore.errors import BadImage
from tlcore.settings import Settings
from tlcore.ui.sets import classes_with_tiles
from tlcore.ui.theme import colours, template
from tlcore.ui.upload.charts import class_counts, sizes
from tlcore.ui.words import count, label

AVERAGED = 200  # pictures of a class, evenly picked, that its average is made of
SHOWN = 12  # classes with an average


def overview(state: SetState, settings: Settings) -> None:
    """Classes first, then what they look like in numbers and on average."""
    dataset = state.dataset
    if not dataset.samples:
        st.info("All pictures of this set are excluded. “Undo”, or take some back by label.")
        return
    if len(dataset.classes) == 1:
        st.caption("One class. To teach a head, bring pictures with a second label.")
    classes_with_tiles(dataset, settings, key="gallery", side=96, rows=1, shown=11)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Pictures of each class**")
        st.plotly_chart(
            class_counts(dataset.counts_by_split, colours(), template()),
            config={"displayModeBar": False},
            key="class-counts",
        )
    with right:
        st.markdown("**Sizes**")
        st.plotly_chart(
            sizes([(item.entry.width, item.entry.height) for item in state.used],
                  colours(), template()),
            config={"displayModeBar": False},
            key="sizes",
        )  # fmt: skip
    _averages(state, settings)


def _averages(state: SetState, settings: Settings) -> None:
    st.markdown("**The average picture of each class**")
    st.caption(
        "If two averages can be told apart at a glance, so can the classes by their background "
        "alone: a head may learn that instead of the thing."
    )
    with st.container(horizontal=True, gap="small"):
        for name, number in list(state.counts.items())[:SHOWN]:
            samples = [sample for sample in state.dataset.samples if sample.label == name]
            picked = samples[:: max(1, len(samples) // AVERAGED)][:AVERAGED]
            drawn = _average(tuple(sample.sha256 for sample in picked), picked, settings)
            st.image(drawn, f"{label(name)} ({count(number, 'picture')})", width=160)


@st.cache_data(show_spinner="Averaging …", max_entries=200)
def _average(shas: tuple[str, ...], _samples: list[Sample], _settings: Settings) -> bytes:
    total = np.zeros((160, 160, 3))
    seen = 0
    for sample in _samples:
        try:
            small = Image.open(io.BytesIO(thumbnail(sample, _settings)))
        except BadImage:
            continue
        total += np.asarray(small.convert("RGB"))
        seen += 1
    buffer = io.BytesIO()
    mean = Image.fromarray((total / max(seen, 1)).round().astype(np.uint8))
    mean.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
