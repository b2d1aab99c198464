"""No head yet: teach one right here, with one click, and see its answer when it has learned."""

from __future__ import annotations

import secrets

import streamlit as st

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.sample import dataset_title
from tlcore.errors import TLCoreError
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.store import load_run, load_run_info
from tlcore.ui.components.run_picker import propose_head
from tlcore.ui.fine_tune.run import how_far
from tlcore.ui.format import count, label, plain
from tlcore.ui.services import processes
from tlcore.ui.shell import FINE_TUNE, UPLOAD, boundary
from tlcore.ui.state import Choice, choose, chosen

TOKEN = "_teach-token"
NAMED = 5  # classes


def quick_train(dataset: Dataset, ref: ModelRef | None, settings: Settings) -> None:
    """Offer to teach a head on this dataset, or show how far it is."""
    run = chosen(Choice.QUICK_RUN)
    if run and _learning(run, settings):
        st.fragment(_progress, run_every=1.0)(run, settings)
        return
    with st.container(border=True):
        st.markdown(f"**No head of your own yet for “{plain(dataset_title(dataset.name))}”.**")
        if len(dataset.classes) < 2 or ref is None:
            st.markdown("Its answer will stand here, on the same scale, once you have taught one.")
        else:
            _offer(dataset, ref, settings)
        st.page_link(FINE_TUNE.file, label="Choose how it learns", icon=FINE_TUNE.icon)
        st.page_link(UPLOAD.file, label="Bring your own images first", icon=UPLOAD.icon)


def _offer(dataset: Dataset, ref: ModelRef, settings: Settings) -> None:
    names = ", ".join(label(name) for name in dataset.classes[:NAMED])
    more = " …" if len(dataset.classes) > NAMED else ""
    st.markdown(
        plain(f"“{dataset_title(dataset.name)}” has {count(len(dataset.samples), 'image')} of "
              f"{names}{more}. The network stays as it is and only a small head learns: about "
              "half a minute.")
    )  # fmt: skip
    words = f"Teach it these {len(dataset.classes)} classes"
    if st.button(words, type="primary", icon=":material/school:", key="teach"):
        config = RunConfig(
            dataset=dataset.name, backbone=ref.backbone, size=ref.size, random_weights=ref.random
        )
        token = st.session_state.setdefault(TOKEN, secrets.token_hex(8))
        choose(Choice.QUICK_RUN, processes().start_run(token, config, settings))
        st.rerun()


def _learning(run: str, settings: Settings) -> bool:
    """Whether that run still works; one that has ended without a head may be tried again."""
    try:
        info = load_run_info(run, settings)
    except TLCoreError:
        info = None
    if info is None or not info.active:
        choose(Choice.QUICK_RUN, "")
        st.session_state.pop(TOKEN, None)
        if info is not None and info.error:
            st.warning(plain(info.error), icon=":material/error:")
        return False
    return True


def _progress(run: str, settings: Settings) -> None:
    with boundary():
        found = load_run(run, settings)
        if not found.info.active:
            propose_head(run)
            st.rerun()
        share, words = how_far(found)
        st.progress(share, text=words)
        st.page_link(
            FINE_TUNE.file, label="Watch its curves", icon=FINE_TUNE.icon, query_params={"run": run}
        )
