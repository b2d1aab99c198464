"""Runs as rows: state, what learned from what, how well, and the way there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from tlcore.runs.store import (
    FAILED,
    FINISHED,
    QUEUED,
    RUNNING,
    STOPPED,
    RunInfo,
    list_runs,
    stop_run,
)
from tlcore.settings import Settings
from tlcore.ui.run_compare import compare_runs, run_title
from tlcore.ui.sets import set_title
from tlcore.ui.shell import TUNE, boundary
from tlcore.ui.words import accuracy, ago, duration, plain

RECENT = 4
PAGE = 8
# state → words, icon, colour of the chip
STATES = {
    QUEUED: ("waiting", ":material/hourglass_empty:", "gray"),
    RUNNING: ("learning", ":material/autorenew:", "blue"),
    FINISHED: ("finished", ":material/check:", "green"),
    STOPPED: ("stopped", ":material/stop:", "gray"),
    FAILED: ("failed", ":material/error:", "red"),
}


def chip(state: str) -> None:
    """A run's state as a badge."""
    words, icon, colour = STATES[state]
    st.badge(words, icon=icon, color=colour)  # type: ignore[arg-type]


def recent_runs(settings: Settings) -> None:
    """The newest runs, or how to make the first."""
    infos = list_runs(settings)
    if not infos:
        st.caption("None yet. The first takes about half a minute on the sample.")
        st.page_link(TUNE.file, label="Teach it your classes", icon=TUNE.icon)
        return
    for info in infos[:RECENT]:
        _row(info, settings)
    if len(infos) > RECENT:
        st.page_link(TUNE.file, label=f"All {len(infos)} runs", icon=TUNE.icon)


def other_runs(watched: str, settings: Settings) -> None:
    """Every run but the one that is watched, in pages; live while one works."""
    infos = [info for info in list_runs(settings) if info.id != watched]
    if not infos:
        return
    st.subheader("Other runs" if watched else "Earlier runs", anchor=False)
    active = any(info.active for info in infos)
    st.fragment(_pages, run_every=2.0 if active else None)(watched, settings)
    compare_runs(watched, settings)


def _pages(watched: str, settings: Settings) -> None:
    with boundary():
        infos = [info for info in list_runs(settings) if info.id != watched]
        if len(infos) > RECENT:
            infos = _narrowed(infos)
        pages = max(1, -(-len(infos) // PAGE))
        place = st.container()
        page = st.pagination(pages, key="runs-page") if pages > 1 else 1
        with place:
            for info in infos[(page - 1) * PAGE : page * PAGE]:
                _row(info, settings)
            if not infos:
                st.caption("None that matches.")


def _narrowed(infos: list[RunInfo]) -> list[RunInfo]:
    """Let a person search, filter and sort."""
    search, states, order = st.columns([3, 2, 2])
    words = search.text_input(
        "Search", key="runs-search", placeholder="name, tag, note, data set, backbone"
    )
    shown = states.multiselect(
        "State", list(STATES), key="runs-states", format_func=lambda name: STATES[name][0]
    )
    by = order.selectbox("Sort by", list(ORDERS), key="runs-order")
    kept = [
        info
        for info in infos
        if (not shown or info.state in shown) and words.lower() in _searched(info)
    ]
    return sorted(kept, key=ORDERS[by], reverse=True)


def _searched(info: RunInfo) -> str:
    notes, config = info.notes, info.config
    parts = (notes.name, *notes.tags, notes.note, set_title(config.dataset), config.backbone)
    return " ".join((*parts, info.id)).lower()


ORDERS: Mapping[str, Callable[[RunInfo], float | str]] = {
    "newest first": lambda info: info.id,
    "best first": lambda info: -1.0 if info.val_accuracy is None else info.val_accuracy,
    "longest first": lambda info: info.seconds or 0.0,
}


def _row(info: RunInfo, settings: Settings) -> None:
    with st.container(border=True, gap="xsmall", key=f"run-{info.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(
                TUNE.file, label=f"**{plain(run_title(info))}**", query_params={"run": info.id}
            )
            chip(info.state)
            for tag in info.notes.tags:
                st.badge(plain(tag), color="gray")
        st.caption(_figures(info))
        if info.state == QUEUED:
            st.button(
                "Take back", key=f"back-{info.id}", on_click=stop_run, args=(info.id, settings)
            )


def _figures(info: RunInfo) -> str:
    parts = [ago(info.created)]
    if info.val_accuracy is not None:
        parts.insert(0, accuracy(info.val_accuracy, info.pictures.get("val", 0)))
    if info.seconds is not None:
        parts.append(f"took {duration(info.seconds)}")
    if info.data_hash:
        parts.append(f"data {info.data_hash[:8]}")
    return " · ".join(parts)
