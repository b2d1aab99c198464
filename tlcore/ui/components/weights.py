"""Which weights are here, and how the others come: the list, the offer, the download."""

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
from tlcore.ui.format import count, plain
from tlcore.ui.state import set_flag
from tlcore.ui.widgets import distinct

AGAIN = "Download again"


def weights_overview(settings: Settings) -> None:
    """Say which backbones can be used at once; the others are folded away."""
    rows = list_weights(settings)
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


def _fetch_one(missing: list[BackboneWeights], settings: Settings) -> None:
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
        if row.backbone.name == name or is_downloading(row.backbone, settings):
            download_button(row.backbone, settings, key="list")
    st.caption(
        f"Into {plain(str(settings.weights))}; in a terminal: "
        f"`python -m tlcore weights fetch {name}`"
    )


def _title(row: BackboneWeights) -> str:
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
    button = JobButton(
        _job_folder(row, settings),
        ["weights", "fetch", row.name],
        words,
        f"{key}-{row.name}",
        icon=":material/download:",
        describe=lambda job: f"{row.name}: {_downloaded(job)}",
    )
    job_view(button, settings)


def is_downloading(row: Backbone, settings: Settings) -> bool:
    """Whether the weight files of a backbone are being fetched."""
    return is_running(_job_folder(row, settings))


def _downloaded(job: Job) -> str:
    if not job.done:
        return "connecting …"
    return file_size(job.done) + (f" of {file_size(job.total)}" if job.total else "")


def _job_folder(row: Backbone, settings: Settings) -> Path:
    return settings.jobs / f"weights-{row.name}"
