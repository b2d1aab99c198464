"""Training, validation and test: how a set is divided, shown, drawn and drawn again."""

from __future__ import annotations

import streamlit as st

from tlcore.datasets.quality_scan import load_quality, scan_quality
from tlcore.datasets.splits import SplitPlan, remove_splits, split_dataset
from tlcore.datasets.store import DatasetState
from tlcore.settings import Settings
from tlcore.ui.format import count
from tlcore.ui.theme import colours, template
from tlcore.ui.upload.overview import class_counts


def dividing(state: DatasetState, settings: Settings) -> None:
    """Say how the set is divided, and let it be divided."""
    st.markdown(_said(state))
    if state.included:
        st.plotly_chart(
            class_counts(state.dataset.counts_by_split, colours(), template()),
            config={"displayModeBar": False},
            key="parts",
        )
    with st.container(border=True):
        _form(state, settings)


def _said(state: DatasetState) -> str:
    parts = {part: sum(some.values()) for part, some in state.dataset.counts_by_split.items()}
    if set(parts) <= {None}:
        return (
            "This set is **not divided**: each run draws its own validation part by its seed, and "
            "nothing is kept for a test."
        )
    test = parts.get("test", 0)
    kept = (
        f"**{count(test, 'image')}** are kept for the test: no run learns from them or chooses "
        "by them, they are only asked when a run is judged."
        if test
        else "**Nothing is kept for a test**, so that a run's accuracy is that of validation."
    )
    rest = f" {count(parts[None], 'image')} have no part yet." if parts.get(None) else ""
    return kept + rest


def _form(state: DatasetState, settings: Settings) -> None:
    first, second, third = st.columns(3)
    val = first.slider("Validation, % of each class", 5, 50, 20, 5, key="divide-val")
    test = second.slider("Test, % of each class", 0, 40, 10, 5, key="divide-test")
    seed = third.number_input("Seed", 0, 2**31 - 1, 0, key="divide-seed")
    given = any(item.split for item in state.included)
    keep = given and st.checkbox(
        "Keep the parts that images have already", value=True, key="divide-keep"
    )
    groups = len(load_quality(state.name, settings).groups)
    together = f" {count(groups, 'group')} of copies stay together." if groups else ""
    done = keep and all(item.split for item in state.included)
    said = "Every image has a part already. " if done else ""
    st.caption(f"{said}Every class gives the same share, and copies never part.{together}")
    with st.container(horizontal=True, gap="small"):
        if st.button("Divide", type="primary", key="divide", disabled=done or not state.included):
            division = SplitPlan(val / 100, test / 100, int(seed), keep=bool(keep))
            _divide(state, division, settings)
        if given and st.button("Forget the parts", key="divide-forget"):
            remove_splits(state.name, settings)
            st.rerun()


def _divide(state: DatasetState, division: SplitPlan, settings: Settings) -> None:
    """Near copies must be known first: images that were not looked at yet are."""
    bar = st.progress(0.0, text="Looking for near copies …")

    def progress(done: int, total: int | None) -> None:
        bar.progress(done / max(total or 1, 1), text="Looking for near copies …")

    scan_quality(state.name, settings, progress=progress)
    split_dataset(state.name, division, settings)
    st.rerun()
