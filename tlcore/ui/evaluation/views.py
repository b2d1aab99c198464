"""The views of a run that has ended, one of which is looked at. A view more is a line more."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from tlcore.evaluation.corrections import corrected_run
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.evaluation.comparison import comparison_view
from tlcore.ui.evaluation.embedding import embedding_view
from tlcore.ui.evaluation.export import export_view
from tlcore.ui.evaluation.label_issues import label_issues_view
from tlcore.ui.evaluation.metrics import metrics_view
from tlcore.ui.evaluation.mistakes import mistakes_view
from tlcore.ui.fine_tune.curves import run_curves
from tlcore.ui.fine_tune.studies import run_studies
from tlcore.ui.shell import boundary
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.widgets import segments

View = Callable[[Run, Settings], None]
CURVES, AGAINST = "curves", "against"


def evaluation_views(run: Run, settings: Settings) -> None:
    """Let the person choose a view of a run that has ended with a network, and draw it."""
    if chosen(Choice.RUN_VIEW) not in VIEWS:  # a run that mends another is held against it first
        choose(Choice.RUN_VIEW, AGAINST if corrected_run(run.info) else CURVES)
    view = segments("View", list(VIEWS), Choice.RUN_VIEW, words=lambda name: VIEWS[name][0])
    with st.container(key=f"review-{view}"), boundary():  # what is below stays within reach
        VIEWS[view][1](run, settings)


def _curves(run: Run, settings: Settings) -> None:
    run_curves(run)
    run_studies(run, settings)


# what it is called in the address → words, what draws it
VIEWS: Mapping[str, tuple[str, View]] = {
    CURVES: ("Curves", _curves),
    "numbers": ("How good is it?", metrics_view),
    "mistakes": ("Mistakes", mistakes_view),
    "suspects": ("Wrong labels?", label_issues_view),
    "map": ("Map", embedding_view),
    AGAINST: ("Against another run", comparison_view),
    "hand-over": ("Hand over", export_view),
}
