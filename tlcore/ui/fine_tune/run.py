"""One run: header and actions, its progress while it trains, its views once it has ended.

A further view of a finished run is a further line in VIEWS.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from functools import partial

import msgspec
import streamlit as st

from tlcore.evaluation.corrections import corrected_run
from tlcore.models.catalog import BACKBONES
from tlcore.settings import Settings
from tlcore.training.lifecycle import delete_run, kill_run, stop_run
from tlcore.training.run import (
    MAX_NAME,
    MAX_NOTE,
    Run,
    RunInfo,
    label_runs,
    name_file,
    title_run,
    write_notes,
)
from tlcore.training.status import FAILED, STOPPED
from tlcore.training.store import format_csv, list_runs, load_run, read_log_tail
from tlcore.ui.components.live import live
from tlcore.ui.components.recent_runs import status_badge
from tlcore.ui.components.run_picker import propose_head, show_damage
from tlcore.ui.components.run_progress import count_runs_before, describe_progress
from tlcore.ui.evaluation.comparison import comparison_view
from tlcore.ui.evaluation.embedding import embedding_view
from tlcore.ui.evaluation.export import export_view, model_button
from tlcore.ui.evaluation.label_issues import label_issues_view
from tlcore.ui.evaluation.metrics import draw_fine_tuning_effect, summary_view
from tlcore.ui.evaluation.mistakes import mistakes_view
from tlcore.ui.fine_tune.curves import curves_view, draw_curves
from tlcore.ui.fine_tune.recipe import open_form, run_again
from tlcore.ui.fine_tune.run_list import as_json
from tlcore.ui.fine_tune.studies import studies_view
from tlcore.ui.format import accuracy, duration, escape_md, plural
from tlcore.ui.services import resume_run_once
from tlcore.ui.shell import FINE_TUNE, act_button, boundary, show_question
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.widgets import segments

PATIENCE = 20.0  # s after which a run that was asked to stop may be killed
NAMED_FILES = 3  # of those left out
_TRAINING = "_run-seen-training"  # id of the run that this session has seen at work
# value of ``view`` in the address → title of the view, function that draws it
VIEWS: Mapping[str, tuple[str, Callable[[Run, Settings], None]]] = {
    "summary": ("Summary", summary_view),
    "mistakes": ("Mistakes", mistakes_view),
    "label-issues": ("Label issues", label_issues_view),
    "curves": ("Curves", curves_view),
    "embedding": ("Embedding", embedding_view),
    "compare": ("Compare runs", comparison_view),
    "improve": ("Improve", studies_view),
    "export": ("Export", export_view),
}


def run_view(run: str, settings: Settings) -> None:
    """Draw a run: its progress once a second while it trains, its views after that.

    Raises:
        RunError: there is no such run.
    """
    header = st.container(
        horizontal=True, vertical_alignment="center", gap="small", key="run-header"
    )
    try:
        loaded = load_run(run, settings)
        with header:
            _draw_header(loaded, settings)
    finally:  # also for a run that is not there
        header.button("New run", icon=":material/add:", on_click=open_form, key="new-run")
    if loaded.info.active:
        st.session_state[_TRAINING] = run
        live(lambda: load_run(run, settings).info.active, lambda: _draw_active(run, settings))
        return
    has_model = loaded.info.model is not None
    if st.session_state.pop(_TRAINING, "") == run and has_model:
        propose_head(run)  # Compare shows it next
    _set_tab_title("✓ " if has_model else "")
    if has_model:
        show_question("Is it good?")
    with st.container(key="run"):
        _draw_outcome(loaded)
        if has_model:
            _draw_views(loaded, settings)
        else:
            draw_curves(loaded)


def _draw_views(run: Run, settings: Settings) -> None:
    """Let the person choose a view of a run that has a model, and draw it.

    A run on corrected labels opens beside the run whose mistakes led to it.
    """
    if chosen(Choice.RUN_VIEW) not in VIEWS:
        choose(Choice.RUN_VIEW, "compare" if corrected_run(run.info) else "summary")
    with st.container(key="views"):
        view = segments("View", list(VIEWS), Choice.RUN_VIEW, words=lambda name: VIEWS[name][0])
    with st.container(key=f"view-{view}"), boundary():  # an error leaves what is below in place
        VIEWS[view][1](run, settings)


def _set_tab_title(prefix: str) -> None:
    """Say in the browser's tab how the run stands."""
    st.set_page_config(page_title=f"{prefix}{FINE_TUNE.name}")


def _draw_header(run: Run, settings: Settings) -> None:
    info, config = run.info, run.info.config
    label = label_runs(list_runs(settings), accuracy=False)[info.id]
    st.markdown(f"**{escape_md(label)}**", width="content")
    if not info.active:
        status_badge(info.status)
    facts = []
    if config.size != BACKBONES[config.backbone].size:
        facts.append(f"{config.size} px")
    if run.classes:
        train, val = (run.info.images.get(split, 0) for split in ("train", "val"))
        facts.append(f"{train:,} / {val:,} images")
    if info.seconds:
        facts.append(f"took {duration(info.seconds)}")
    st.caption(" · ".join(facts), width="content")
    if info.resumable and st.button(
        "Resume",
        icon=":material/play_arrow:",
        type="primary",
        help="Continues from the end of its last epoch; the result is the same as without the "
        "interruption.",
    ):
        resume_run_once(info.id, settings)
        st.rerun()
    _edit_notes(info)
    if not info.active:
        _draw_actions(run, settings)


