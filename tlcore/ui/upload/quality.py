"""Problems of a dataset: a card for each kind with its consequence, and one click to fix it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    SmallClass,
)
from tlcore.datasets.quality_scan import load_quality, scan_quality
from tlcore.datasets.store import DatasetState
from tlcore.settings import Settings
from tlcore.ui.components.image_grid import thumbnails
from tlcore.ui.components.live import live
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.widgets import unique_labels

PROBLEMS = "problems"  # name of the view
PAGE = 6  # findings at once
TOGETHER = 4  # images of one finding that are shown
THUMBNAILS = 8  # on a card
LISTED = 3  # findings named on a card
NAMED = 200  # files that are listed by name
SLICE = 0.7  # s of scanning between two answers to the person


def count_problems(name: str, settings: Settings) -> int:
    """Return how many findings and small classes of a dataset a person should decide about."""
    report = load_quality(name, settings)
    return sum(map(len, _of_level(report, DECIDE).values())) + len(report.small_classes)


def problems_view(state: DatasetState, settings: Settings) -> None:
    """Show what is wrong with a dataset and fix it; images not scanned yet are scanned."""
    report = load_quality(state.name, settings)
    live(
        lambda: load_quality(state.name, settings).unscanned > 0,
        lambda: _scan(state.name, settings),
        every=0.2,
    )
    problems = _of_level(report, DECIDE)
    if not (problems or report.small_classes or report.unscanned):
        st.success(
            "**Nothing here needs a decision.** All of the "
            f"{plural(report.images, 'image')} were decoded and checked.",
            icon=":material/task_alt:",
        )
    _small_classes(report.small_classes)
    for kind, findings in problems.items():
        _card(KINDS[kind], findings, state, settings)
    _expander("left out on import", "file", _of_level(report, LEFT_OUT), state, settings)
    _expander("corrected on reading", "image", _of_level(report, HANDLED), state, settings)
    _dismissed(report, state, settings)


def _of_level(report: QualityReport, level: str) -> dict[str, tuple[Finding, ...]]:
    return {kind: some for kind, some in report.open_findings.items() if KINDS[kind].level == level}


def _scan(name: str, settings: Settings) -> None:
    """Scan for a moment and show how far it is; the page can be used meanwhile."""
    report = load_quality(name, settings)
    if not report.unscanned:
        return
    report = scan_quality(name, settings, seconds=SLICE)
    scanned = report.images - report.unscanned
    st.progress(
        scanned / max(report.images, 1),
        text=f"Checking every image: {scanned:,} of {report.images:,}. You can go on meanwhile.",
    )


def _small_classes(classes: Sequence[SmallClass]) -> None:
    if not classes:
        return
    with st.container(border=True, key="small-classes"):
        st.markdown(f"**Too few images** · {plural(len(classes), 'class', 'classes')}")
        st.markdown(
            "\n".join(
                f"- **{escape_md(label(each.label))}**: {each.message}" for each in classes[:12]
            )
        )


def _card(
    kind: FindingKind, findings: Sequence[Finding], state: DatasetState, settings: Settings
) -> None:
    with st.container(border=True, key=f"kind-{kind.name}"):
        words, images = st.columns([6, 5], vertical_alignment="center", gap="medium")
        keys = [key for finding in findings for key in finding.keys]
        with images:
            samples = [state.by_key[key] for key in keys[:THUMBNAILS]]
            thumbnails(samples, settings, key=f"card-{kind.name}", size=96)
        with words:
            st.markdown(f"**{kind.title}** · {len(findings):,}  \n:gray[{kind.consequence}]")
            st.caption(_first_names(findings))
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _actions(kind, findings, state, settings)
                singly = st.toggle("One by one", key=f"single-{kind.name}")
        if singly:
            _one_by_one(kind, findings, state, settings)


def _first_names(findings: Sequence[Finding]) -> str:
    names = [escape_md(" = ".join(finding.files[:3])) for finding in findings[:LISTED]]
    more = f" and {len(findings) - LISTED:,} more" if len(findings) > LISTED else ""
    return ", ".join(names) + more


def _actions(
    kind: FindingKind, findings: Sequence[Finding], state: DatasetState, settings: Settings
) -> None:
    keys = [key for finding in findings for key in finding.keys]
    excludes = [key for finding in findings for key in finding.excludes]
    main: Literal["primary", "secondary"] = "primary" if kind.level == DECIDE else "secondary"
    if excludes and st.button(
        f"{kind.fix or 'Exclude them'} ({len(excludes):,})", type=main, key=f"fix-{kind.name}"
    ):
        exclude(state.name, excludes, settings)
        st.rerun()
    if keys and st.button("Keep all", key=f"keep-{kind.name}"):
        dismiss(state.name, keys, kind.name, settings)
        st.rerun()


def _one_by_one(
    kind: FindingKind, findings: Sequence[Finding], state: DatasetState, settings: Settings
) -> None:
    """A row for each finding, a page of them at a time."""
    pages = -(-len(findings) // PAGE)
    page = st.pagination(pages, key=f"single-page-{kind.name}") if pages > 1 else 1
    for place, finding in enumerate(findings[(page - 1) * PAGE : page * PAGE]):
        _row(f"{kind.name}-{place}", kind, finding, state, settings)


def _row(
    place: str, kind: FindingKind, finding: Finding, state: DatasetState, settings: Settings
) -> None:
    images, words, buttons = st.columns([3, 5, 4], vertical_alignment="center")
    samples = [state.by_key[key] for key in finding.keys[:TOGETHER]]
    with images:
        thumbnails(samples, settings, key=f"one-{place}", size=72)
    names = [f"{escape_md(each.file)} :gray[{escape_md(label(each.label))}]" for each in samples]
    words.markdown("  \n".join([*names, f":gray[{escape_md(finding.details)}]"]))
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
                format_func=unique_labels(state.counts, label),
                accept_new_options=True,
            )
            if st.button("Relabel", key=f"one-relabel-{place}") and new:
                relabel(state.name, finding.keys, new.strip(), settings)
                st.rerun()


def _expander(
    what: str,
    noun: str,
    kinds: Mapping[str, Sequence[Finding]],
    state: DatasetState,
    settings: Settings,
) -> None:
    """Findings that need no decision, folded away."""
    if not kinds:
        return
    number = sum(map(len, kinds.values()))
    with st.expander(f"{plural(number, noun)} {what}", icon=":material/info:"):
        for kind, findings in kinds.items():
            _named(KINDS[kind], findings, state, settings)


def _named(
    kind: FindingKind, findings: Sequence[Finding], state: DatasetState, settings: Settings
) -> None:
    st.markdown(f"**{kind.title}** · {len(findings):,}  \n:gray[{kind.consequence}]")
    keys = [key for finding in findings for key in finding.keys]
    if samples := [state.by_key[key] for key in keys[:THUMBNAILS]]:
        thumbnails(samples, settings, key=f"card-{kind.name}", size=64)
    st.markdown(
        "\n".join(
            f"- {escape_md(finding.files[0])}  \n  :gray[{escape_md(finding.details)}]"
            for finding in findings[:NAMED]
        )
    )
    if keys:
        with st.container(horizontal=True, gap="small"):
            _actions(kind, findings, state, settings)


def _dismissed(report: QualityReport, state: DatasetState, settings: Settings) -> None:
    kinds = {
        kind: [finding for finding in findings if finding.dismissed]
        for kind, findings in report.by_kind.items()
    }
    kinds = {kind: findings for kind, findings in kinds.items() if findings}
    if not kinds:
        return
    number = sum(map(len, kinds.values()))
    with st.expander(f"{plural(number, 'finding')} kept by you", icon=":material/task_alt:"):
        for kind, findings in kinds.items():
            words, button = st.columns([5, 2], vertical_alignment="center")
            words.markdown(f"{KINDS[kind].title} · {len(findings):,}")
            if button.button("Show again", key=f"restore-{kind}"):
                keys = [key for finding in findings for key in finding.keys]
                restore(state.name, keys, kind, settings)
                st.rerun()
