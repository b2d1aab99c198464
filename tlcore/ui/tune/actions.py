"""What can be done with a run: name it, and once it has ended go on, do it again, take it."""

from __future__ import annotations

import dataclasses

import streamlit as st

from tlcore.settings import Settings
from tlcore.training.compare import as_csv
from tlcore.training.notes import LONGEST_NAME, LONGEST_NOTE, write_notes
from tlcore.training.orders import delete_run
from tlcore.training.run import Run, RunInfo
from tlcore.ui.services import processes
from tlcore.ui.sets import set_names
from tlcore.ui.state import Choice, choose
from tlcore.ui.tune.compare import as_json
from tlcore.ui.tune.options import run_again


def run_actions(run: Run, settings: Settings) -> None:
    """Draw the buttons below a run that is over. Each draws the whole page once more."""
    info = run.info
    with st.container(horizontal=True, vertical_alignment="center"):
        if info.resumable and st.button(
            "Resume",
            icon=":material/play_arrow:",
            type="primary",
            help="It goes on from the end of its last epoch, as if nothing had happened.",
        ):
            processes().resume_run(info.id, settings)
            st.rerun()
        if st.button(
            "Run again", icon=":material/replay:", help="Opens the form, filled in as it was."
        ):
            _again(run, settings)
            st.rerun()
        with st.popover("Download", icon=":material/download:"):
            _downloads(run)
        with st.popover("Delete", icon=":material/delete:"):
            st.write("Its network, its curves and its notes will be gone for good.")
            if st.button("Delete this run", type="primary"):
                delete_run(info.id, settings)
                choose(Choice.WATCHED, "")
                st.rerun()


def _again(run: Run, settings: Settings) -> None:
    config = run.info.config
    run_again(config)
    if config.dataset in set_names(settings):  # if not, the form says so
        choose(Choice.SET, config.dataset)
    choose(Choice.BACKBONE, config.backbone)
    choose(Choice.WATCHED, "")


def name_and_note(info: RunInfo) -> None:
    """Let the person name a run, at any time; outside of what is drawn every second."""
    notes, key = info.notes, info.id
    with (
        st.popover("Name and note", icon=":material/edit:"),
        st.form(f"notes-{key}", border=False),
    ):
        name = st.text_input("Name", notes.name, max_chars=LONGEST_NAME)
        note = st.text_area("Note", notes.note, max_chars=LONGEST_NOTE)
        tags = st.multiselect(
            "Tags", list(notes.tags), list(notes.tags), accept_new_options=True, key=f"tags-{key}"
        )
        if st.form_submit_button("Keep"):
            write_notes(info.folder, name, note, tags)
            st.rerun()


def _downloads(run: Run) -> None:
    rows = [dataclasses.asdict(epoch) for epoch in run.history]
    about = {
        "id": run.info.id,
        "state": run.info.state,
        "config": run.info.config.to_json(),
        "data_hash": run.info.data_hash,
        "notes": dataclasses.asdict(run.info.notes),
        "history": rows,
    }
    st.download_button("Epochs, CSV", as_csv(rows), f"{run.info.id}.csv", "text/csv")
    st.download_button("All of it, JSON", as_json(about), f"{run.info.id}.json", "application/json")
