"""The curves of a run: what it learned, epoch by epoch and stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import streamlit as st

from tlcore.training.events import Epoch, Progress, Stage
from tlcore.training.kept import turn
from tlcore.training.run import Run
from tlcore.ui.plots import PLAIN_CHART
from tlcore.ui.theme import colours, template
from tlcore.ui.tune.plots import curves, lost
from tlcore.ui.words import count, duration

LEGEND = """<div class="legend"><span class="head">on pictures it has not seen
(validation)</span> <span>on those it learns from (training)</span></div>"""
NAMES = {"head": "head", "fine-tune": "top blocks"}


def run_curves(run: Run) -> None:
    """Draw accuracy and loss of all epochs; nothing for a run that ended before its first."""
    history = run.history
    if not history and not run.info.active:
        return
    st.html(LEGEND)
    planned = _planned(run)
    last = history[-1].time if history else 0.0
    drawn = (run.info.id, len(history), last, tuple(planned.items()), str(colours()))
    words = f"Curves of accuracy and loss over {count(len(history), 'epoch')}"
    figure = _figure(drawn, planned, history)
    st.plotly_chart(figure, theme=None, key="curves", config=PLAIN_CHART, alt=words)
    if words := turn(run):
        st.info(words, icon=":material/u_turn_right:")
    if stages := _stages(run):
        st.caption(f"Stages: {' → '.join(stages)}")
    if missing := lost(history):
        st.warning(
            f"The loss of {count(missing, 'epoch')} is no finite number and is not on the chart: "
            "it has diverged. Run it again with a lower learning rate.",
            icon=":material/trending_up:",
        )


def _planned(run: Run) -> dict[str, int]:
    """The epochs of each stage: as planned while it works, as they were when it has ended."""
    history, config = run.history, run.info.config
    done = {stage: sum(epoch.stage == stage for epoch in history) for stage in NAMES}
    if not run.info.active:
        return done
    head = done["head"] if done["fine-tune"] else config.epochs  # it may have stopped early
    return {"head": head, "fine-tune": config.fine_tune_epochs}


def _stages(run: Run) -> list[str]:
    """The stages with what they took: "features of 244 pictures: 3.2 s"."""
    said = []
    begun = [event for event in run.events if isinstance(event, Stage)]
    features = [event for event in begun if event.stage == "features"]
    if features and not features[0].steps:
        said.append("features kept from an earlier run")
    elif features:
        seen = [event for event in run.events
                if isinstance(event, Progress) and event.stage == "features"]  # fmt: skip
        waited = [event.time for event in seen if not event.done]
        loaded = waited[-1] if waited else features[0].time
        took = ""
        if len(features) == 1 and seen and seen[-1].done:
            took = f": {duration(seen[-1].time - loaded)}"
            if waited:
                said.append(f"network loaded: {duration(loaded - features[0].time)}")
        said.append(f"features of {count(features[0].steps, 'picture')}{took}")
    for stage, name in NAMES.items():
        epochs = [epoch for epoch in run.history if epoch.stage == stage]
        if epochs:
            seconds = sum(epoch.seconds for epoch in epochs)
            said.append(f"{name}: {count(len(epochs), 'epoch')} in {duration(seconds)}")
    return said


@st.cache_resource(show_spinner=False, max_entries=64)
def _figure(
    drawn: tuple[object, ...], _planned: Mapping[str, int], _history: Sequence[Epoch]
) -> go.Figure:
    """Draw the curves once for everybody who looks at the run: each page asks once a second.

    Args:
        drawn: what the figure depends on; the other arguments are what it is made of.
    """
    return curves(_history, _planned, colours(), template())
