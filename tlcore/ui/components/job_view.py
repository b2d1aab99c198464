"""A background job on a page: the button that starts it, its progress, its result or its error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from tlcore.jobs import FAILED, Job, cancel_job, read_job, start_job
from tlcore.settings import Settings
from tlcore.ui.components.live import live
from tlcore.ui.format import escape_md


def describe_progress(job: Job) -> str:
    """Return what a running job is doing."""
    return f"{job.message} …"


@dataclass(frozen=True)
class JobButton:
    """What a page shows of a job."""

    folder: Path  # of the job
    arguments: Sequence[str]  # of ``python -m tlcore``
    label: str  # of the button that starts it
    key: str  # of the button; unique on the page
    help: str = ""  # on hover, such as how long it takes
    icon: str | None = None
    is_primary: bool = False
    describe: Callable[[Job], str] = field(default=describe_progress)  # beside the bar


def job_view(
    button: JobButton, settings: Settings, draw_result: Callable[[], None] | None = None
) -> None:
    """Draw a job; live while it runs, and the page once more when it has ended.

    Args:
        button: which job, and how it is started.
        settings: the job gets the same.
        draw_result: draws the result of an earlier run of the job before the button, if there is
            one.
    """
    live(lambda: is_running(button.folder), lambda: _draw(button, settings, draw_result))


def is_running(folder: Path) -> bool:
    """Whether the job of a folder runs."""
    job = read_job(folder)
    return job is not None and job.is_running


def _draw(button: JobButton, settings: Settings, draw_result: Callable[[], None] | None) -> None:
    job = read_job(button.folder)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if job is not None and job.is_running:
            st.progress(job.fraction, text=button.describe(job), width=320)
            st.button(
                "Cancel", key=f"cancel-{button.key}", on_click=cancel_job, args=(button.folder,)
            )
            return
        if draw_result is not None:
            draw_result()
        if st.button(
            button.label,
            key=button.key,
            type="primary" if button.is_primary else "secondary",
            icon=button.icon,
            help=button.help or None,
        ):
            start_job(button.folder, button.arguments, settings)
            st.rerun()
    if job is not None and job.status == FAILED:
        st.error(escape_md(job.message), icon=":material/error:")
