"""A run's answers for the page: kept ones at once, others asked for with a bar to watch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from tlcore.datasets.dataset import SPLIT_NAMES, dataset_hash
from tlcore.evaluation.evaluation import Evaluation, evaluate
from tlcore.evaluation.judged import Judged
from tlcore.evaluation.predictions import Answers, judge, judging_part, kept
from tlcore.settings import Settings
from tlcore.ui.services import inference
from tlcore.ui.words import count, duration


def judged(run: str, part: str, settings: Settings) -> Judged:
    """Return a run's answers on one part.

    Whatever the person clicks meanwhile ends the waiting; what has been answered is kept with the
    run, so that coming back goes on from there.
    """
    found = kept(run, part, settings)
    if found is not None:
        return found
    place, start = st.empty(), time.monotonic()
    began: list[int] = []  # how many were kept

    def done(behind: int, whole: int) -> None:
        began.append(behind)
        words = f"Answering the {SPLIT_NAMES[part]} part: {behind:,} of {count(whole, 'picture')}"
        if behind > began[0]:
            left = (time.monotonic() - start) * (whole - behind) / (behind - began[0])
            words += f" · about {duration(max(1.0, left))} left"
        place.progress(behind / whole, text=f"{words} · any click stops it, nothing is lost")

    def ask(paths: Sequence[Path]) -> Answers:
        answers: Answers = inference(settings).ask(
            "tlcore.inference.judging:answers", run, list(paths)
        )
        return answers

    found = judge(run, part, settings, ask, done)
    place.empty()
    return found


def evaluated(run: str, part: str, settings: Settings) -> tuple[Evaluation, Judged]:
    """Return a run's numbers on one part and the answers that they come from."""
    found = judged(run, part, settings)
    train = judged(run, "train", settings)
    tested = judging_part(run, settings) == "test"
    return evaluate(found, train, dataset_hash(found.samples), tested=tested), found
