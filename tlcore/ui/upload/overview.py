"""A dataset in numbers, and its splits: sizes, average images, its hash; splitting it."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from markupsafe import Markup
from PIL import Image

from tlcore.datasets.dataset import SPLIT_NAMES, SPLITS, UNLABELLED, Sample
from tlcore.datasets.quality import ENOUGH
from tlcore.datasets.quality_scan import scan_quality
from tlcore.datasets.split_notes import describe_groups
from tlcore.datasets.splits import SplitPlan, plan_splits, remove_splits, split_dataset
from tlcore.datasets.store import DatasetState, load_dataset
from tlcore.datasets.thumbnails import load_thumbnail
from tlcore.errors import BadImage
from tlcore.settings import Settings
from tlcore.ui.components.charts import draw_chart
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.theme import Colours, colours

HEIGHT = 260  # px of the sizes
BARS = 20  # classes with a bar; of more a table is drawn
SPLIT_TITLES: dict[str | None, str] = {None: "in no split"}
SPLIT_TITLES.update(SPLIT_NAMES)
AVERAGED = 200  # images of a class, evenly picked, that its average is made of
AVERAGES = 12  # classes with an average


def edit_button(
    words: str, edit: Callable[..., object], *arguments: object, key: str, **options: Any
) -> None:
    """Show a button; a click calls the edit with its arguments and draws the page anew."""
    if st.button(words, key=key, **options):
        edit(*arguments)
        st.rerun()


def splits_view(state: DatasetState, settings: Settings) -> None:
    """Show how a dataset is split, and let it be split."""
    st.markdown(_describe_splits(state))
    with st.container(border=True):
        _split_form(state, settings)
    if len(state.counts) > BARS:
        _draw_split_table(state)
    elif state.counts:
        st.html("".join(class_bar(name, state, splits=True) for name in state.counts))


def _draw_split_table(state: DatasetState) -> None:
    """Draw the images of each class in each split as a table, the smallest class on top."""
    splits = state.dataset.counts_by_split
    frame = pd.DataFrame(
        {
            "Class": map(label, state.counts),
            "Images": state.counts.values(),
            **{SPLIT_TITLES[split].capitalize(): some.values() for split, some in splits.items()},
        }
    )
    frame = frame.sort_values("Images", kind="stable")
    st.dataframe(frame, hide_index=True, key="split-table")


def class_bar(name: str, state: DatasetState, *, splits: bool = False) -> Markup:
    """Return a class as HTML: its name, a bar with a piece for each split, the number of images.

    Args:
        name: of the class.
        state: the dataset.
        splits: whether the number of images in each split is said as well.
    """
    counts = {
        split: some[name] for split, some in state.dataset.counts_by_split.items() if some.get(name)
    }
    pieces = Markup("").join(
        Markup('<i class="{}" style="flex:{}"></i>').format(split or "none", number)
        for split, number in counts.items()
    )
    images = state.counts[name]
    words = plural(images, "image")
    if splits:
        words += ": " + ", ".join(f"{n:,} {SPLIT_TITLES[split]}" for split, n in counts.items())
    elif name == UNLABELLED:
        words += " · no class: nothing is trained on these"
    elif images < ENOUGH:
        words += f" · few: {ENOUGH} or more train better"
    return Markup(
        '<div class="class-bar"><b>{}</b><span style="--share:{:.4f}">{}</span><small>{}</small>'
        "</div>"
    ).format(label(name), images / max(state.counts.values()), pieces, words)


def _describe_splits(state: DatasetState) -> str:
    counts = {split: sum(some.values()) for split, some in state.dataset.counts_by_split.items()}
    if set(counts) <= {None}:
        return (
            "This dataset is **not split**: each run draws its own validation split by its seed, "
            "and nothing is kept for a test."
        )
    kept = "**Nothing is kept for a test**, so that a run's accuracy is that of validation."
    if test := counts.get("test", 0):
        kept = (
            f"**{plural(test, 'image')}** are kept for the test: no run is trained on them or "
            "chooses by them, they are only used to evaluate a run."
        )
    rest = f" {plural(counts[None], 'image')} are in no split yet." if counts.get(None) else ""
    return kept + rest


def _split_form(state: DatasetState, settings: Settings) -> None:
    first, second, third = st.columns(3)
    images = max(1, sum(sample.split is not None for sample in state.included))
    is_split = any(sample.split for sample in state.included)
    now = [sum(s.split == split for s in state.included) / images for split in ("val", "test")]
    at = [round(100 * share) for share in now] if is_split else [20, 10]
    key = f"{state.name}-{len(state.edits)}"  # as it is now, after each edit too
    low = min(5, max(1, at[0]))
    validation = first.slider(
        "Validation, % of each class", low, max(50, at[0]), max(low, at[0]), key=f"split-val-{key}",
        help="Images by which training and you choose. More where there are few. Default: 20.",
    )  # fmt: skip
    test = second.slider(
        "Test, % of each class", 0, max(40, at[1]), at[1], key=f"split-test-{key}",
        help="Images that only evaluate a run at the end; 0 where there are few. Default: 10.",
    )  # fmt: skip
    help_ = "Another seed draws another split of the same size. Default: 0."
    seed = third.number_input("Seed", 0, 2**31 - 1, 0, key="split-seed", help=help_)
    some = is_split and not all(sample.split for sample in state.included)
    keep = some and st.checkbox(
        "Keep the splits that images have already", value=True, key="split-keep"
    )
    plan = SplitPlan(validation / 100, test / 100, int(seed), keep=bool(keep))
    st.caption("The same share of every class; what belongs together stays together.")
    is_new = not is_split or [validation, test] != [max(low, at[0]), at[1]]
    if groups := _describe_groups(state, plan, settings, is_new=is_new):
        st.caption(escape_md(groups))
    with st.container(horizontal=True, gap="small"):
        arguments, disabled = (state, plan, settings), not state.included
        words = "Re-split" if is_split else "Split"
        edit_button(words, _split, *arguments, key="split", type="primary", disabled=disabled)
        if is_split:
            edit_button(
                "Remove the splits", remove_splits, state.name, settings, key="split-remove"
            )
        counts = Counter(plan_splits(state.included, plan).values())
        planned = [f"{counts[split]:,} {SPLIT_NAMES[split]}" for split in SPLITS if counts[split]]
        st.caption(f"It will be {', '.join(planned)}.", width="content")


def _describe_groups(
    state: DatasetState, plan: SplitPlan, settings: Settings, *, is_new: bool
) -> str:
    """Say what the plan makes of images that stay together."""
    samples = load_dataset(state.name, settings).samples
    splits = plan_splits(samples, plan)
    train, val = ([s for s in samples if splits.get(s.key) == split] for split in ("train", "val"))
    return describe_groups(train, val, plan.val if is_new and not plan.keep else None)


def _split(state: DatasetState, plan: SplitPlan, settings: Settings) -> None:
    """Split a dataset; near copies are detected first, so that they stay in one split."""
    bar = st.progress(0.0, text="Comparing the images …")

    def progress(done: int, total: int | None) -> None:
        bar.progress(done / max(total or 1, 1), text="Comparing the images …")

    scan_quality(state.name, settings, progress=progress)
    split_dataset(state.name, plan, settings)


def _draw_sizes(samples: Sequence[Sample], tone: Colours) -> go.Figure:
    """Draw the width and height of images, equal ones as one larger dot; lines of equal aspect."""
    sizes = Counter((sample.width, sample.height) for sample in samples)
    figure = go.Figure()
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
    dots = [min(28.0, 5 + 2 * number**0.5) for number in sizes.values()]
    figure.add_scatter(
        x=[width for width, _ in sizes],
        y=[height for _, height in sizes],
        customdata=list(sizes.values()),
        mode="markers",
        marker={"color": tone.faint, "opacity": 0.6, "size": dots},
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
        draw_chart(_draw_sizes(state.included, colours()), "sizes", "Sizes of the images")
        st.markdown("**The average image of each class**")
        st.caption(
            "If two averages differ at a glance, so do the classes by their background alone: a "
            "head may learn that instead of the object."
        )
        with st.container(horizontal=True, gap="small"):
            for name, number in list(state.counts.items())[:AVERAGES]:
                samples = [sample for sample in state.included if sample.label == name]
                picked = samples[:: max(1, len(samples) // AVERAGED)][:AVERAGED]
                words = f"{label(name)} ({plural(number, 'image')})"
                st.image(_average(picked, settings), words, width=160, alt=f"Average of {words}")


@st.cache_data(
    show_spinner="Averaging …",
    max_entries=200,
    hash_funcs={Sample: attrgetter("sha256"), Settings: repr},
)
def _average(samples: list[Sample], settings: Settings) -> npt.NDArray[np.uint8]:
    """Return the mean of the thumbnails that can be read: (160, 160, 3)."""
    total, images = np.zeros((160, 160, 3)), 0
    for sample in samples:
        with suppress(BadImage):
            small = Image.open(io.BytesIO(load_thumbnail(sample, settings)))
            total += np.asarray(small.convert("RGB"))
            images += 1
    return (total / max(images, 1)).round().astype(np.uint8)
