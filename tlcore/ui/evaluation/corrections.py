"""Correct the labels of a run's images, say what was corrected, and run again on the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from tlcore.datasets.dataset import SPLITS, Sample
from tlcore.datasets.edits import confirm_labels, exclude, relabel, undo_edit
from tlcore.datasets.sample_dataset import dataset_title
from tlcore.datasets.store import DatasetState
from tlcore.errors import DamagedFile
from tlcore.evaluation.corrections import (
    count_changes,
    count_corrections,
    keep_splits,
    load_run_dataset,
)
from tlcore.settings import Settings
from tlcore.training.provenance import list_samples
from tlcore.training.run import Run, RunInfo, write_parent_run
from tlcore.training.store import load_run_info
from tlcore.ui.components.dataset_picker import list_dataset_names
from tlcore.ui.components.image_grid import set_selected_images
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.services import start_run_once
from tlcore.ui.shell import UPLOAD, act_button
from tlcore.ui.state import Choice, choose
from tlcore.ui.widgets import unique_labels


def corrections_line(info: RunInfo, split: str, settings: Settings) -> None:
    """Say which labels of a split were changed after a model had predicted; nothing for none."""
    try:
        corrections = count_corrections(info, split, settings)
    except DamagedFile:  # the run's page names the file
        return
    for words in corrections.sentences:
        st.caption(f":material/edit: {escape_md(words)}")


def change_since_run(sample: Sample, state: DatasetState | None) -> str:
    """Return how an image was changed since the run: "now labelled bees"; "" for no change."""
    if state is None:
        return ""
    item = state.by_key.get(sample.key)
    if item is None:
        return "no longer in the dataset"
    if item.excluded:
        return "excluded since"
    if item.label != sample.label:
        return f"now labelled {label(item.label)}"
    return "label confirmed" if item.is_confirmed else ""


def correction_bar(run: Run, selected: Sequence[Sample], grid: str, settings: Settings) -> None:
    """Draw the actions on selected images, and what has been corrected so far.

    Args:
        run: the run that classified the images.
        selected: may be empty.
        grid: name of the image grid; an edit clears its selection.
        settings: the workspace.
    """
    state = load_run_dataset(run.info, settings)
    if state is None:
        _explain_missing_dataset(run.info.config.dataset, settings)
        return
    keys = [sample.key for sample in selected if sample.key in state.by_key]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="correct"):
        if keys:
            _draw_actions(keys, state, grid, settings)
        else:
            st.caption("Click images to select them: see them large, confirm or change the label.")
    _draw_corrected(run.info, state, grid, settings)


def _draw_actions(keys: list[str], state: DatasetState, grid: str, settings: Settings) -> None:
    """Draw what a person can decide; no label is filled in, as the model may be wrong."""
    _edit_button(
        f"The {len(keys):,} labels are correct" if len(keys) > 1 else "The label is correct",
        "confirm",
        grid,
        partial(confirm_labels, state.name, keys, settings),
        type="primary",
        help="The model is wrong. The image is no label issue any more; Undo reverts this.",
    )
    names = list(state.counts)
    new = st.selectbox(
        f"New label of {plural(len(keys), 'image')}",
        names,
        index=None,
        format_func=unique_labels(names, label),
        key=f"correct-label-{hash(tuple(keys))}",  # empty again for other images
        placeholder="Another class",
        width=220,
    )
    to_new = partial(relabel, state.name, keys, str(new), settings)
    _edit_button("Relabel", "relabel", grid, to_new, disabled=not new)
    _edit_button("Exclude", "exclude", grid, partial(exclude, state.name, keys, settings))
    _edit_button("Clear selection", "clear", grid, lambda: None, type="tertiary")


def _edit_button(
    words: str, key: str, grid: str, edit: Callable[[], object], **options: Any
) -> None:
    """Draw a button that edits the dataset and clears the selection in a grid."""

    def act() -> None:
        edit()
        set_selected_images(grid)

    act_button(words, act, key=f"correct-{key}", **options)


def _draw_corrected(info: RunInfo, state: DatasetState, grid: str, settings: Settings) -> None:
    """Say how the dataset differs from what the run was trained on, with *Undo* and *Run again*."""
    changed, excluded = count_changes(info, state)
    relabelled = sum(changed.values())
    keys = {sample.key for split in SPLITS for sample in list_samples(info, split)}
    confirmed = sum(item.key in keys and item.is_confirmed for item in state.included)
    numbers = ((relabelled, "relabelled"), (excluded, "excluded"), (confirmed, "confirmed"))
    words = [f"{number:,} {what}" for number, what in numbers if number]
    if not words:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="corrected"):
        st.markdown(f"**Since this run: {', '.join(words)}.**", width="stretch")
        if state.edits:
            _edit_button(
                "Undo",
                "undo",
                grid,
                partial(undo_edit, state.name, settings),
                icon=":material/undo:",
                help=f"Reverts: {escape_md(state.edits[-1].description)}.",
            )
        if (relabelled or excluded) and st.button(
            "Run again on the corrected dataset",
            type="primary",
            icon=":material/replay:",
            key="correct-again",
            help="The same options. Every image stays in its split, so that both runs are "
            "evaluated on the same images; the dataset keeps the splits.",
        ):
            keep_splits(info, state, settings)
            later = start_run_once(info.config, settings)
            write_parent_run(load_run_info(later, settings).folder, info.id)
            choose(Choice.RUN, later)
            choose(Choice.RUN_VIEW, "")
            st.rerun()


def _explain_missing_dataset(name: str, settings: Settings) -> None:
    dataset = f"The dataset “{escape_md(dataset_title(name))}”"
    words = f"{dataset} is no longer here, so labels cannot be corrected."
    if name.startswith("/"):
        words = (
            "This run was trained on a folder that is read in place, so its labels cannot be "
            "changed here. Import the folder on the Upload page and train on that dataset."
        )
    elif name in list_dataset_names(settings):
        words = f"{dataset} is damaged, so labels cannot be corrected. The Upload page says more."
    st.info(words, icon=":material/edit_off:")
    st.page_link(UPLOAD.file, label="Open the Upload page", icon=UPLOAD.icon)
