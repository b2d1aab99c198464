"""The curves of a run: what it learned, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from tlcore.runs.events import Epoch
from tlcore.runs.store import Run
from tlcore.ui.compare_view import PLAIN_CHART
from tlcore.ui.plots import curves
from tlcore.ui.theme import colours, template
from tlcore.ui.words import count

LEGEND = """<div class="legend"><span class="head">on pictures it has not seen
(validation)</span> <span>on those it learns from (training)</span></div>"""


def run_curves(run: Run) -> None:
    """Draw accuracy and loss of all epochs; nothing for a run that ended before its first."""
    history, config = run.history, run.info.config
    if not history and not run.info.active:
        return
    st.html(LEGEND)
    # Where the second stage began; the first may have ended early.
    first = sum(epoch.stage == "head" for epoch in history)
    ended = first < len(history) or not run.info.active
    boundary = (first if ended else config.epochs) if config.fine_tune_epochs else None
    planned = config.epochs + config.fine_tune_epochs if run.info.active else len(history)
    for column, what in zip(st.columns(2, gap="medium"), ("accuracy", "loss"), strict=True):
        with column:
            st.markdown(f"**{what.capitalize()}**")
            last = history[-1].time if history else 0.0
            drawn = (run.info.id, len(history), last, what, planned, boundary, str(colours()))
            figure = _figure(drawn, what, planned, boundary, history)
            words = f"Curve of the {what} over {count(len(history), 'epoch')}"
            st.plotly_chart(figure, theme=None, key=f"curve-{what}", config=PLAIN_CHART, alt=words)


@st.cache_resource(show_spinner=False, max_entries=64)
def _figure(
    drawn: tuple[object, ...],
    _what: str,
    _planned: int,
    _boundary: int | None,
    _history: Sequence[Epoch],
) -> go.Figure:
    """Draw a curve once for everybody who looks at the run: each page asks once a second.

    Args:
        drawn: what the figure depends on; the other arguments are what it is made of.
    """
    return curves(_history, _what, _planned, _boundary, colours(), template())
