"""Which weights are here, and how the others come: the list, the offer, the download."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

from tlcore.errors import WeightsDamaged, WeightsMissing
from tlcore.models.catalog import Backbone
from tlcore.models.weights import Download, Ready, read_download, ready, write_download
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.ui.format import count, plain
from tlcore.ui.services import processes
from tlcore.ui.shell import boundary
from tlcore.ui.state import set_flag
from tlcore.ui.widgets import distinct

_ENDED = "The download ended without a word. Look whether the disk is full, then try it again."
AGAIN = "Download again"
SILENT = 60.0  # s without a sign after which a download that we did not start counts as ended


def weights_overview(settings: Settings) -> None:
    """Say which backbones can be used at once; the others are folded away."""
    rows = ready(settings)
    here = [row for row in rows if row.top and row.no_top]
    missing = [row for row in rows if row not in here]
    for row in (row for row in rows if row.damage):
        damaged_weights(row.backbone, row.damage, settings)
    with st.container(horizontal=True, gap="xsmall"):
        for row in here:
            note = next((f.note for f in (row.top, row.no_top) if f and f.note), "")
            st.badge(row.backbone.name, color="blue", icon=":material/check:", help=note or None)
        if not here:
            st.caption("None is on this machine yet. Fetch one below, or try random weights.")
    if missing:
        with st.expander(f"{count(len(missing), 'more backbone')} to download"):
            _fetch_one(missing, settings)


def damaged_weights(row: Backbone, damage: Sequence[str], settings: Settings) -> None:
    """Name the files of a backbone that are not whole, and offer to download them again."""
    files = "  \n".join(f":small[{plain(words)}]" for words in damage)
    st.warning(f"**The weights of {row.name} are damaged.**  \n{files}", icon=":material/error:")
    download_button(row, settings, key="damaged", words=AGAIN)


def _fetch_one(missing: list[Ready], settings: Settings) -> None:
    """Let the person choose one to download; those under way are shown as well."""
    rows = {row.backbone.name: row for row in missing}
    name = st.selectbox(
        "Backbone",
        list(rows),
        format_func=distinct(rows, lambda name: _title(rows[name])),
        key="to-download",
        label_visibility="collapsed",
    )
    for row in missing:
        if row.backbone.name == name or _is_active(_state(row.backbone, settings)):
            download_button(row.backbone, settings, key="list")
    st.caption(
        f"Into {plain(str(settings.weights))}; in a terminal: "
        f"`python -m tlcore weights fetch {name}`"
    )


def _title(row: Ready) -> str:
    half = ", half of it is here" if row.top or row.no_top else ""
    half = ", damaged" if row.damage else half
    return f"{row.backbone.name} · {row.backbone.million:.1f} million parameters{half}"


def offer_weights(row: Backbone, missing: WeightsMissing, settings: Settings) -> None:
    """Say which file is missing, and offer to download it or to go on without."""
    is_damaged = isinstance(missing, WeightsDamaged)
    what = "are damaged" if is_damaged else "are not on this machine"
    st.warning(
        f"**The weights of {row.name} {what}.**  \n:small[{plain(str(missing))}]",
        icon=":material/error:" if is_damaged else ":material/cloud_off:",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        download_button(row, settings, key="offer", words=AGAIN if is_damaged else "Download")
        st.button(
            "Go on with random weights",
            key=f"random-{row.name}",
            icon=":material/casino:",
            on_click=set_flag,
            args=(f"random {row.name}",),
        )


def random_badge(row: Backbone, words: str) -> None:
    """Say that the weights are random, and offer the way back to real ones."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(words, color="gray", icon=":material/casino:")
        st.button(
            "Get real ones",
            icon=":material/download:",
            key=f"real-{row.name}",
            type="tertiary",
            on_click=set_flag,
            args=(f"random {row.name}", False),
        )


def download_button(
    row: Backbone, settings: Settings, *, key: str, words: str = "Download"
) -> None:
    """A button that downloads a backbone's weights, and the progress while it does."""
    active = _is_active(_state(row, settings))
    every = 1.0 if active else None
    st.fragment(_download, run_every=every)(row, settings, key=key, words=words, was_active=active)


def _download(row: Backbone, settings: Settings, *, key: str, words: str, was_active: bool) -> None:
    with boundary():
        state = _state(row, settings)
        if _is_active(state) != was_active:
            st.rerun()
        if state and _is_active(state):
            share = min(1.0, state.done / state.total) if state.total else 0.0
            st.progress(share, text=f"{row.name}: {_how_far(state)}")
            return
        if state and state.state == "failed":
            st.caption(f":material/error: {plain(state.error)}")
        if st.button(words, key=f"{key}-{row.name}", icon=":material/download:"):
            start_download(row, settings)
            st.rerun()


def start_download(row: Backbone, settings: Settings) -> None:
    """Fetch both weight files of a backbone in a process of its own."""
    place = _place(row, settings)
    write_download(place, Download("running", 0, None))
    command = ["-m", "tlcore", "weights", "fetch", row.name, "--progress-file", str(place)]
    processes().start(_process(row), [sys.executable, *command], settings)


def _state(row: Backbone, settings: Settings) -> Download | None:
    """How far a download is; one whose process has gone without a word has failed."""
    place = _place(row, settings)
    gone = processes().has_ended(_process(row))  # first: it writes its last word before it goes
    state = read_download(place)
    if state is None or state.state != "running":
        return state
    silent = not processes().works(_process(row)) and time.time() - place.stat().st_mtime > SILENT
    if gone or silent:
        return replace(state, state="failed", error=_ENDED)
    return state


def _how_far(state: Download) -> str:
    if not state.done:
        return "connecting …"
    return file_size(state.done) + (f" of {file_size(state.total)}" if state.total else "")


def _is_active(state: Download | None) -> bool:
    return state is not None and state.state == "running"


def _place(row: Backbone, settings: Settings) -> Path:
    return settings.downloads / f"{row.name}.json"


def _process(row: Backbone) -> str:
    return f"weights {row.name}"
