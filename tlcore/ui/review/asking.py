"""A run's answers for the page: kept ones at once, others asked for with a bar to watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from tlcore.datasets.dataset import dataset_hash
from tlcore.evaluation.evaluation import Evaluation, evaluate
from tlcore.evaluation.judged import Judged
from tlcore.evaluation.predictions import Answers, judge, judging_part, kept
from tlcore.settings import Settings
from tlcore.ui.services import inference
from tlcore.ui.words import count, duration

NAMES = {"train": "training", "val": "validation", "test": "test"}
_SO_FAR = "_review-so-far"


def judged(run: str, part: str, settings: Settings) -> Judged:
    """Return a run's answers on one part.

    Whatever the person clicks meanwhile ends the waiting; what has been answered is remembered
    for the session, so that coming back goes on from there.
    """
    found = kept(run, part, settings)
    if found is not None:
        return found
    place, start = st.empty(), time.monotonic()

    def done(behind: int, whole: int) -> None:
        words = f"Answering the {NAMES[part]} part: {behind:,} of {count(whole, 'picture')}"
        if behind:
            left = (time.monotonic() - start) * (whole - behind) / behind
            words += f" · about {duration(max(1.0, left))} left"
        place.progress(behind / whole, text=f"{words} · any click stops it, nothing is lost")

    found = judge(run, part, settings, _remembering(run, settings), done)
    st.session_state.pop(_SO_FAR, None)
    place.empty()
    return found


def evaluated(run: str, part: str, settings: Settings) -> tuple[Evaluation, Judged]:
    """Return a run's numbers on one part and the answers that they come from."""
    found = judged(run, part, settings)
    train = judged(run, "train", settings)
    tested = judging_part(run, settings) == "test"
    return evaluate(found, train, dataset_hash(found.samples), tested=tested), found


def _remembering(run: str, settings: Settings) -> Callable[[Sequence[Path]], Answers]:
    so_far: dict[tuple[str, Path], Answers] = st.session_state.setdefault(_SO_FAR, {})

    def ask(paths: Sequence[Path]) -> Answers:
        key = (run, paths[0])
        if key not in so_far:
            so_far[key] = inference(settings).ask(
                "tlcore.inference.judging:answers", run, list(paths)
            )
        return so_far[key]

    return ask
