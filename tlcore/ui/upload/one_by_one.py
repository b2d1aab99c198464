"""The findings of one kind, each by itself: exclude, keep, relabel."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tlcore.datasets.doctor.checkup import Finding
from tlcore.datasets.doctor.kinds import Kind
from tlcore.datasets.edits.editing import exclude, relabel, settle
from tlcore.datasets.edits.state import SetState
from tlcore.settings import Settings
from tlcore.ui.selecting import distinct
from tlcore.ui.sets import tiles
from tlcore.ui.words import label, plain

PAGE = 6  # findings at once
TOGETHER = 4  # pictures of one finding that are shown


def one_by_one(
    kind: Kind, findings: Sequence[Finding], state: SetState, settings: Settings
) -> None:
    """A row for each finding, a page of them at a time."""
    pages = -(-len(findings) // PAGE)
    page = 0
    if pages > 1:
        page = st.number_input("Page", 1, pages, key=f"single-page-{kind.name}") - 1
    for place, finding in enumerate(findings[page * PAGE : (page + 1) * PAGE]):
        _row(f"{kind.name}-{place}", kind, finding, state, settings)


def _row(place: str, kind: Kind, finding: Finding, state: SetState, settings: Settings) -> None:
    faces, words, buttons = st.columns([3, 5, 4], vertical_alignment="center")
    items = [state.by_key[key] for key in finding.keys]
    with faces:
        shown = [item.sample(state.folder) for item in items[:TOGETHER]]
        st.html(tiles(f"one-{place}", shown, settings, side=72, rows=1))
    words.markdown(
        "  \n".join(
            f"{plain(item.entry.file)} :gray[{plain(label(item.label))}]"
            for item in items[:TOGETHER]
        )
        + f"  \n:gray[{plain(finding.detail)}]"
    )
    with buttons, st.container(horizontal=True, gap="small"):
        if st.button("Exclude", key=f"one-exclude-{place}"):
            exclude(state.name, finding.drop, settings)
            st.rerun()
        if st.button("Keep", key=f"one-keep-{place}"):
            settle(state.name, finding.keys, kind.name, settings)
            st.rerun()
        with st.popover("Relabel"):
            new = st.selectbox(
                "Class",
                list(state.counts),
                key=f"one-label-{place}",
                format_func=distinct(state.counts, label),
                accept_new_options=True,
            )
            if st.button("Give this label", key=f"one-relabel-{place}") and new:
                relabel(state.name, finding.keys, new.strip(), settings)
                st.rerun()
