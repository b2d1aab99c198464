"""Runs as rows: state, what learned from what, how well, and the way there."""

from __future__ import annotations

import streamlit as st

from tlcore.runs.store import (
    FAILED,
    FINISHED,
    QUEUED,
    RUNNING,
    STOPPED,
    RunInfo,
    list_runs,
    load_run,
)
from tlcore.settings import Settings
from tlcore.ui.sets import set_title
from tlcore.ui.shell import TUNE, boundary
from tlcore.ui.words import accuracy, ago, plain

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
    """Every run but the one that is watched, newest first, in pages; live while one works."""
    infos = [info for info in list_runs(settings) if info.id != watched]
    if not infos:
        return
    st.subheader("Other runs" if watched else "Earlier runs", anchor=False)
    active = any(info.active for info in infos)
    st.fragment(_pages, run_every=2.0 if active else None)(watched, settings)


def _pages(watched: str, settings: Settings) -> None:
    with boundary():
        infos = [info for info in list_runs(settings) if info.id != watched]
        pages = max(1, -(-len(infos) // PAGE))
        place = st.container()
        page = st.pagination(pages, key="runs-page") if pages > 1 else 1
        with place:
            for info in infos[(page - 1) * PAGE : page * PAGE]:
                _row(info, settings)


def _row(info: RunInfo, settings: Settings) -> None:
    with st.container(border=True, gap="xsmall", key=f"run-{info.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(
                TUNE.file,
                label=f"**{plain(set_title(info.config.dataset))}** · {info.config.backbone}",
                query_params={"run": info.id},
            )
            chip(info.state)
        st.caption(_figures(info, settings))


def _figures(info: RunInfo, settings: Settings) -> str:
    parts = [ago(info.created)]
    if info.val_accuracy is not None:
        pictures = load_run(info.id, settings).pictures.get("val", 0)
        parts.insert(0, accuracy(info.val_accuracy, pictures))
    return " · ".join(parts)
