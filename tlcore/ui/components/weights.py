"""Pretrained weights: which are on this machine, and downloading the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from tlcore.errors import WeightsDamaged, WeightsMissing
from tlcore.jobs import Job
from tlcore.models.catalog import Backbone
from tlcore.models.weights import BackboneWeights, list_weights
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.ui.components.job_view import JobButton, is_running, job_view
from tlcore.ui.format import escape_md, plural
from tlcore.ui.state import set_flag
from tlcore.ui.widgets import unique_labels

AGAIN = "Download again"


def weights_overview(settings: Settings) -> None:
    """Show which backbones can be used at once; the others are folded away."""
    rows = list_weights(settings)
    complete = [row for row in rows if row.top and row.no_top]
    others = [row for row in rows if row not in complete]
    for row in rows:
        if row.damage:
            _damaged(row.backbone, row.damage, settings)
    with st.container(horizontal=True, gap="xsmall"):
        for row in complete:
            note = next((file.note for file in (row.top, row.no_top) if file and file.note), None)
            st.badge(row.backbone.name, color="gray", icon=":material/check:", help=note)
        if not complete:
            st.caption("None yet. Download some below, or use random weights.")
    if others:
        with st.expander(f"{plural(len(others), 'more backbone')} to download"):
            _choose_download(others, settings)


def offer_weights(row: Backbone, missing: WeightsMissing, settings: Settings) -> None:
    """Say which file is missing, and offer to download it or to go on without."""
    is_damaged = isinstance(missing, WeightsDamaged)
    what = "are damaged" if is_damaged else "are not on this machine"
    st.warning(
        f"**The weights of {row.name} {what}.**  \n:small[{escape_md(str(missing))}]",
        icon=":material/error:" if is_damaged else ":material/cloud_off:",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        _download(row, settings, key="offer", label=AGAIN if is_damaged else "Download")
        st.button(
            "Go on with random weights",
            key=f"random-{row.name}",
            icon=":material/casino:",
            on_click=set_flag,
            args=(f"random {row.name}",),
        )


def random_badge(row: Backbone, words: str) -> None:
    """Say that the weights are random, and offer the way back to pretrained ones."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(words, color="gray", icon=":material/casino:")
        st.button(
            "Use pretrained weights",
            icon=":material/download:",
            key=f"pretrained-{row.name}",
            type="tertiary",
            on_click=set_flag,
            args=(f"random {row.name}", False),
        )


def _damaged(row: Backbone, damage: Sequence[str], settings: Settings) -> None:
    """Name the damaged files of a backbone, and offer to download them again."""
    files = "  \n".join(f":small[{escape_md(words)}]" for words in damage)
    st.warning(f"**The weights of {row.name} are damaged.**  \n{files}", icon=":material/error:")
    _download(row, settings, key="damaged", label=AGAIN)


def _choose_download(others: list[BackboneWeights], settings: Settings) -> None:
    """Let the person choose one to download; those under way are shown as well."""
    rows = {row.backbone.name: row for row in others}
    name = st.selectbox(
        "Backbone",
        list(rows),
        format_func=unique_labels(rows, lambda name: _title(rows[name])),
        key="to-download",
        label_visibility="collapsed",
    )
    for row in others:
        if row.backbone.name == name or is_running(_job_folder(row.backbone, settings)):
            _download(row.backbone, settings, key="list")
    st.caption(
        f"Into {escape_md(str(settings.weights))}; in a terminal: "
        f"`python -m tlcore weights fetch {name}`"
    )


def _title(row: BackboneWeights) -> str:
    state = ", half of it is here" if row.top or row.no_top else ""
    state = ", damaged" if row.damage else state
    return f"{row.backbone.name} · {row.backbone.million:.1f} million parameters{state}"


def _download(row: Backbone, settings: Settings, *, key: str, label: str = "Download") -> None:
    button = JobButton(
        _job_folder(row, settings),
        ["weights", "fetch", row.name],
        label,
        f"{key}-{row.name}",
        icon=":material/download:",
        describe=lambda job: f"{row.name}: {_describe(job)}",
    )
    job_view(button, settings)


def _describe(job: Job) -> str:
    if not job.done:
        return "connecting …"
    return file_size(job.done) + (f" of {file_size(job.total)}" if job.total else "")


def _job_folder(row: Backbone, settings: Settings) -> Path:
    return settings.jobs / f"weights-{row.name}"
