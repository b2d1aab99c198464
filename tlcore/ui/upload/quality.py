"""Problems of a dataset: a card for each kind with its consequence, and one click to fix it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from tlcore.datasets import edits
from tlcore.datasets.quality import (
    DECIDE,
    HANDLED,
    KINDS,
    LEFT_OUT,
    MISSING,
    NAMES,
    RECORDING,
    SHORTCUT,
    DatasetWarning,
    Finding,
    FindingKind,
    QualityReport,
    SmallClass,
)
from tlcore.datasets.quality_scan import load_quality, scan_quality
from tlcore.datasets.splits import divide_again
from tlcore.datasets.store import DatasetState
from tlcore.settings import Settings
from tlcore.ui.components.image_grid import thumbnails
from tlcore.ui.components.live import live
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.upload.overview import edit_button
from tlcore.ui.widgets import unique_labels

WARNINGS = {
    NAMES: "Classes of nearly the same name",
    MISSING: "A class is missing in a split",
    SHORTCUT: "The label can be read without looking at the image",
}
PROBLEMS = "problems"  # name of the view
PAGE = 6  # findings at once
TOGETHER = 4  # images of one finding that are shown
THUMBNAILS = 8  # on a card
LISTED = 3  # findings named on a card
SMALLEST = 5  # classes with too few images that are described
NAMED = 200  # files that are listed by name
SLICE = 0.7  # s of scanning between two answers to the person


def count_problems(name: str, settings: Settings) -> int:
    """Return how many findings and small classes of a dataset a person should decide about."""
    report = load_quality(name, settings)
    classes = len(report.small_classes) + len(report.warnings)
    return sum(map(len, _of_level(report, DECIDE).values())) + classes


def problems_view(state: DatasetState, settings: Settings) -> None:
    """Show what is wrong with a dataset and fix it; images not scanned yet are scanned."""
    report = load_quality(state.name, settings)
    live(
        lambda: load_quality(state.name, settings).unscanned > 0,
        lambda: _scan(state.name, settings),
        every=0.2,
    )
    problems = _of_level(report, DECIDE)
    if not (problems or report.small_classes or report.warnings or report.unscanned):
        st.success(
            "**Nothing here needs a decision.** All of the "
            f"{plural(report.images, 'image')} were decoded and checked.",
            icon=":material/task_alt:",
        )
    if report.small_classes:
        _draw_small_classes(report.small_classes)
    for place, warning in enumerate(report.warnings):
        _draw_warning(f"warning-{place}", warning, state, settings)
    for kind, findings in problems.items():
        _card(KINDS[kind], findings, state, settings)
    _list_findings("left out on import", "file", LEFT_OUT, report, state, settings)
    _list_findings("corrected on reading", "image", HANDLED, report, state, settings)
    _list_dismissed(report, state, settings)


def _draw_small_classes(classes: Sequence[SmallClass]) -> None:
    """Say of the first, the smallest, classes what to do; of many, list all of them folded."""
    rows = [f"- **{escape_md(label(c.label))}**: {c.message}" for c in classes[:SMALLEST]]
    number = plural(len(classes), "class", "classes")
    with st.container(border=True, key="small-classes"):
        st.markdown("\n".join([f"**Too few images** · {number}\n", *rows]))
        if len(classes) > SMALLEST:
            with st.expander(f"All {number}"):
                table = [(label(each.label), each.images, each.recommended) for each in classes]
                columns = ["Class", "Images", "Recommended"]
                st.dataframe(pd.DataFrame(table, columns=columns), hide_index=True)


def _draw_warning(
    key: str, warning: DatasetWarning, state: DatasetState, settings: Settings
) -> None:
    """Something about the classes, with the click that mends it where there is one."""
    with st.container(border=True, key=key):
        st.markdown(f"**{WARNINGS[warning.kind]}**  \n{escape_md(warning.message)}")
        if warning.kind == NAMES:
            new = " ".join(warning.labels[0].split())
            merge = (edits.merge_classes, state.name, warning.labels, new, settings)
            edit_button(f"Merge into {escape_md(new)}", *merge, type="primary", key=f"fix-{key}")
        elif warning.kind == MISSING:
            edit_button("Split again", divide_again, state.name, settings, key=f"fix-{key}")


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


def _card(
    kind: FindingKind, findings: Sequence[Finding], state: DatasetState, settings: Settings
) -> None:
    """Findings of one kind with their consequence: what can be done with all, and with each."""
    with st.container(border=True, key=f"kind-{kind.name}"):
        words, images = st.columns([6, 5], vertical_alignment="center", gap="medium")
        with images:
            _thumbnails(findings, state, settings, key=f"card-{kind.name}", size=96)
        with words:
            st.markdown(f"**{kind.title}** · {len(findings):,}  \n:gray[{kind.consequence}]")
            names = [escape_md(" = ".join(finding.files[:3])) for finding in findings[:LISTED]]
            more = f" and {len(findings) - LISTED:,} more" if len(findings) > LISTED else ""
            st.caption(", ".join(names) + more)
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _actions(kind, findings, state, settings)
                singly = st.toggle("One by one", key=f"single-{kind.name}")
        if singly:
            pages = -(-len(findings) // PAGE)
            page = st.pagination(pages, key=f"single-page-{kind.name}") if pages > 1 else 1
            for place, finding in enumerate(findings[(page - 1) * PAGE : page * PAGE]):
                _row(f"{kind.name}-{place}", kind, finding, state, settings)


def _thumbnails(
    findings: Sequence[Finding], state: DatasetState, settings: Settings, *, key: str, size: int
) -> None:
    keys = [key for finding in findings for key in finding.keys][:THUMBNAILS]
    if keys:
        thumbnails([state.by_key[key] for key in keys], settings, key=key, size=size)


def _actions(
    kind: FindingKind, findings: Sequence[Finding], state: DatasetState, settings: Settings
) -> None:
    keys = [key for finding in findings for key in finding.keys]
    excludes = [key for finding in findings for key in finding.excludes]
    if excludes:
        words = f"{kind.fix or 'Exclude them'} ({len(excludes):,})"
        edit_button(words, edits.exclude, state.name, excludes, settings, key=f"fix-{kind.name}")
    if kind.name == RECORDING:
        edit_button(kind.fix, divide_again, state.name, settings, key=f"fix-{kind.name}")
    if keys:
        keep = (edits.dismiss, state.name, keys, kind.name, settings)
        edit_button("Keep all", *keep, key=f"keep-{kind.name}")


def _row(
    place: str, kind: FindingKind, finding: Finding, state: DatasetState, settings: Settings
) -> None:
    """One finding by itself."""
    images, words, buttons = st.columns([3, 5, 4], vertical_alignment="center")
    samples = [state.by_key[key] for key in finding.keys[:TOGETHER]]
    with images:
        thumbnails(samples, settings, key=f"one-{place}", size=72)
    names = [f"{escape_md(each.file)} :gray[{escape_md(label(each.label))}]" for each in samples]
    words.markdown("  \n".join([*names, f":gray[{escape_md(finding.details)}]"]))
    name, keys = state.name, finding.keys
    with buttons, st.container(horizontal=True, gap="small"):
        if kind.name == "two-labels":
            for kept in dict.fromkeys(state.by_key[key].label for key in keys):
                others = [key for key in keys if state.by_key[key].label != kept]
                keep_one, title = (edits.exclude, name, others, settings), escape_md(label(kept))
                edit_button(f"Keep {title}", *keep_one, key=f"one-of-two-{place}-{kept}")
        if finding.excludes:
            exclude = (edits.exclude, name, finding.excludes, settings)
            edit_button("Exclude", *exclude, key=f"one-exclude-{place}")
        keep = (edits.dismiss, name, keys, kind.name, settings)
        edit_button("Keep", *keep, key=f"one-keep-{place}")
        with st.popover("Relabel"):
            new = st.selectbox(
                "Class",
                list(state.counts),
                key=f"one-label-{place}",
                format_func=unique_labels(state.counts, label),
                accept_new_options=True,
            )
            relabel = (edits.relabel, name, keys, str(new).strip(), settings)
            edit_button("Relabel", *relabel, key=f"one-relabel-{place}", disabled=not new)


def _list_findings(
    what: str, noun: str, level: str, report: QualityReport, state: DatasetState, settings: Settings
) -> None:
    """Findings that need no decision, folded away."""
    kinds = _of_level(report, level)
    if not kinds:
        return
    title = f"{plural(sum(map(len, kinds.values())), noun)} {what}"
    with st.expander(title, icon=":material/info:"):
        for name, findings in kinds.items():
            kind = KINDS[name]
            st.markdown(f"**{kind.title}** · {len(findings):,}  \n:gray[{kind.consequence}]")
            _thumbnails(findings, state, settings, key=f"card-{name}", size=64)
            rows = [
                f"- {escape_md(finding.files[0])}  \n  :gray[{escape_md(finding.details)}]"
                for finding in findings[:NAMED]
            ]
            st.markdown("\n".join(rows))
            with st.container(horizontal=True, gap="small"):
                _actions(kind, findings, state, settings)


def _list_dismissed(report: QualityReport, state: DatasetState, settings: Settings) -> None:
    """Findings that the person has kept, folded away; they can be shown again."""
    kinds = {
        kind: [finding for finding in findings if finding.dismissed]
        for kind, findings in report.by_kind.items()
    }
    number = sum(map(len, kinds.values()))
    if not number:
        return
    with st.expander(f"{plural(number, 'finding')} kept by you", icon=":material/task_alt:"):
        for kind, findings in kinds.items():
            if not findings:
                continue
            words, button = st.columns([5, 2], vertical_alignment="center")
            words.markdown(f"{KINDS[kind].title} · {len(findings):,}")
            keys = [key for finding in findings for key in finding.keys]
            with button:
                show = (edits.restore, state.name, keys, kind, settings)
                edit_button("Show again", *show, key=f"restore-{kind}")
