"""What can be done with a run: name it, and once it has ended go on, do it again, take it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import msgspec
import streamlit as st

from tlcore.evaluation.comparison import Verdict, compare_stages
from tlcore.settings import Settings
from tlcore.training.history import STAGES, Progress, Stage
from tlcore.training.lifecycle import delete_run, kill_run, stop_run
from tlcore.training.run import MAX_NAME, MAX_NOTE, Run, RunInfo, label_runs, write_notes
from tlcore.training.status import FAILED, QUEUED, STOPPED
from tlcore.training.store import format_csv, list_runs, load_run, load_run_info, read_log_tail
from tlcore.ui.components.damaged import show_damage
from tlcore.ui.components.dataset_picker import list_dataset_names
from tlcore.ui.components.run_picker import propose_head
from tlcore.ui.evaluation.corrections import corrections_line
from tlcore.ui.evaluation.views import evaluation_views
from tlcore.ui.fine_tune.curves import run_curves
from tlcore.ui.fine_tune.form import about
from tlcore.ui.fine_tune.options import afresh, run_again
from tlcore.ui.fine_tune.run_list import as_json, chip
from tlcore.ui.format import accuracy, count, duration, plain
from tlcore.ui.services import processes
from tlcore.ui.shell import COMPARE, FEATURE_MAPS, boundary
from tlcore.ui.state import Choice, choose


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
                choose(Choice.RUN, "")
                st.rerun()


def _again(run: Run, settings: Settings) -> None:
    config = run.info.config
    run_again(config)
    if config.dataset in list_dataset_names(settings):  # if not, the form says so
        choose(Choice.DATASET, config.dataset)
    choose(Choice.BACKBONE, config.backbone)
    choose(Choice.RUN, "")


def name_and_note(info: RunInfo) -> None:
    """Let the person name a run, at any time; outside of what is drawn every second."""
    notes, key = info.notes, info.id
    with (
        st.popover("Name and note", icon=":material/edit:"),
        st.form(f"notes-{key}", border=False),
    ):
        name = st.text_input("Name", notes.name, max_chars=MAX_NAME)
        note = st.text_area("Note", notes.note, max_chars=MAX_NOTE)
        tags = st.multiselect(
            "Tags", list(notes.tags), list(notes.tags), accept_new_options=True, key=f"tags-{key}"
        )
        if st.form_submit_button("Keep"):
            write_notes(info.folder, name, note, tags)
            st.rerun()


def _downloads(run: Run) -> None:
    rows = [msgspec.structs.asdict(epoch) for epoch in run.history]
    about = {
        "id": run.info.id,
        "status": run.info.status,
        "config": run.info.config.to_json(),
        "data_hash": run.info.data_hash,
        "notes": dataclasses.asdict(run.info.notes),
        "history": rows,
    }
    st.download_button("Epochs, CSV", format_csv(rows), f"{run.info.id}.csv", "text/csv")
    st.download_button("All of it, JSON", as_json(about), f"{run.info.id}.json", "application/json")


# One run as it goes: state, progress, curves, and what to do when it is over or has failed.


TOLD = 1.0  # s of progress from which the time left is told
JUST_NOW = 3.0  # s within which a process has begun, if it need not wait
PATIENCE = 20.0  # s after which a run that was asked to stop may be ended


def run_view(run: str, settings: Settings) -> None:
    """Draw a run; once a second while it works, in place.

    Raises:
        RunError: there is no such run.
    """
    with st.container(horizontal=True):
        st.button("New run", icon=":material/add:", on_click=_new_run, key="new-run")
        info = load_run_info(run, settings)
        name_and_note(info)
    active = info.active
    st.fragment(_live, run_every=1.0 if active else None)(run, active, settings)


def _new_run() -> None:
    choose(Choice.RUN, "")
    afresh()


def _live(run: str, was_active: bool, settings: Settings) -> None:
    with boundary():
        found = load_run(run, settings)
        if found.info.active != was_active:
            if found.info.model:
                propose_head(run)  # Compare shows it next
            st.rerun()  # the page once more: no more ticks, and its list is right
        with st.container(key="run"):
            _head(found, settings)
            show_damage(found.damage)
            _progress(found, settings) if found.info.active else _outcome(found, settings)
            if found.info.active or found.info.model is None:
                run_curves(found)
            else:
                evaluation_views(found, settings)
            _ways_on(found)
            if not found.info.active:
                run_actions(found, settings)


def _head(run: Run, settings: Settings) -> None:
    config = run.info.config
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        chip(run.info.status)
        label = label_runs(list_runs(settings), accuracy=False)[run.info.id]
        st.markdown(f"**{plain(label)}**, {config.size} × {config.size}", width="content")
        if run.classes:
            parts = run.images
            st.caption(
                f"{count(len(run.classes), 'class', 'classes')}, {parts.get('train', 0):,} "
                f"images to learn from, {parts.get('val', 0):,} to judge by",
                width="content",
            )
    if run.info.notes.note:
        st.caption(plain(run.info.notes.note))
    if config.random_weights:
        st.caption(":material/casino: On random weights: the backbone has learned nothing.")


def _progress(run: Run, settings: Settings) -> None:
    """The stage, how far it is, and how to stop it."""
    bar, stop = st.columns([5, 1], vertical_alignment="center")
    share, words = how_far(run)
    bar.progress(share, text=words)
    asked = run.info.folder / "stop"
    with stop:
        if not asked.exists():
            _order("Stop", ":material/stop:", stop_run, run, settings)
        elif time.time() - asked.stat().st_mtime < PATIENCE:
            st.button("Stopping …", disabled=True, key="stopping", width="stretch")
        else:
            _order("End now", ":material/dangerous:", kill_run, run, settings)


def _order(
    words: str, icon: str, do: Callable[[str, Settings], None], run: Run, settings: Settings
) -> None:
    """A button whose order is carried out before the page is drawn again."""

    def carry_out() -> None:
        with boundary():
            do(run.info.id, settings)

    st.button(words, icon=icon, key=words.split()[0].lower(), width="stretch", on_click=carry_out)


def how_far(run: Run) -> tuple[float, str]:
    """The share done of the present stage, and the stage in words with the time left."""
    stage, progress = run.stage, run.progress
    if run.info.status == QUEUED and time.time() - run.info.created < JUST_NOW:
        return 0.0, "Starting …"
    if run.info.status == QUEUED:
        return 0.0, "Waiting for its turn: other runs are at work …"
    if stage is None:
        return 0.0, "Starting: reading the images …"
    words = f"{_which(run, stage)} · {STAGES[stage.stage]}"
    if progress is None or progress.time < stage.time or not progress.done:
        return 0.0, f"{words} …"
    share = min(1.0, progress.done / stage.steps)
    pace = _pace(run, stage)
    words += _speed(run, stage, pace)
    if share < 1 and pace:
        left = (stage.steps - progress.done) / pace
        return share, f"{words} · {share:.0%} · about {about(left)} left"
    return share, f"{words} · {share:.0%}"


def _pace(run: Run, stage: Stage) -> float | None:
    """Return the steps a second of the present stage, or None before that can be told.

    It counts from the first sign of progress: before it the network was loaded and traced.
    """
    seen = [
        event
        for event in run.events
        if isinstance(event, Progress)
        and event.stage == stage.stage
        and event.time >= stage.time
        and event.done
    ]
    if not seen or seen[-1].time - seen[0].time < TOLD:
        return None
    return (seen[-1].done - seen[0].done) / (seen[-1].time - seen[0].time)


def _speed(run: Run, stage: Stage, pace: float | None) -> str:
    """Return the images a second of the present stage, or "" while there is nothing to say."""
    if stage.stage == "features":
        return f" · {pace:,.0f} images a second" if pace else ""
    last = run.history[-1:]
    if not last or last[0].stage != stage.stage or not last[0].seconds:
        return ""
    return f" · {run.images.get('train', 0) / last[0].seconds:,.0f} images a second"


def _which(run: Run, stage: Stage) -> str:
    """Return "1 of 2": the number of the present stage among those of this run."""
    stages = ["features", *_planned(run)]
    return f"{stages.index(stage.stage) + 1} of {len(stages)}"


def _planned(run: Run) -> dict[str, int]:
    """Return the epochs of the training stages that this run has."""
    config = run.info.config
    epochs = {"head": config.epochs, "fine-tune": config.fine_tune_epochs}
    return {stage: number for stage, number in epochs.items() if number}


def _outcome(run: Run, settings: Settings) -> None:
    info = run.info
    if info.status == FAILED:
        st.error(plain(info.error), icon=":material/error:")
        with st.expander("The last lines of its log", icon=":material/article:"):
            st.code(read_log_tail(info.folder) or "It printed nothing.", language=None)
    if info.status == STOPPED:
        kept = "What it had learned is kept." if info.model else "It had nothing to keep yet."
        st.info(plain(info.error) or f"Stopped. {kept}", icon=":material/stop:")
    if info.val_accuracy is not None:
        images = run.images.get("val", 0)
        st.metric(
            "Validation accuracy",
            accuracy(info.val_accuracy, images),
            help=f"Of {images} images it did not learn from; in brackets the range in which "
            "the true figure lies with 95% confidence.",
        )
        _top_blocks(run)
        corrections_line(info, "val", settings)
        st.caption(f"Took {duration(info.seconds or 0)}.")
    for skipped in {skipped.file: skipped for skipped in run.skipped}.values():  # a resumed run's
        st.caption(f":material/warning: Left out {plain(skipped.file)}: {plain(skipped.reason)}")


def _top_blocks(run: Run) -> None:
    """Say what training the top blocks did to the head alone, on the same validation images."""
    change, kept = compare_stages(run.info), run.model_epoch
    if change is None:
        return
    if kept and kept.stage == "head":
        st.caption(
            "Training the top blocks did not lower the validation loss: the head alone, as it was "
            f"after epoch {kept.epoch}, is kept."
        )
        return
    counts = (
        f"of the same {count(change.second.images, 'validation image')} the head alone had "
        f"{change.first.count:,} right, with them it is {change.second.count:,} "
        f"({change.text}; {change.p_text})."
    )
    if change.verdict is Verdict.WORSE:
        st.warning(
            f"Training the top blocks made it worse: {counts} *Run again* with a lower learning "
            "rate of the top blocks, or without that stage.",
            icon=":material/trending_down:",
        )
    elif change.verdict is Verdict.BETTER:
        st.caption(f"Training the top blocks made it better: {counts}")
    else:
        st.caption(f"No clear change from training the top blocks: {counts}")


def _ways_on(run: Run) -> None:
    if run.info.active or run.info.model is None:
        return
    params = {"run": run.info.id, "set": run.info.config.dataset}
    with st.container(horizontal=True):
        st.page_link(
            COMPARE.file, label="See this head in Compare", icon=COMPARE.icon, query_params=params
        )
        st.page_link(
            FEATURE_MAPS.file,
            label="See its feature maps",
            icon=FEATURE_MAPS.icon,
            query_params={**params, "network": "head"},
        )
