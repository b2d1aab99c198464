"""One run as it goes: state, progress, curves, and what to do when it is over or has failed."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from tlcore.runs.events import STAGES, Stage
from tlcore.runs.store import (
    FAILED,
    FINISHED,
    QUEUED,
    STOPPED,
    Run,
    kill_run,
    load_run,
    log_tail,
    run_info,
    stop_run,
)
from tlcore.settings import Settings
from tlcore.ui.review.views import review
from tlcore.ui.run_actions import run_actions
from tlcore.ui.run_curves import run_curves
from tlcore.ui.run_list import chip
from tlcore.ui.sets import set_title
from tlcore.ui.shell import COMPARE, MAPS, boundary
from tlcore.ui.state import Choice, choose
from tlcore.ui.words import accuracy, count, duration, plain

PATIENCE = 20.0  # s after which a run that was asked to stop may be ended


def run_view(run: str, settings: Settings) -> None:
    """Draw a run; once a second while it works, in place.

    Raises:
        RunError: there is no such run.
    """
    st.button(
        "New run", icon=":material/add:", on_click=choose, args=(Choice.WATCHED, ""), key="new-run"
    )
    active = run_info(run, settings).active
    st.fragment(_live, run_every=1.0 if active else None)(run, active, settings)


def _live(run: str, was_active: bool, settings: Settings) -> None:
    with boundary():
        found = load_run(run, settings)
        if found.info.active != was_active:
            choose(Choice.HEAD, run)  # Compare shows it next
            st.rerun()  # the page once more: no more ticks, and its list is right
        with st.container(key="run"):
            _head(found)
            _progress(found, settings) if found.info.active else _outcome(found)
            if found.info.active or found.info.model is None:
                run_curves(found)
            else:
                review(found, settings)
            _ways_on(found)
            if not found.info.active:
                run_actions(found, settings)


def _head(run: Run) -> None:
    config = run.info.config
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        chip(run.info.state)
        st.markdown(
            f"**{plain(set_title(config.dataset))}** on {config.backbone}, "
            f"{config.size} × {config.size}",
            width="content",
        )
        if run.classes:
            parts = run.pictures
            st.caption(
                f"{count(len(run.classes), 'class', 'classes')}, {parts.get('train', 0):,} "
                f"pictures to learn from, {parts.get('val', 0):,} to judge by",
                width="content",
            )
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
    if run.info.state == QUEUED:
        return 0.0, "Waiting for its turn: other runs are at work …"
    if stage is None:
        return 0.0, "Starting: reading the pictures …"
    words = f"{_which(run)} · {STAGES[stage.stage]}"
    if progress is None or progress.time < stage.time or not progress.done:
        return 0.0, f"{words} …"
    share = min(1.0, progress.done / stage.steps)
    words += _speed(run)
    left = (progress.time - stage.time) * (1 - share) / share if share else 0.0
    more = f" · about {duration(max(1, round(left)))} left" if share < 1 else ""
    return share, f"{words} · {share:.0%}{more}"


def _speed(run: Run) -> str:
    """Return the pictures a second of the present stage, or "" while there is nothing to say."""
    stage, progress = run.stage, run.progress
    if stage is not None and stage.stage == "features" and progress is not None:
        seconds = progress.time - stage.time
        return f" · {progress.done / seconds:,.0f} pictures a second" if seconds > 1 else ""
    last = run.history[-1:]
    pictures = run.pictures.get("train", 0)
    return f" · {pictures / last[0].seconds:,.0f} pictures a second" if last else ""


def _which(run: Run) -> str:
    """Return "1 of 2": the number of the present stage among those of this run."""
    so_far = len({event.stage for event in run.events if isinstance(event, Stage)})
    config = run.info.config
    stages = 1 + bool(config.epochs) + bool(config.fine_tune_epochs)
    return f"{min(so_far, stages)} of {stages}"


def _outcome(run: Run) -> None:
    info = run.info
    if info.state == FAILED:
        st.error(plain(info.error), icon=":material/error:")
        with st.expander("The last lines of its log", icon=":material/article:"):
            st.code(log_tail(info.folder) or "It printed nothing.", language=None)
        return
    if info.state == STOPPED:
        kept = "What it had learned is kept." if info.model else "It had nothing to keep yet."
        st.info(plain(info.error) or f"Stopped. {kept}", icon=":material/stop:")
    if info.val_accuracy is not None:
        pictures = run.pictures.get("val", 0)
        st.metric(
            "Validation accuracy",
            accuracy(info.val_accuracy, pictures),
            help=f"Of {pictures} pictures it did not learn from; in brackets the range in which "
            "the true figure lies with 95% confidence.",
        )
        st.caption(f"Took {duration(info.seconds or 0)}.")
    for skipped in run.skipped:
        st.caption(f":material/warning: Left out {plain(skipped.file)}: {plain(skipped.reason)}")


def _ways_on(run: Run) -> None:
    if run.info.state not in (FINISHED, STOPPED) or run.info.model is None:
        return
    params = {"run": run.info.id, "set": run.info.config.dataset}
    with st.container(horizontal=True):
        st.page_link(
            COMPARE.file, label="See this head in Compare", icon=COMPARE.icon, query_params=params
        )
        st.page_link(
            MAPS.file,
            label="See its feature maps",
            icon=MAPS.icon,
            query_params={**params, "network": "head"},
        )
