"""Exports of a run: each format is made by a job and then downloaded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from tlcore.exports import EXPORT_FORMATS, ExportFormat
from tlcore.exports.bundle_check import FORMATS, FormatCheck, read_checks
from tlcore.exports.script import pack_scripts
from tlcore.jobs import FAILED, cancel_job, read_job, start_job
from tlcore.percentages import points
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training.run import Run, RunInfo, name_file
from tlcore.ui.components.image_picker import forget_image
from tlcore.ui.components.live import live
from tlcore.ui.format import escape_md
from tlcore.ui.services import inference
from tlcore.ui.shell import COMPARE, FEATURE_MAPS

# Suffix of a format that a job makes → its file in the run's folder.
FILES = {".html": "report.html", ".zip": "bundle.zip"}
MODEL = "export.keras"  # written when it is first downloaded


def export_view(run: Run, settings: Settings) -> None:
    """Draw everything that can be exported of a run with a model, the model first."""
    keras = EXPORT_FORMATS[".keras"]
    with st.container(border=True):
        st.markdown(f"**{keras.title}**")
        st.caption(keras.purpose)
        model_button(run.info, settings)
    for suffix in FILES:
        export = EXPORT_FORMATS[suffix]
        with st.container(border=True):
            st.markdown(f"**{export.title}**")
            st.caption(export.purpose)
            target = _draw_export(export, run.info, settings)
            if suffix == ".zip" and _is_current(target, run.info):
                _draw_formats(_checks(str(target), target.stat().st_mtime_ns))
    with st.container(border=True):
        st.markdown("**Script and notebook**")
        st.caption("The run in plain Keras: the same recipe on the same splits.")
        if run.info.val_accuracy is None:
            st.caption("The run was stopped before its first epoch ended: nothing can be repeated.")
            return
        st.download_button(
            "Download script and notebook",
            partial(pack_scripts, run.info.id, settings),  # made when it is clicked
            name_file(run.info, "script.zip"),
            "application/zip",
            key="download-script",
            icon=":material/download:",
            on_click="ignore",
        )


def summary_actions(info: RunInfo, settings: Settings) -> None:
    """Draw the next steps of a finished run: Compare first, then its files."""
    address = {"run": info.id, "dataset": info.config.dataset}
    with st.container(horizontal=True, vertical_alignment="center", key="next-steps"):
        if st.button("See it in Compare", type="primary", icon=COMPARE.icon, key="open-compare"):
            forget_image()  # an image chosen before may have become a training image
            st.switch_page(COMPARE.file, query_params=address)
        model_button(info, settings)
        _draw_export(EXPORT_FORMATS[".html"], info, settings)
        st.page_link(
            FEATURE_MAPS.file,
            label=FEATURE_MAPS.name,
            icon=FEATURE_MAPS.icon,
            query_params=address | {"network": "head"},
        )


def model_button(info: RunInfo, settings: Settings, **options: Any) -> None:
    """Draw the button with which a model is downloaded at once, as one .keras file."""
    st.download_button(
        "Download model",
        partial(_read_model, info, settings),
        name_file(info, "model.keras"),
        icon=":material/download:",
        on_click="ignore",
        help=f"{EXPORT_FORMATS['.keras'].purpose} It is written at the first click, in seconds.",
        **{"key": "download-model"} | options,
    )


def _read_model(info: RunInfo, settings: Settings) -> bytes:
    target = info.folder / MODEL
    if not _is_current(target, info):
        inference(settings).ask("tlcore.exports:export", info.id, target)
    return target.read_bytes()


def _draw_export(export: ExportFormat, info: RunInfo, settings: Settings) -> Path:
    """Draw the button that makes a file, its progress and its download; live while it is made.

    Returns:
        The path of the file.
    """
    suffix, target = export.suffix, info.folder / FILES[export.suffix]
    folder = settings.jobs / f"{info.id}-{suffix[1:]}"
    name = export.title.lower()

    def is_running() -> bool:
        job = read_job(folder)
        return job is not None and job.is_running

    def draw() -> None:
        job, is_current = read_job(folder), _is_current(target, info)
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            if job is not None and job.is_running:
                st.progress(job.fraction, text=f"{job.message} …", width=260)
                st.button("Cancel", key=f"cancel{suffix}", on_click=cancel_job, args=(folder,))
                return
            if is_current:
                st.download_button(
                    f"Download {name} ({file_size(target.stat().st_size)})",
                    target.read_bytes,  # read when it is clicked, not each time it is drawn
                    name_file(info, target.name),
                    export.mime,
                    key=f"download{suffix}",
                    icon=":material/download:",
                    on_click="ignore",
                )
            if st.button(
                f"{'Update' if is_current else 'Create'} {name}",
                key=f"make{suffix}",
                type="tertiary" if is_current else "secondary",
                help=f"{export.purpose} Takes {export.duration}; you can go on meanwhile.",
            ):
                start_job(folder, ["runs", "export", info.id, str(target)], settings)
                st.rerun()
        if job is not None and job.status == FAILED:
            st.error(escape_md(job.message), icon=":material/error:")

    live(is_running, draw)
    return target


def _is_current(target: Path, info: RunInfo) -> bool:
    """Whether the file is there and was made of the model as it is now."""
    return (
        target.exists()
        and info.model is not None
        and target.stat().st_mtime_ns >= info.model.stat().st_mtime_ns
    )


@st.cache_data(show_spinner=False, max_entries=50)
def _checks(bundle: str, changed: int) -> list[FormatCheck]:
    return read_checks(Path(bundle))


def _draw_formats(checks: list[FormatCheck]) -> None:
    """Say how each format inside a bundle differs from this page's predictions."""
    rows = []
    for check in checks:
        largest = "" if check.max_difference is None else points(check.max_difference)
        same = f"{check.same_class} of {check.images}" if check.images else ""
        size, row = file_size(check.bytes) if check.bytes else "", FORMATS[check.format]
        rows.append((row.title, size, largest, same, row.use))
    columns = ["Format", "Size", "Largest difference", "Same class", "For"]
    st.dataframe(pd.DataFrame(rows, columns=columns), hide_index=True, key="bundle-formats")
    st.caption(
        "The largest difference of a probability from this page's own, and for how many images "
        "both predict the same class."
    )
    for check in checks:
        title = FORMATS[check.format].title
        if not check.included:
            words = f"{title} is not included. {escape_md(check.error)}"
            st.warning(words, icon=":material/warning:")
        elif check.differs:
            st.warning(f"{title}: {check.text}", icon=":material/difference:")
