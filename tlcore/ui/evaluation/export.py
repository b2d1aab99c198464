"""Something that a process of its own makes of a run: asked for, watched, taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from tlcore.exports.bundle_check import FORMATS, FormatCheck, read_checks
from tlcore.exports.script import pack_scripts
from tlcore.jobs import FAILED, read_job, start_job
from tlcore.percentages import points
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training.run import Run, RunInfo
from tlcore.ui.format import plain
from tlcore.ui.shell import boundary


@dataclass(frozen=True)
class Thing:
    """One kind of file that is made of a run."""

    command: str  # of "runs" on the command line
    file: str  # in the run's folder
    make: str  # on the button that makes it
    take: str  # on the button that downloads it
    mime: str
    wait: str  # how long it takes, in words


def made_here(
    thing: Thing, info: RunInfo, settings: Settings, about: Callable[[Path], None]
) -> None:
    """A button that makes the thing, its progress, and the thing itself once it is there.

    Args:
        thing: what is made.
        info: the run.
        settings: where it lies.
        about: draws what is worth knowing of the file, below its download.
    """
    job = read_job(_job_folder(thing, info, settings))
    active = job is not None and job.is_running
    every = 1.0 if active else None
    st.fragment(_draw, run_every=every)(thing, info, settings, about, was_active=active)


def _draw(
    thing: Thing,
    info: RunInfo,
    settings: Settings,
    about: Callable[[Path], None],
    *,
    was_active: bool,
) -> None:
    with boundary():
        job = read_job(_job_folder(thing, info, settings))
        is_running = job is not None and job.is_running
        if is_running != was_active:
            st.rerun()
        if job is not None and is_running:
            st.progress(job.fraction, text=f"{job.message} …")
            return
        if job is not None and job.status == FAILED:
            st.error(plain(job.message), icon=":material/error:")
        target = info.folder / thing.file
        here = _is_fresh(target, info)
        with st.container(horizontal=True, vertical_alignment="center"):
            if here:
                _take(thing, target, info)
            again = "Make it again" if here else thing.make
            if st.button(
                again,
                key=f"make-{thing.command}",
                type="tertiary" if here else "secondary",
                help=thing.wait,
            ):
                _start(thing, info, settings)
                st.rerun()
        if here:
            about(target)


def _take(thing: Thing, target: Path, info: RunInfo) -> None:
    st.download_button(
        f"{thing.take} ({file_size(target.stat().st_size)})",
        target.read_bytes,  # read when it is clicked, not each time the page is drawn
        f"{info.id}-{thing.file}",
        thing.mime,
        key=f"take-{thing.command}",
        icon=":material/download:",
        type="primary",
        on_click="ignore",
    )


def _start(thing: Thing, info: RunInfo, settings: Settings) -> None:
    arguments = ["runs", thing.command, info.id, str(info.folder / thing.file)]
    start_job(_job_folder(thing, info, settings), arguments, settings)


def _is_fresh(target: Path, info: RunInfo) -> bool:
    """Whether the file is there and was made of the network as it is now."""
    return (
        target.exists()
        and info.model is not None
        and target.stat().st_mtime_ns >= info.model.stat().st_mtime_ns
    )


def _job_folder(thing: Thing, info: RunInfo, settings: Settings) -> Path:
    return settings.jobs / f"{info.id}-{thing.command}"


# What can be given to others of a run: a report, the network itself, the run as a script.


REPORT = Thing(
    "report",
    "report.html",
    "Write the report",
    "Download the report",
    "text/html",
    "About half a minute; you can go on meanwhile.",
)
BUNDLE = Thing(
    "export",
    "bundle.zip",
    "Make the bundle",
    "Download the bundle",
    "application/zip",
    "A minute or two, in a process of its own; you can go on meanwhile.",
)


def export_view(run: Run, settings: Settings) -> None:
    """Draw the three things to hand over of a run with a network."""
    with st.container(border=True):
        st.markdown("**Report** – for whoever asked for it")
        st.caption(
            "All about this run in one HTML file: numbers with their doubt, the images it gets "
            "wrong, limits. It opens without a network and prints on A4."
        )
        made_here(REPORT, run.info, settings, _nothing)
    with st.container(border=True):
        st.markdown("**Bundle** – for whoever builds it in")
        st.caption(
            "The network for Keras, TensorFlow, phones: bytes of an image in, named probabilities "
            "out, with a program that answers for image files. Each format is compared with "
            "this page's answers before it is in it."
        )
        made_here(BUNDLE, run.info, settings, _formats)
    with st.container(border=True):
        st.markdown("**Script** – for whoever wants to see how it is done")
        st.caption(
            "This run as plain Keras, without this dashboard: the same recipe on the same "
            "split, as a script and as a notebook."
        )
        _scripts(run.info, settings)


def _nothing(file: Path) -> None:
    """A report speaks for itself."""


def _formats(bundle: Path) -> None:
    checks = _checks(str(bundle), bundle.stat().st_mtime_ns)
    rows = [
        {
            "Format": FORMATS[each.format].title,
            "Size": file_size(each.bytes) if each.bytes else "–",
            "Greatest difference": "–"
            if each.max_difference is None
            else points(each.max_difference),
            "Same class": f"{each.same_class} of {each.images}" if each.images else "–",
            "For": FORMATS[each.format].use,
        }
        for each in checks
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="bundle-formats")
    st.caption(
        "The greatest difference of a probability from this page's own, and in how many images "
        "both name the same class."
    )
    for each in checks:
        title = FORMATS[each.format].title
        if not each.included:
            st.warning(f"{title} is not in it. {plain(each.error)}", icon=":material/warning:")
        elif each.differs:
            st.warning(f"{title}: {each.text}", icon=":material/difference:")


@st.cache_data(show_spinner=False, max_entries=50)
def _checks(bundle: str, changed: int) -> list[FormatCheck]:
    return read_checks(Path(bundle))


def _scripts(info: RunInfo, settings: Settings) -> None:
    if info.val_accuracy is None:
        st.caption("It was stopped before its first epoch was over, so there is nothing to repeat.")
        return
    st.download_button(
        "Script and notebook",
        partial(pack_scripts, info.id, settings),  # made when it is clicked
        f"{info.id}-script.zip",
        "application/zip",
        key="take-script",
        icon=":material/download:",
        on_click="ignore",
    )
