"""Training, validation and test: how a dataset is split, and splitting it."""

from __future__ import annotations

import streamlit as st

from tlcore.datasets.quality_scan import load_quality, scan_quality
from tlcore.datasets.splits import SplitPlan, remove_splits, split_dataset
from tlcore.datasets.store import DatasetState
from tlcore.settings import Settings
from tlcore.ui.components.charts import draw_chart
from tlcore.ui.format import plural
from tlcore.ui.theme import colours, template
from tlcore.ui.upload.overview import class_counts


def splits_view(state: DatasetState, settings: Settings) -> None:
    """Show how a dataset is split, and let it be split."""
    st.markdown(_describe(state))
    with st.container(border=True):
        _form(state, settings)
    if state.included:
        counts = class_counts(state.dataset.counts_by_split, colours(), template())
        draw_chart(counts, "splits", "Images of each class and split")


def _describe(state: DatasetState) -> str:
    counts = {split: sum(some.values()) for split, some in state.dataset.counts_by_split.items()}
    if set(counts) <= {None}:
        return (
            "This dataset is **not split**: each run draws its own validation split by its seed, "
            "and nothing is kept for a test."
        )
    test = counts.get("test", 0)
    kept = "**Nothing is kept for a test**, so that a run's accuracy is that of validation."
    if test:
        kept = (
            f"**{plural(test, 'image')}** are kept for the test: no run is trained on them or "
            "chooses by them, they are only used to evaluate a run."
        )
    rest = f" {plural(counts[None], 'image')} are in no split yet." if counts.get(None) else ""
    return kept + rest


def _form(state: DatasetState, settings: Settings) -> None:
    first, second, third = st.columns(3)
    validation = first.slider("Validation, % of each class", 5, 50, 20, 5, key="split-validation")
    test = second.slider("Test, % of each class", 0, 40, 10, 5, key="split-test")
    seed = third.number_input("Seed", 0, 2**31 - 1, 0, key="split-seed")
    is_split = any(sample.split for sample in state.included)
    keep = is_split and st.checkbox(
        "Keep the splits that images have already", value=True, key="split-keep"
    )
    groups = len(load_quality(state.name, settings).groups)
    together = f" {plural(groups, 'group')} of copies stay together." if groups else ""
    done = keep and all(sample.split for sample in state.included)
    note = "Every image is in a split already. " if done else ""
    st.caption(f"{note}The same share of every class; copies stay in one split.{together}")
    with st.container(horizontal=True, gap="small"):
        if st.button("Split", type="primary", key="split", disabled=done or not state.included):
            plan = SplitPlan(validation / 100, test / 100, int(seed), keep=bool(keep))
            _split(state, plan, settings)
        if is_split and st.button("Remove the splits", key="split-remove"):
            remove_splits(state.name, settings)
            st.rerun()


def _split(state: DatasetState, plan: SplitPlan, settings: Settings) -> None:
    """Split a dataset; near copies are detected first, so that they stay in one split."""
    bar = st.progress(0.0, text="Comparing the images …")

    def progress(done: int, total: int | None) -> None:
        bar.progress(done / max(total or 1, 1), text="Comparing the images …")

    scan_quality(state.name, settings, progress=progress)
    split_dataset(state.name, plan, settings)
    st.rerun()