def _edit_notes(info: RunInfo) -> None:
    """Let the person name a run at any time."""
    notes, key = info.notes, info.id
    with (
        st.popover("Name and note", icon=":material/edit:", help="Name and note", key="notes"),
        st.form(f"notes-{key}", border=False),
    ):
        name = st.text_input("Name", notes.name, max_chars=MAX_NAME)
        note = st.text_area("Note", notes.note, max_chars=MAX_NOTE)
        tags = st.multiselect(
            "Tags", list(notes.tags), list(notes.tags), accept_new_options=True, key=f"tags-{key}"
        )
        if st.form_submit_button("Save"):
            write_notes(info.folder, name, note, tags)
            st.rerun()


def _draw_actions(run: Run, settings: Settings) -> None:
    """Draw what can be done with a run that has ended."""
    info, help_ = run.info, "Run again, download, delete"
    with st.popover(help_, icon=":material/more_horiz:", help=help_, key="run-actions"):
        st.button(
            "Run again",
            icon=":material/replay:",
            help="Opens the form with the same options.",
            width="stretch",
            on_click=run_again,
            args=(info.config, settings),
        )
        if info.model:
            model_button(info, settings, key="run-model", width="stretch")
        epochs = [msgspec.structs.asdict(epoch) for epoch in run.history]
        st.download_button(
            "Epochs, CSV", format_csv(epochs), name_file(info, "epochs.csv"), width="stretch"
        )
        record = {
            "id": info.id,
            "status": info.status,
            "config": info.config.to_json(),
            "data_hash": info.data_hash,
            "notes": dataclasses.asdict(info.notes),
            "history": epochs,
        }
        json, name = as_json(record), name_file(info, "run.json")
        st.download_button("Whole record, JSON", json, name, "application/json", width="stretch")
        with st.expander("Delete", icon=":material/delete:"):
            st.write("Its model, its curves and its notes are deleted for good.")
            if st.button(f"Delete {escape_md(title_run(info))}", key="run-delete"):
                delete_run(info.id, settings)
                open_form()
                st.rerun()


def _draw_active(run: str, settings: Settings) -> None:
    """Draw one bar for the whole run, *Stop*, and the curves."""
    loaded = load_run(run, settings)
    fraction, text = describe_progress(loaded, count_runs_before(run, settings))
    _set_tab_title(f"{fraction:.0%} · ")
    with st.container(key="run"):
        bar, stop = st.columns([5, 1], vertical_alignment="center")
        bar.progress(fraction, text=text)
        requested = loaded.info.folder / "stop"
        with stop:
            if not requested.exists():
                act = partial(stop_run, run, settings)
                act_button("Stop", act, icon=":material/stop:", key="stop", width="stretch")
            elif time.time() - requested.stat().st_mtime < PATIENCE:
                st.button("Stopping …", disabled=True, key="stopping", width="stretch")
            else:
                act = partial(kill_run, run, settings)
                act_button("End now", act, icon=":material/dangerous:", key="end", width="stretch")
        show_damage(loaded.damage)
        if not loaded.history and loaded.stage:
            config = loaded.info.config
            epochs = plural(config.epochs + config.fine_tune_epochs, "epoch")
            st.caption(f"The curves begin with the end of the first of {epochs}.")
        draw_curves(loaded)


def _draw_outcome(run: Run) -> None:
    """Say how a run ended where that was not as planned, and what is damaged or left out."""
    info = run.info
    if info.status == FAILED:
        st.error(escape_md(info.error), icon=":material/error:")
        with st.expander("The last lines of its log", icon=":material/article:"):
            st.code(read_log_tail(info.folder) or "The log is empty.", language=None)
    if info.status == STOPPED:
        model = "Its model is that of the best epoch." if info.model else "It has no model yet."
        st.info(escape_md(info.error) or f"Stopped. {model}", icon=":material/stop:")
    show_damage(run.damage)
    if info.val_accuracy is not None and info.model is None:
        images = run.info.images.get("val", 0)
        st.metric("Validation accuracy", accuracy(info.val_accuracy, images))
        draw_fine_tuning_effect(run)
    if info.notes.note:
        st.caption(escape_md(info.notes.note))
    if info.config.random_weights:
        st.caption(":material/casino: On random weights: the backbone was not pretrained.")
    for skipped in run.skipped[:NAMED_FILES]:
        st.caption(
            f":material/warning: Left out {escape_md(skipped.file)}: {escape_md(skipped.reason)}"
        )
    if len(run.skipped) > NAMED_FILES:
        rest = plural(len(run.skipped) - NAMED_FILES, "more file")
        st.caption(f":material/warning: And {rest}.", help="; ".join(s.file for s in run.skipped))
