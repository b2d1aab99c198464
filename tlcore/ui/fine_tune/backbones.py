"""Which backbone? The same head on each of them, as runs that train side by side with a board."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import streamlit as st

from tlcore.evaluation.comparison import compare_validation
from tlcore.evaluation.intervals import proportion_of
from tlcore.models.weights import ready
from tlcore.percentages import percent, signed_points
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.run import Run, RunInfo, write_notes
from tlcore.training.status import FAILED, STOPPED
from tlcore.training.store import list_runs, load_run_info
from tlcore.ui.fine_tune.run_list import STATES
from tlcore.ui.format import count, duration
from tlcore.ui.services import processes
from tlcore.ui.shell import boundary

OTHERS = 6  # backbones beside the run's own
TAG = "leaderboard"
Board = dict[str, tuple[RunConfig, RunInfo | None]]  # backbone → the recipe, and its run


def offer_board(run: Run, settings: Settings) -> None:
    """Say what the board lacks and what it takes, and train that when it is wanted."""
    missing = _missing(run, settings)
    if not missing:
        return
    images, took = sum(run.info.images.values()), run.info.seconds
    st.caption(
        f"The same head on {', '.join(missing)}: each sends {count(images, 'image')} through "
        "its network once, where their features are not kept yet"
        + (f"; this run took {duration(took)} in all. " if took else ". ")
        + "They wait for each other in the list, where they can be taken back."
    )
    words = f"Train {count(len(missing), 'head')}"
    if st.button(words, icon=":material/play_arrow:", key="start-board"):
        _start(missing, run, settings)
        st.rerun()  # the list of runs lies outside of this part of the page


def _missing(run: Run, settings: Settings) -> dict[str, RunConfig]:
    """Return the recipe for each backbone that is here and has no such run yet."""
    return {name: config for name, (config, info) in _board(run, settings).items()
            if info is None or info.status in (FAILED, STOPPED)}  # fmt: skip


def _start(missing: dict[str, RunConfig], run: Run, settings: Settings) -> None:
    alike = [info.config for info in list_runs(settings)]
    for name, config in missing.items():
        # A double click finds the first one's run; what was deleted or has failed may come again.
        token = f"{TAG} {run.info.id} {name} {alike.count(config)}"
        new = load_run_info(processes().start_run(token, config, settings), settings)
        if not new.notes.tags:
            write_notes(new.folder, new.notes.name, new.notes.note, [TAG])
    st.toast(f"{count(len(missing), 'run')} queued.")


def backbone_comparison(run: Run, settings: Settings) -> None:
    """Draw the board, best first; live while one of its runs works."""
    infos = [info for _, info in _board(run, settings).values() if info]
    active = any(info.active for info in infos)
    st.fragment(_draw, run_every=2.0 if active else None)(run, active, settings)


def _draw(run: Run, was_active: bool, settings: Settings) -> None:
    with boundary():
        planned = _board(run, settings)
        infos = {run.info.id: run.info}
        infos |= {info.id: info for _, info in planned.values() if info}
        if was_active and not any(info.active for info in infos.values()):
            st.rerun()
        if not planned:
            st.info("The weights of no other backbone are here. Compare offers to fetch them.")
        if len(infos) == 1:
            return
        ranked = sorted(infos.values(), key=_worse)
        st.table(pd.DataFrame([_row(info, run) for info in ranked]).set_index("Backbone"))
        st.caption(
            "The same head and recipe on each backbone, at its own input size, the backbone "
            "frozen, judged by the same validation images. In brackets the 95% interval; the "
            "verdict beside this run counts on which images the two differ (McNemar's exact "
            "test). The time is that of the whole run, the features included where they had not "
            "been kept."
        )


def _row(info: RunInfo, run: Run) -> dict[str, str]:
    tuned = ", top blocks too" if info.config.fine_tune_epochs else ""
    this = " (this run)" if info.id == run.info.id else ""
    return {
        "Backbone": f"{info.config.backbone}{tuned}{this}",
        "Validation accuracy": _share(info),
        "Beside this run": _verdict(info, run.info),
        "Loss": "" if info.val_loss is None else f"{info.val_loss:.3g}",
        "Size": f"{info.config.size} px",
        "Took": duration(info.seconds) if info.seconds else "",
    }


def _share(info: RunInfo) -> str:
    """Return "94% (90–97)", or where the run is as long as there is none."""
    if info.val_accuracy is None:
        return STATES[info.status][0]
    images = info.images.get("val", 0)
    if not images:
        return percent(info.val_accuracy)
    return proportion_of(round(info.val_accuracy * images), images).short_text


def _verdict(info: RunInfo, this: RunInfo) -> str:
    """Return "better (+3.3 points)", or nothing where nothing is known."""
    change = None if info.id == this.id or info.active else compare_validation(this, info)
    return f"{change.verdict} ({signed_points(change.value)})" if change else ""


def _worse(info: RunInfo) -> tuple[float, float]:
    loss = math.inf if info.val_loss is None or math.isnan(info.val_loss) else info.val_loss
    return (1.0 if info.val_accuracy is None else -info.val_accuracy, loss)


def _board(run: Run, settings: Settings) -> Board:
    """Return the recipe for each backbone with its newest run on the same images, if any.

    A run that let its top blocks learn too is held against heads alone: its own backbone is among
    them then.
    """
    own = run.info.config
    here = [row.backbone.name for row in ready(settings) if row.no_top is not None]
    names = [name for name in here if name != own.backbone][:OTHERS]
    configs = {name: _head_on(name, own) for name in names}
    if own.fine_tune_epochs and own.backbone in here:
        configs[own.backbone] = _head_on(own.backbone, own)
    images = ("", run.info.data_hash)  # of one that waits it is not known yet
    infos = [i for i in list_runs(settings) if i.data_hash in images and i.id != run.info.id]
    return {
        name: (config, next((info for info in infos if info.config == config), None))
        for name, config in configs.items()
    }


def _head_on(backbone: str, config: RunConfig) -> RunConfig:
    return dataclasses.replace(
        config,
        backbone=backbone,
        size=config.size if backbone == config.backbone else 0,
        unfreeze_from="",
        fine_tune_epochs=0,
        fine_tune_learning_rate=0.0,
        epochs=config.epochs or RunConfig(dataset="").epochs,
        random_weights=False,
    )
