"""Choosing the run whose head predicts, the classes it can predict, and what is damaged in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

import streamlit as st

from tlcore.datasets.dataset import UNLABELLED, Dataset, Sample
from tlcore.datasets.sample_dataset import dataset_title
from tlcore.errors import DamagedFile
from tlcore.settings import Settings
from tlcore.training.provenance import read_splits
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.status import MODEL, SPLIT, Damage, DamagedRun
from tlcore.training.store import list_runs, scan_runs
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
    return {info.id: info for info in list_runs(settings) if info.model and not info.active}


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
    best = _propose(dataset, infos)
    before = chosen(Choice.HEAD)
    own_first = sorted(infos, key=lambda run: infos[run].config.dataset != dataset.name)
    labels = {NO_RUN: f"None was trained on “{dataset_title(dataset.name)}”"} | label_runs(runs)
    run = select(
        "Run",
        list(dict.fromkeys([best, *own_first])),
        Choice.HEAD,
        words=labels.__getitem__,
        also=lambda: st.session_state.pop(_PROPOSED, None),
    )
    if before not in infos:  # it has been deleted
        propose_head(run)
    if run == NO_RUN:
        return None
    if not _knows(infos[run], dataset):
        st.caption(f":material/info: {describe_classes(infos[run])}")
    return infos[run]


def _propose(dataset: Dataset, infos: dict[str, RunInfo]) -> str:
    """Choose a head while nobody has chosen one; of images without labels the one before.

    Returns:
        The newest run on the dataset, else the newest that can predict all its classes, or NO_RUN;
        one on random weights only where there is no other.
    """
    pretrained_first = sorted(infos.values(), key=lambda info: info.config.random_weights)
    same = (info.id for info in pretrained_first if info.config.dataset == dataset.name)
    able = (info.id for info in pretrained_first if _knows(info, dataset))
    best = next(chain(same, able), NO_RUN)
    now = chosen(Choice.HEAD)
    if now in ("", st.session_state.get(_PROPOSED)):
        stays = now in infos and dataset.name == infos[now].config.dataset
        propose_head(now if stays or (now in infos and not dataset.classes) else best)
    return best


def propose_head(run: str) -> None:
    """Choose a run's head until a person chooses another or opens another dataset."""
    st.session_state[_PROPOSED] = run
    choose(Choice.HEAD, run)


def choose_head(settings: Settings, then: str) -> RunInfo | None:
    """Choose a head; say that it is damaged, or that there is none and what there will be then.

    Returns:
        The run; None where a message says why there is none.
    """
    if show_damaged_head(settings):
        return None
    info = select_head(settings)
    if info is None:
        with st.container(border=True):
            st.markdown(f"**No run of your own yet on this dataset.** After one, {then}.")
            st.page_link(FINE_TUNE.file, label="Fine-tune a head", icon=FINE_TUNE.icon)
    return info


def show_damage(damage: Iterable[Damage]) -> None:
    """Say which files of a run cannot be read, what is damage and what can be done."""
    for each in damage:
        st.caption(f":material/warning: {escape_md(each.description)}")


def show_damaged_head(settings: Settings) -> bool:
    """Whether the chosen run cannot predict because it is damaged; that is shown then.

    No other run takes its place until the person chooses one.
    """
    run = chosen(Choice.HEAD)
    words = _describe_damage(run, settings) if run else ""
    if words:
        st.error(f"Run {escape_md(run)}: {escape_md(words)}", icon=":material/error:")
        st.button("Choose another run", key="another-run", on_click=choose, args=(Choice.HEAD, ""))
    return bool(words)


def _describe_damage(run: str, settings: Settings) -> str:
    info = next((info for info in scan_runs(settings) if info.id == run), None)
    if info is None:
        return ""
    if isinstance(info, DamagedRun):
        return info.damage.description
    return " ".join(each.description for each in info.damage if each.file in (MODEL, SPLIT))


def describe_classes(info: RunInfo) -> str:
    """Return "This head predicts only cats and dogs.", for Markdown."""
    names = [escape_md(label(name)) for name in _learned_classes(info)]
    if not names:
        return "The classes of this head cannot be read."
    if len(names) > NAMED + 1:
        names = [*names[:NAMED], f"{len(names) - NAMED} more classes"]
    return f"This head predicts only {', '.join(names[:-1])} and {names[-1]}."


def has_unknown_label(info: RunInfo, sample: Sample) -> bool:
    """Whether an image has a label that a head cannot predict; one without a label has not."""
    return sample.label != UNLABELLED and sample.label not in _learned_classes(info)


def training_images(settings: Settings) -> frozenset[str]:
    """Return the sha256 of the images that the chosen head was trained on."""
    infos = trained_heads(settings)
    _propose(open_dataset(chosen(Choice.DATASET), settings), infos)
    info = infos.get(chosen(Choice.HEAD))
    return _read_training_images(info.folder) if info else frozenset()


def _knows(info: RunInfo, dataset: Dataset) -> bool:
    """Whether a head can predict all labels of a dataset."""
    return set(dataset.classes) <= set(_learned_classes(info))


def _learned_classes(info: RunInfo) -> Sequence[str]:
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
