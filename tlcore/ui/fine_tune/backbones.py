"""The same head on each backbone: trains what is missing, and lists the runs with a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from tlcore.evaluation.comparison import compare_validation
from tlcore.models.weights import list_weights
from tlcore.percentages import signed_points
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.run import Run, RunInfo, write_notes
from tlcore.training.status import FAILED, STOPPED
from tlcore.training.store import list_runs, load_run_info
from tlcore.ui.components.live import live
from tlcore.ui.fine_tune.run_list import runs_table
from tlcore.ui.format import duration, plural
from tlcore.ui.services import start_run_once

MOST = 6  # other backbones
TAG = "backbones"


def backbones_view(run: Run, settings: Settings) -> None:
    """Offer to train the missing runs, and list all of them; live while one trains."""
    _offer_training(run, settings)

    def is_active() -> bool:
        return any(info.active for info in _list_heads(run, settings).values() if info)

    live(is_active, lambda: _draw_table(run, settings), every=2.0)


def _offer_training(run: Run, settings: Settings) -> None:
    heads = _list_heads(run, settings)
    if not heads:
        st.info("The weights of no other backbone are here. The Compare page downloads them.")
    lost = (FAILED, STOPPED)
    missing = [each for each, info in heads.items() if info is None or info.status in lost]
    if not missing:
        return
    images, seconds = sum(run.info.images.values()), run.info.seconds
    took = f"; this run took {duration(seconds)}" if seconds else ""
    st.caption(
        f"The same head on {', '.join(each.backbone for each in missing)}: each computes features "
        f"of {plural(images, 'image')}, unless they are cached{took}. The runs are queued in the "
        "list below, where they can be cancelled."
    )
    words = f"Train {plural(len(missing), 'head')}"
    if st.button(words, icon=":material/play_arrow:", key="train-backbones"):
        for config in missing:
            new = load_run_info(start_run_once(config, settings), settings)
            if not new.notes.tags:
                write_notes(new.folder, new.notes.name, new.notes.note, [TAG])
        st.toast(f"{plural(len(missing), 'run')} queued.")
        st.rerun()


def _draw_table(run: Run, settings: Settings) -> None:
    runs = [info for info in _list_heads(run, settings).values() if info]
    if not runs:
        return
    verdicts = {}
    for info in runs:
        difference = None if info.active else compare_validation(run.info, info)
        if difference:
            change = signed_points(difference.value)
            verdicts[info.id] = f"{difference.verdict} ({change})"
    ranked = sorted([run.info, *runs], key=lambda info: -(info.val_accuracy or 0.0))
    runs_table(ranked, settings, name=TAG, column=("Compared with this run", verdicts))
    st.caption(
        "The same head and recipe on each frozen backbone, at its own input size, on the same "
        "validation images. The verdict counts on which images the two runs differ (McNemar's "
        "exact test)."
    )


def _list_heads(run: Run, settings: Settings) -> dict[RunConfig, RunInfo | None]:
    """Return the recipe for each backbone with its newest run on the same images.

    A fine-tuned run is compared with heads alone, its own backbone among them.
    """
    own = run.info.config
    alone: dict[str, Any] = {
        "unfreeze_from": "",
        "fine_tune_epochs": 0,
        "fine_tune_learning_rate": 0.0,
        "epochs": own.epochs or RunConfig(dataset="").epochs,
        "random_weights": False,
    }
    available = [row.backbone.name for row in list_weights(settings) if row.no_top is not None]
    names = [name for name in available if name != own.backbone][:MOST]
    recipes = [replace(own, backbone=name, size=0, **alone) for name in names]
    if own.fine_tune_epochs and own.backbone in available:
        recipes.append(replace(own, **alone))
    images = ("", run.info.data_hash)  # a queued run has none yet
    infos = [i for i in list_runs(settings) if i.data_hash in images and i.id != run.info.id]
    newest = {info.config: info for info in reversed(infos)}
    return {recipe: newest.get(recipe) for recipe in recipes}
