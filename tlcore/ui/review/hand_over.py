"""What can be given to others of a run: a report, the network itself, the run as a script."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from tlcore.evaluation.bundle.check import Check, read_checks
from tlcore.evaluation.bundle.formats import FORMATS
from tlcore.percentages import points
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training.run import Run, RunInfo
from tlcore.ui.review.making import Thing, made_here
from tlcore.ui.services import inference
from tlcore.ui.words import plain

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
SCRIPTS = {".py": ("Script", "text/x-python"), ".ipynb": ("Notebook", "application/x-ipynb+json")}


def hand_over(run: Run, settings: Settings) -> None:
    """Draw the three things to hand over of a run with a network."""
    with st.container(border=True):
        st.markdown("**Report** – for whoever asked for it")
        st.caption(
            "All about this run in one HTML file: numbers with their doubt, the pictures it gets "
            "wrong, limits. It opens without a network and prints on A4."
        )
        made_here(REPORT, run.info, settings, _nothing)
    with st.container(border=True):
        st.markdown("**Bundle** – for whoever builds it in")
        st.caption(
            "The network for Keras, TensorFlow, phones: bytes of a picture in, named probabilities "
            "out, with a program that answers for picture files. Each format is compared with "
            "this page's answers before it is in it."
        )
        made_here(BUNDLE, run.info, settings, _formats)
    with st.container(border=True):
        st.markdown("**Script** – for whoever wants to see how it is done")
        st.caption(
            "This run as plain Keras, without this dashboard: the same pictures, the same order, "
            "the same figures."
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
            "Greatest difference": "–" if each.greatest is None else points(each.greatest),
            "Same class": f"{each.agreed} of {each.pictures}" if each.pictures else "–",
            "For": FORMATS[each.format].use,
        }
        for each in checks
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="bundle-formats")
    st.caption(
        "The greatest difference of a probability from this page's own, and in how many pictures "
        "both name the same class."
    )
    for each in checks:
        title = FORMATS[each.format].title
        if not each.offered:
            st.warning(f"{title} is not in it. {plain(each.fault)}", icon=":material/warning:")
        elif each.differs:
            st.warning(f"{title}: {each.words}", icon=":material/difference:")


@st.cache_data(show_spinner=False, max_entries=50)
def _checks(bundle: str, changed: int) -> list[Check]:
    return read_checks(Path(bundle))


def _scripts(info: RunInfo, settings: Settings) -> None:
    if info.val_accuracy is None:
        st.caption("It was stopped before its first epoch was over, so there is nothing to repeat.")
        return
    worker = inference(settings)  # now: a download is answered outside of the page's own thread
    with st.container(horizontal=True):
        for ending, (words, mime) in SCRIPTS.items():
            st.download_button(
                words,
                partial(worker.ask, "tlcore.inference.handing:script", info.id, ending),
                f"{info.id}{ending}",
                mime,
                key=f"take{ending}",
                icon=":material/download:",
                on_click="ignore",
            )
