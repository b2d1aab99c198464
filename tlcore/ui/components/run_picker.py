"""Choosing the run whose head predicts, and the classes that head can predict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import streamlit as st

from tlcore.datasets.dataset import UNLABELLED, Dataset, Sample
from tlcore.datasets.sample_dataset import dataset_title
from tlcore.errors import DamagedFile
from tlcore.settings import Settings
from tlcore.training.provenance import read_splits
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.format import escape_md, label
from tlcore.ui.shell import FINE_TUNE
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.widgets import select

NO_RUN = ""  # no head predicts
NAMED = 5  # classes
_PROPOSED = "_head-proposed"  # the run that is chosen because nobody has chosen another


def trained_heads(settings: Settings) -> dict[str, RunInfo]:
    """Return the runs that have ended with a model by their ids, newest first."""
    runs = list_runs(settings)
    return {info.id: info for info in runs if info.model and not info.active}


def select_head(settings: Settings) -> RunInfo | None:
    """Choose among the runs that have ended with a model.

    At first it is the newest that was trained on the open dataset. What a person chose, in the
    menu or by an address, stays whatever dataset is opened.

    Returns:
        The run; None where there is none yet, or none of this dataset and nobody chose another.
    """
    runs = list_runs(settings)
    if any(info.active for info in runs):
        st.caption(":material/autorenew: A run is training; it can be chosen when it is done.")
    infos = trained_heads(settings)
    if not infos:
        return None
    dataset = open_dataset(chosen(Choice.DATASET), settings)
    own = _best(infos.values(), dataset)
    _propose(own, dataset, infos)
    before = chosen(Choice.HEAD)
    labels = label_runs(runs)
    options = _own_first(own, dataset, infos.values())
    no_run = f"None was trained on “{dataset_title(dataset.name)}”"
    run = select(
        "Run",
        options,
        Choice.HEAD,
        words=lambda run: labels[run] if run else no_run,
        also=lambda: st.session_state.pop(_PROPOSED, None),
    )
    if before not in infos:  # it has been deleted
        propose_head(run)
    if run == NO_RUN:
        return None
    if has_unknown_classes(infos[run], dataset):
        st.caption(f":material/info: {describe_classes(infos[run])}")
    return infos[run]


def show_no_run(then: str) -> None:
    """Say that no head was trained on this dataset, and what there will be after one was."""
    with st.container(border=True):
        st.markdown(f"**No run of your own yet on this dataset.** After one, {then}.")
        st.page_link(FINE_TUNE.file, label="Fine-tune a head", icon=FINE_TUNE.icon)


def propose_head(run: str) -> None:
    """Choose a run's head until a person chooses another or opens another dataset."""
    st.session_state[_PROPOSED] = run
    choose(Choice.HEAD, run)


def describe_classes(info: RunInfo) -> str:
    """Return "This head predicts only cats and dogs.", for Markdown."""
    names = [escape_md(label(name)) for name in learned_classes(info)]
    if not names:
        return "The classes of this head cannot be read."
    if len(names) > NAMED + 1:
        names = [*names[:NAMED], f"{len(names) - NAMED} more classes"]
    return f"This head predicts only {', '.join(names[:-1])} and {names[-1]}."


def has_unknown_label(info: RunInfo, sample: Sample) -> bool:
    """Whether an image has a label that a head cannot predict; one without a label has not."""
    return sample.label != UNLABELLED and sample.label not in learned_classes(info)


def has_unknown_classes(info: RunInfo, dataset: Dataset) -> bool:
    """Whether a dataset has labels that a head cannot predict."""
    return not set(dataset.classes) <= set(learned_classes(info))


def current_head(settings: Settings) -> RunInfo | None:
    """Return the run whose head is chosen, without drawing; None where none is."""
    infos = trained_heads(settings)
    dataset = open_dataset(chosen(Choice.DATASET), settings)
    _propose(_best(infos.values(), dataset), dataset, infos)
    return infos.get(chosen(Choice.HEAD))


def training_images(settings: Settings) -> frozenset[str]:
    """Return the sha256 of the images that the chosen head was trained on."""
    info = current_head(settings)
    return _read_training_images(info.folder) if info else frozenset()


def _propose(own: RunInfo | None, dataset: Dataset, infos: dict[str, RunInfo]) -> None:
    """Choose a head while nobody has chosen one."""
    if chosen(Choice.HEAD) in ("", st.session_state.get(_PROPOSED)):
        propose_head(_proposed(own, dataset, infos))


def _proposed(own: RunInfo | None, dataset: Dataset, infos: dict[str, RunInfo]) -> str:
    """Return the run that is chosen by itself: for images without labels the one before."""
    now = infos.get(chosen(Choice.HEAD))
    if now and (now.config.dataset == dataset.name or not dataset.classes):
        return now.id
    return own.id if own else NO_RUN


def _best(infos: Iterable[RunInfo], dataset: Dataset) -> RunInfo | None:
    """Return the newest run on a dataset, else the newest that can predict all its classes."""
    runs = list(infos)
    same = (info for info in runs if info.config.dataset == dataset.name)
    able = (info for info in runs if not has_unknown_classes(info, dataset))
    return next(same, None) or next(able, None)


def _own_first(own: RunInfo | None, dataset: Dataset, infos: Iterable[RunInfo]) -> list[str]:
    """Return ids: the one chosen by itself, which may be none, then the runs on this dataset."""
    first = own.id if own else NO_RUN
    order = sorted(infos, key=lambda info: info.config.dataset != dataset.name)
    return list(dict.fromkeys([first, *(info.id for info in order)]))


def learned_classes(info: RunInfo) -> Sequence[str]:
    """Return the classes of a run that has ended; none where its files are damaged."""
    try:
        return _read_classes(info.folder)
    except DamagedFile:
        return ()


@lru_cache(maxsize=4096)  # a run's classes never change once it has begun
def _read_classes(folder: Path) -> Sequence[str]:
    return read_splits(folder).classes


@lru_cache(maxsize=64)
def _read_training_images(folder: Path) -> frozenset[str]:
    try:
        return frozenset(row.sha256 for row in read_splits(folder).train)
    except DamagedFile:
        return frozenset()
