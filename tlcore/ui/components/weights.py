"""Pretrained weights: which are on this machine, and downloading the others."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from tlcore.errors import WeightsDamaged, WeightsMissing
from tlcore.jobs import FAILED, Job, cancel_job, read_job, start_job
from tlcore.models.catalog import Backbone
from tlcore.models.weights import BackboneWeights, list_weights, weights_url
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.ui.components.live import live
from tlcore.ui.format import escape_md, plural
from tlcore.ui.state import use_random
from tlcore.ui.widgets import unique_labels

AGAIN = "Download again"


def weights_overview(settings: Settings) -> None:
    """Show which backbones can be used at once; the others are folded away."""
    rows = list_weights(settings)
    complete = [row for row in rows if row.top and row.no_top]
    others = [row for row in rows if row not in complete]
    for row in rows:
        if row.damage:
            files = "  \n".join(f":small[{escape_md(words)}]" for words in row.damage)
            st.warning(
                f"**The weights of {row.backbone.name} are damaged.**  \n{files}",
                icon=":material/error:",
            )
            _download(row.backbone, settings, key="damaged", label=AGAIN)
    with st.container(horizontal=True, gap="xsmall"):
        for row in complete:
            note = next((file.note for file in (row.top, row.no_top) if file and file.note), None)
            st.badge(row.backbone.name, color="gray", icon=":material/check:", help=note)
        if not complete:
            st.caption("None yet. Download some below, or use random weights.")
    if others:
        title = f"{plural(len(others), 'more backbone')} to download"
        box = st.expander(title, key="more-backbones", on_change="rerun")
        if box.open:
            with box:
                _choose_download(others, settings)


def offer_weights(row: Backbone, missing: WeightsMissing, settings: Settings) -> None:
    """Say which file is missing, and offer to download it or to go on without."""
    is_damaged = isinstance(missing, WeightsDamaged)
    what = "are damaged" if is_damaged else "are not on this machine"
    words = escape_md(str(missing))
    if not is_damaged:
        words = f"In a terminal: `python -m tlcore weights fetch {row.name}`"
    st.warning(
        f"**The weights of {row.name} {what}.**  \n:small[{words}]",
        icon=":material/error:" if is_damaged else ":material/cloud_off:",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        _download(row, settings, key="offer", label=AGAIN if is_damaged else "Download")
        st.button(
            "Go on with random weights",
            key=f"random-{row.name}",
            icon=":material/casino:",
            on_click=use_random,
            args=(row.name,),
        )
    _explain_offline(row, settings)


def _explain_offline(row: Backbone, settings: Settings) -> None:
    """Say which files to bring where there is no internet, with a button that copies them."""
    with st.expander("No internet?", icon=":material/wifi_off:"):
        st.markdown(f"Put these two files into `{settings.weights}`:")
        addresses = [weights_url(row, row.size, settings, top=top) for top in (True, False)]
        st.code("\n".join(addresses), language=None, wrap_lines=True)


def random_badge(row: Backbone, words: str) -> None:
    """Say that the weights are random, and offer the way back to pretrained ones."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(words, color="gray", icon=":material/casino:")
        st.button(
            "Use pretrained weights",
            icon=":material/download:",
            key=f"pretrained-{row.name}",
            type="tertiary",
            on_click=use_random,
            args=(row.name, False),
        )


def _choose_download(others: list[BackboneWeights], settings: Settings) -> None:
    """Let the person choose one to download; those under way are shown as well."""

    def title(name: str) -> str:
        row = rows[name]
        state = ", half of it is here" if row.top or row.no_top else ""
        state = ", damaged" if row.damage else state
        return f"{name} · {row.backbone.million:.1f} million parameters{state}"

    rows = {row.backbone.name: row for row in others}
    name = st.selectbox(
        "Backbone",
        list(rows),
        format_func=unique_labels(rows, title),
        key="to-download",
        label_visibility="collapsed",
    )
    for row in others:
        if row.backbone.name == name or _running_job(row.backbone, settings):
            _download(row.backbone, settings, key="list")
    st.caption(
        f"Into {escape_md(str(settings.weights))}; in a terminal: "
        f"`python -m tlcore weights fetch {name}`"
    )


def _download(row: Backbone, settings: Settings, *, key: str, label: str = "Download") -> None:
    """The button that starts a download, how far it is, and why it failed; live while it runs."""
    folder = _job_folder(row, settings)

    def draw() -> None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if job := _running_job(row, settings):
                far = file_size(job.done) if job.done else "connecting …"
                far += f" of {file_size(job.total)}" if job.done and job.total else ""
                st.progress(job.fraction, text=f"{row.name}: {far}", width=320)
                st.button("Cancel", key=f"cancel-{button}", on_click=cancel_job, args=(folder,))
            elif st.button(label, key=button, icon=":material/download:"):
                start_job(folder, ["weights", "fetch", row.name], settings)
                st.rerun()
        last = read_job(folder)
        if last is not None and last.status == FAILED:
            st.error(escape_md(last.message), icon=":material/error:")

    button = f"{key}-{row.name}"
    live(lambda: _running_job(row, settings) is not None, draw)


def _running_job(row: Backbone, settings: Settings) -> Job | None:
    job = read_job(_job_folder(row, settings))
    return job if job is not None and job.is_running else None


def _job_folder(row: Backbone, settings: Settings) -> Path:
    return settings.jobs / f"weights-{row.name}"
