"""What has to be said beside figures whose labels a person has changed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import streamlit as st

from tlcore.datasets.dataset import SPLITS, Sample
from tlcore.datasets.edits import confirm_labels, exclude, relabel, undo_edit
from tlcore.datasets.sample import dataset_title
from tlcore.datasets.store import DatasetState
from tlcore.errors import DamagedFile
from tlcore.evaluation.corrections import (
    count_changes,
    count_corrections,
    keep_splits,
    load_run_dataset,
    save_corrected_run,
)
from tlcore.settings import Settings
from tlcore.training.provenance import list_samples
from tlcore.training.run import Run, RunInfo
from tlcore.training.store import load_run_info
from tlcore.ui.components.dataset_picker import list_dataset_names
from tlcore.ui.components.image_grid import forget
from tlcore.ui.format import count, label, plain
from tlcore.ui.services import processes
from tlcore.ui.shell import UPLOAD, boundary
from tlcore.ui.state import Choice, choose
from tlcore.ui.widgets import distinct


def corrections_line(
    info: RunInfo, part: str, settings: Settings, *, with_changes_since: bool = True
) -> None:
    """Say which labels were changed after a model had been evaluated; nothing where none was.

    Changes since the run concern all its splits: where they stand on the page already, they are
    left out.
    """
    try:
        corrections = count_corrections(info, part, settings)
    except DamagedFile:  # its images are not known, which the run's page says
        return
    for words in corrections.sentences if with_changes_since else corrections.caveats:
        st.caption(f":material/edit: {plain(words)}")


# What is done with the images one has found: another label, out of the set, and run again.


_TOKEN = "_again-token"
_ASK = "Click images to choose them: see them large, confirm or change their label."


def repair(run: Run, chosen: Sequence[Sample], settings: Settings) -> None:
    """The actions on chosen images, and what has been mended so far.

    Args:
        run: whose images they are.
        chosen: may be empty.
        settings: where its set lies.
    """
    state = load_run_dataset(run.info, settings)
    if state is None:
        _why_not(run, settings)
        return
    keys = [sample.key for sample in chosen if sample.key in state.by_key]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="mend"):
        if keys:
            _actions(keys, state, settings)
        else:
            st.caption(_ASK)
    _mended(run, state, settings)


def now(sample: Sample, state: DatasetState | None) -> str:
    """Say what has become of an image since the run, or ""."""
    item = state.by_key.get(sample.key) if state is not None else None
    if state is None:
        return ""
    if item is None:
        return "no longer in the set"
    if item.excluded:
        return "excluded since"
    if item.label != sample.label:
        return f"now labelled {label(item.label)}"
    return "label confirmed" if item.is_confirmed else ""


def _actions(keys: list[str], state: DatasetState, settings: Settings) -> None:
    """What a person decides; nothing is filled in, as the model may be wrong."""
    st.button(
        "The label is right" if len(keys) == 1 else f"The {len(keys):,} labels are right",
        type="primary",
        key="mend-confirm",
        help="The model is wrong. The image is not asked about again; Undo takes this back.",
        on_click=_do,
        args=(confirm_labels, state.name, keys, settings),
    )
    names = list(state.counts)
    new = st.selectbox(
        f"Label {count(len(keys), 'image')}",
        names,
        index=None,
        format_func=distinct(names, label),
        key=f"mend-label-{hash(tuple(keys))}",  # nothing that was chosen for other images
        placeholder="Another class",
        width=220,
    )
    st.button(
        "Label",
        key="mend-relabel",
        disabled=not new,
        on_click=_do,
        args=(relabel, state.name, keys, str(new), settings),
    )
    st.button(
        "Exclude", key="mend-exclude", on_click=_do, args=(exclude, state.name, keys, settings)
    )
    st.button(f"Let go of {len(keys):,}", key="mend-none", type="tertiary", on_click=forget)


def _do(edit: Callable[..., object], *args: object) -> None:
    """Edit the set before the page is drawn again, and let go of what was chosen."""
    with boundary():
        edit(*args)
        forget()


def _mended(run: Run, state: DatasetState, settings: Settings) -> None:
    """How the set differs from what the run learned from, the way back and the way on."""
    by_part, excluded = count_changes(run.info, state)
    numbers = {
        "relabelled": sum(by_part.values()),
        "excluded": excluded,
        "confirmed": _confirmed(run, state),
    }
    parts = [f"{number:,} {what}" for what, number in numbers.items() if number]
    if not parts:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="mended"):
        st.markdown(f"**Since this run: {', '.join(parts)}.**", width="stretch")
        if state.edits:
            words = state.edits[-1].description
            st.button(
                "Undo",
                icon=":material/undo:",
                key="mend-undo",
                help=f"Takes back: {plain(words)}.",
                on_click=_do,
                args=(undo_edit, state.name, settings),
            )
        if (numbers["relabelled"] or excluded) and st.button(
            "Run again on the corrected set",
            type="primary",
            icon=":material/replay:",
            key="mend-again",
            help="The same recipe. Every image stays in the part it was in, so that both runs "
            "are judged by the same ones; the set remembers the parts.",
        ):
            _again(run, state, settings)


def _confirmed(run: Run, state: DatasetState) -> int:
    """Count the images of a run whose label a person has confirmed."""
    of_run = {sample.key for part in SPLITS for sample in list_samples(run.info, part)}
    return sum(item.key in of_run and item.is_confirmed for item in state.included)


def _again(run: Run, state: DatasetState, settings: Settings) -> None:
    """Start the same recipe; a second click of it gets the same run."""
    keep_splits(run.info, state, settings)
    token = st.session_state.setdefault(_TOKEN, secrets.token_hex(8))
    later = processes().start_run(token, run.info.config, settings)
    save_corrected_run(load_run_info(later, settings), run.info.id)
    st.session_state.pop(_TOKEN)
    choose(Choice.RUN, later)
    choose(Choice.RUN_VIEW, "")
    forget()
    st.rerun()


def _why_not(run: Run, settings: Settings) -> None:
    name = run.info.config.dataset
    if name.startswith("/"):
        words = (
            "This run learned from a folder that is read in place, so its labels cannot be "
            "changed here. Bring the folder as a dataset on the Upload page (or with "
            f"`python -m tlcore dataset import {name}`) and run it on that."
        )
    elif name in list_dataset_names(settings):
        words = (
            f"The dataset “{plain(dataset_title(name))}” is damaged, so nothing can be mended "
            "until it can be read again. The Upload page says what is wrong with it and what can "
            "be done."
        )
    else:
        words = (
            f"The dataset “{plain(dataset_title(name))}” is no longer here, so nothing can be "
            "mended. What the run noted of its images is shown as far as their files are left."
        )
    st.info(words, icon=":material/edit_off:")
    st.page_link(UPLOAD.file, label="Bring it on the Upload page", icon=UPLOAD.icon)
