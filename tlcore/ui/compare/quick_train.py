"""No head yet: train one right here with one click, and see its answer when it is finished."""

from __future__ import annotations

import streamlit as st

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.sample_dataset import dataset_title
from tlcore.errors import TLCoreError
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.store import load_run, load_run_info
from tlcore.ui.components.live import live
from tlcore.ui.components.run_picker import propose_head
from tlcore.ui.fine_tune.progress import describe_progress
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.services import start_run_once
from tlcore.ui.shell import FINE_TUNE, UPLOAD
from tlcore.ui.state import Choice, choose, chosen

NAMED = 5  # classes


def quick_train(dataset: Dataset, ref: ModelRef | None, settings: Settings) -> None:
    """Offer to train a head on this dataset, or show how far it is."""
    run = chosen(Choice.QUICK_RUN)
    if run:
        _check_end(run, settings)
    run = chosen(Choice.QUICK_RUN)
    if run:
        live(lambda: load_run_info(run, settings).active, lambda: _draw_progress(run, settings))
        return
    with st.container(border=True):
        st.markdown(f"**No head yet for “{escape_md(dataset_title(dataset.name))}”.**")
        if len(dataset.classes) < 2:
            st.markdown("Training needs two classes: label images, or add some of another class.")
        elif ref is None:
            st.markdown("Its answer appears here, on the same scale, once one has been trained.")
        else:
            _offer(dataset, ref, settings)
        st.page_link(FINE_TUNE.file, label="Choose the training options", icon=FINE_TUNE.icon)
        st.page_link(UPLOAD.file, label="Upload your own images first", icon=UPLOAD.icon)


def _offer(dataset: Dataset, ref: ModelRef, settings: Settings) -> None:
    names = ", ".join(label(name) for name in dataset.classes[:NAMED])
    more = " …" if len(dataset.classes) > NAMED else ""
    st.markdown(
        f"It has {plural(len(dataset.samples), 'image')} of {escape_md(names)}{more}. The backbone "
        "stays frozen and only a small head is trained: about half a minute."
    )
    words = f"Train on these {len(dataset.classes)} classes"
    if st.button(words, type="primary", icon=":material/school:", key="quick-train"):
        config = RunConfig(
            dataset=dataset.name, backbone=ref.backbone, size=ref.size, random_weights=ref.random
        )
        choose(Choice.QUICK_RUN, start_run_once(config, settings))
        st.rerun()


def _check_end(run: str, settings: Settings) -> None:
    """Once the run has ended, propose its head; one that failed may be tried again."""
    try:
        info = load_run_info(run, settings)
    except TLCoreError:
        info = None
    if info is not None and info.active:
        return
    choose(Choice.QUICK_RUN, "")
    if info is not None and info.model:
        propose_head(run)
        st.rerun()
    if info is not None and info.error:
        st.warning(escape_md(info.error), icon=":material/error:")


def _draw_progress(run: str, settings: Settings) -> None:
    share, words = describe_progress(load_run(run, settings))
    st.progress(share, text=words)
    st.page_link(
        FINE_TUNE.file, label="Watch its curves", icon=FINE_TUNE.icon, query_params={"run": run}
    )
