"""The views of a finished run, one of which is open. A further view is a further line in VIEWS."""

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
from tlcore.ui.evaluation.mistakes import mistakes_view
from tlcore.ui.evaluation.summary import summary_view
from tlcore.ui.fine_tune.curves import curves_view
from tlcore.ui.fine_tune.studies import studies_view
from tlcore.ui.shell import boundary
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.widgets import segments

View = Callable[[Run, Settings], None]
SUMMARY, COMPARE = "summary", "compare"
# value of ``view`` in the address → title of the view, function that draws it
VIEWS: Mapping[str, tuple[str, View]] = {
    SUMMARY: ("Summary", summary_view),
    "mistakes": ("Mistakes", mistakes_view),
    "label-issues": ("Label issues", label_issues_view),
    "curves": ("Curves", curves_view),
    "embedding": ("Embedding", embedding_view),
    COMPARE: ("Compare runs", comparison_view),
    "improve": ("Improve", studies_view),
    "export": ("Export", export_view),
}


def evaluation_views(run: Run, settings: Settings) -> None:
    """Let the person choose a view of a run that has a model, and draw it.

    A run on corrected labels opens beside the run whose mistakes led to it.
    """
    if chosen(Choice.RUN_VIEW) not in VIEWS:
        choose(Choice.RUN_VIEW, COMPARE if corrected_run(run.info) else SUMMARY)
    with st.container(key="views"):
        view = segments("View", list(VIEWS), Choice.RUN_VIEW, words=lambda name: VIEWS[name][0])
    with st.container(key=f"view-{view}"), boundary():  # an error leaves what is below in place
        VIEWS[view][1](run, settings)
