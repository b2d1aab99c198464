"""The findings of one kind, each by itself: exclude, keep, relabel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from tlcore.datasets.edits import dismiss, exclude, relabel, restore
from tlcore.datasets.quality import (
    DECIDE,
    HANDLED,
    KINDS,
    LEFT_OUT,
    Finding,
    FindingKind,
    QualityReport,
)
from tlcore.datasets.quality_scan import load_quality, scan_quality
from tlcore.datasets.store import DatasetState
from tlcore.settings import Settings
from tlcore.ui.components.dataset_picker import tiles
from tlcore.ui.format import count, label, plain
from tlcore.ui.shell import boundary
from tlcore.ui.widgets import distinct

PAGE = 6  # findings at once
TOGETHER = 4  # images of one finding that are shown


def one_by_one(
    kind: FindingKind, findings: Sequence[Finding], state: DatasetState, settings: Settings
) -> None:
    """A row for each finding, a page of them at a time."""
    pages = -(-len(findings) // PAGE)
    page = 0
    if pages > 1:
        page = st.number_input("Page", 1, pages, key=f"single-page-{kind.name}") - 1
    for place, finding in enumerate(findings[page * PAGE : (page + 1) * PAGE]):
        _row(f"{kind.name}-{place}", kind, finding, state, settings)


def _row(
    place: str, kind: FindingKind, finding: Finding, state: DatasetState, settings: Settings
) -> None:
    faces, words, buttons = st.columns([3, 5, 4], vertical_alignment="center")
    items = [state.by_key[key] for key in finding.keys]
    with faces:
        shown = [item for item in items[:TOGETHER]]
        st.html(tiles(f"one-{place}", shown, settings, side=72, rows=1))
    words.markdown(
        "  \n".join(
            f"{plain(item.file)} :gray[{plain(label(item.label))}]" for item in items[:TOGETHER]
        )
        + f"  \n:gray[{plain(finding.details)}]"
    )
    with buttons, st.container(horizontal=True, gap="small"):
        if st.button("Exclude", key=f"one-exclude-{place}"):
            exclude(state.name, finding.excludes, settings)
            st.rerun()
        if st.button("Keep", key=f"one-keep-{place}"):
            dismiss(state.name, finding.keys, kind.name, settings)
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


# What the doctor found: a card for each kind of fault, what it costs, and one click to mend it.


FACES = 8  # thumbnails on a card
LISTED = 3  # findings named on a card
NAMED = 200  # files that are listed by name
SLICE = 0.7  # s of looking between two answers to the person


def check(state: DatasetState, settings: Settings) -> None:
    """Look at what was not looked at yet, then say what was found."""
    found = load_quality(state.name, settings)
    if found.unscanned:
        _looking(state.name, settings)
    decide = [kind for kind in found.open if KINDS[kind].level == DECIDE]
    if not (decide or found.small_classes or found.unscanned):
        st.success(
            "Nothing here needs a decision. " + _looked_at(found), icon=":material/check_circle:"
        )
    _shortages(found)
    for kind in decide:
        _card(KINDS[kind], found.open[kind], state, settings)
    _rest(found, state, settings)


@st.fragment(run_every=0.2)
def _looking(name: str, settings: Settings) -> None:
    """A slice of the work each time the page asks, so that it can be used meanwhile."""
    with boundary():
        found = scan_quality(name, settings, seconds=SLICE)
        if not found.unscanned:
            st.rerun()
        seen = found.images - found.unscanned
        st.progress(
            seen / max(found.images, 1),
            text=f"Looking at every image: {seen:,} of {found.images:,}. You can go on "
            "meanwhile; what was seen is kept.",
        )


def _shortages(found: QualityReport) -> None:
    if not found.small_classes:
        return
    with st.container(border=True, key="shortages"):
        st.markdown(f"**Too few images** · {count(len(found.small_classes), 'class', 'classes')}")
        st.markdown(
            "\n".join(
                f"- **{plain(label(short.label))}**: {short.message}"
                for short in found.small_classes[:12]
            )
        )


def _card(
    kind: FindingKind, findings: Sequence[Finding], state: DatasetState, settings: Settings
) -> None:
    with st.container(border=True, key=f"kind-{kind.name}"):
        words, images = st.columns([7, 4], vertical_alignment="center", gap="medium")
        keys = [key for finding in findings for key in finding.keys]
        with images:
            faces = [state.by_key[key] for key in keys[:FACES]]
            st.html(tiles(f"face-{kind.name}", faces, settings, side=76, rows=2))
        with words:
            st.markdown(f"**{kind.title}** · {len(findings):,}  \n:gray[{kind.consequence}]")
            st.caption(_first_names(findings))
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _actions(kind, findings, state, settings)
                singly = st.toggle("One by one", key=f"single-{kind.name}")
        if singly:
            one_by_one(kind, findings, state, settings)


def _first_names(findings: Sequence[Finding]) -> str:
    names = [plain(" = ".join(finding.files[:3])) for finding in findings[:LISTED]]
    more = f" and {len(findings) - LISTED:,} more" if len(findings) > LISTED else ""
    return ", ".join(names) + more


def _actions(
    kind: FindingKind, findings: Sequence[Finding], state: DatasetState, settings: Settings
) -> None:
    keys = [key for finding in findings for key in finding.keys]
    drop = [key for finding in findings for key in finding.excludes]
    main: Literal["primary", "secondary"] = "primary" if kind.level == DECIDE else "secondary"
    if drop and st.button(
        f"{kind.fix or 'Exclude them'} ({len(drop):,})", type=main, key=f"mend-{kind.name}"
    ):
        exclude(state.name, drop, settings)
        st.rerun()
    if keys and st.button("Keep all", key=f"keep-{kind.name}"):
        dismiss(state.name, keys, kind.name, settings)
        st.rerun()


def _rest(found: QualityReport, state: DatasetState, settings: Settings) -> None:
    """What needs no decision, folded away."""
    left_out = [kind for kind in found.open if KINDS[kind].level == LEFT_OUT]
    handled = [kind for kind in found.open if KINDS[kind].level == HANDLED]
    if left_out:
        number = sum(len(found.open[kind]) for kind in left_out)
        title = f"{count(number, 'file')} left out on arrival"
        with st.expander(title, icon=":material/block:", expanded=number <= 5):
            for kind in left_out:
                _named(KINDS[kind], found.open[kind], state, settings)
    if handled:
        number = sum(len(found.open[kind]) for kind in handled)
        with st.expander(f"{count(number, 'image')} put right for you", icon=":material/healing:"):
            for kind in handled:
                _named(KINDS[kind], found.open[kind], state, settings)
    _kept(found, state, settings)


def _named(
    kind: FindingKind, findings: Sequence[Finding], state: DatasetState, settings: Settings
) -> None:
    st.markdown(f"**{kind.title}** · {len(findings):,}  \n:gray[{kind.consequence}]")
    keys = [key for finding in findings for key in finding.keys]
    if faces := [state.by_key[key] for key in keys[:FACES]]:
        st.html(tiles(f"face-{kind.name}", faces, settings, side=64, rows=1))
    st.markdown(
        "\n".join(
            f"- {plain(finding.files[0])}  \n  :gray[{plain(finding.details)}]"
            for finding in findings[:NAMED]
        )
    )
    if keys:
        with st.container(horizontal=True, gap="small"):
            _actions(kind, findings, state, settings)


def _kept(found: QualityReport, state: DatasetState, settings: Settings) -> None:
    settled = {
        kind: [finding for finding in findings if finding.dismissed]
        for kind, findings in found.by_kind.items()
    }
    settled = {kind: findings for kind, findings in settled.items() if findings}
    if not settled:
        return
    number = sum(len(findings) for findings in settled.values())
    with st.expander(f"{count(number, 'finding')} kept by you", icon=":material/task_alt:"):
        for kind, findings in settled.items():
            words, button = st.columns([5, 2], vertical_alignment="center")
            words.markdown(f"{KINDS[kind].title} · {len(findings):,}")
            if button.button("Question again", key=f"again-{kind}"):
                keys = [key for finding in findings for key in finding.keys]
                restore(state.name, keys, kind, settings)
                st.rerun()


def _looked_at(found: QualityReport) -> str:
    return f"Every one of the {count(found.images, 'image')} was decoded and looked at."
