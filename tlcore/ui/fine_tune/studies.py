"""How to improve a run: learning curve, cross-validation, learning-rate finder, backbones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from tlcore.percentages import percent, points
from tlcore.settings import Settings
from tlcore.training.config import OPTIMIZERS, RunConfig
from tlcore.training.run import Run
from tlcore.training.studies import (
    Improvement,
    LearningCurvePoint,
    LearningRateScan,
    judge_last_images,
    select_head_recipe,
)
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.fine_tune.backbones import backbones_view
from tlcore.ui.fine_tune.estimate import Plan
from tlcore.ui.fine_tune.options import set_value
from tlcore.ui.format import plural
from tlcore.ui.services import inference
from tlcore.ui.shell import boundary
from tlcore.ui.theme import colours, template
from tlcore.ui.widgets import unique_labels

LOWEST_RATE, HIGHEST_RATE = 1e-7, 1.0
FOLDS = 5  # of cross-validation; fewer where a class has fewer images
HEIGHT = 280  # px
BACKBONES = "backbones"
_SCANNED = "_rate-scanned"  # recipe and images of the latest learning-rate scan


@dataclass(frozen=True)
class Study:
    """A question about a run that more training answers."""

    title: str
    task: str  # of the inference worker
    text: str
    draw: Callable[[Any], None]


def studies_view(run: Run, settings: Settings) -> None:
    """Let the person choose a study; it trains heads on cached features, in seconds."""
    names = [*STUDIES, BACKBONES]
    titles = {name: study.title for name, study in STUDIES.items()} | {BACKBONES: "Backbones"}
    name = st.segmented_control(
        "Study",
        names,
        key=f"study-{run.info.id}",
        format_func=unique_labels(names, titles.__getitem__),
        label_visibility="collapsed",
    )
    if name is None:
        for study in STUDIES.values():
            st.markdown(f"**{study.title}**: {study.text}")
        st.markdown("**Backbones**: the same head on every backbone whose weights are here.")
    elif name == BACKBONES:
        backbones_view(run, settings)
    else:
        st.caption(STUDIES[name].text)
        with st.spinner("Training heads …"):
            result = run_study(name, run.info.id, settings)
        STUDIES[name].draw(result)


@st.cache_data(show_spinner=False, max_entries=50)
def run_study(name: str, run: str, _settings: Settings) -> object:
    """Return the result of a study of a run, computed once."""
    return inference(_settings).ask(STUDIES[name].task, run)


def draw_rate_finder(
    plan: Plan, recipe: RunConfig, classes: Sequence[str], settings: Settings
) -> None:
    """Offer to find a learning rate for the recipe of the form, and to put it there.

    The result disappears when another recipe is filled in.
    """
    scanned = f"{select_head_recipe(plan.config)}, {classes}, {plan.images_id}"
    if st.button(
        "Find a learning rate",
        icon=":material/troubleshoot:",
        type="tertiary",
        disabled=not plan.config.epochs,
        help="Raises the learning rate step by step with this recipe and finds where the loss "
        "falls. Missing features are computed first and cached for the run.",
    ):
        st.session_state[_SCANNED] = scanned
    if st.session_state.get(_SCANNED) != scanned or not plan.config.epochs:
        return
    with boundary():
        with st.spinner("Computing missing features, then training a head …"):
            scan = _scan(scanned, plan, classes, settings)
        draw_scan(scan)
        computed = f"; {plural(scan.computed, 'feature')} computed for it" if scan.computed else ""
        st.caption(f"For {_recipe_words(plan.config)}{computed}.")
        rate = min(HIGHEST_RATE, max(LOWEST_RATE, float(f"{scan.suggested:.1g}")))
        st.button(f"Use {rate:g}", icon=":material/check:", on_click=_use, args=(recipe, rate))


@st.cache_data(show_spinner=False, max_entries=50)
def _scan(
    scanned: str, _plan: Plan, _classes: Sequence[str], _settings: Settings
) -> LearningRateScan:
    scan: LearningRateScan = inference(_settings).ask(
        "tlcore.training.studies:find_learning_rate_for", _plan.config, _classes, _plan.train
    )
    return scan


def _use(recipe: RunConfig, rate: float) -> None:
    set_value("learning_rate", recipe, rate)
    st.session_state.pop(_SCANNED, None)


def _recipe_words(config: RunConfig) -> str:
    optimizer = OPTIMIZERS[config.optimizer].partition(":")[0]
    weights = {"balanced": ", class weights", "oversampling": ", oversampling"}
    return (
        f"{config.backbone} at {config.size} × {config.size}, {optimizer}, batches of "
        f"{config.batch_size}{weights.get(config.class_weights, '')}"
    )


def draw_scan(scan: LearningRateScan) -> None:
    """Draw the loss over the learning rate, with the suggested rate."""
    figure = _line_chart(scan.rates, scan.losses, "learning rate", "loss")
    figure.update_xaxes(type="log", exponentformat="power")
    figure.add_vline(x=scan.suggested, line={"dash": "dot", "color": colours().faint})
    st.plotly_chart(figure, theme=None, key="learning-rate-scan", config=PLAIN_CHART)
    st.caption(f"About {scan.suggested:.1g} is a good learning rate.")


def _draw_folds(accuracies: Sequence[float]) -> None:
    mean, deviation = float(np.mean(accuracies)), float(np.std(accuracies, ddof=1))
    st.metric(
        f"Accuracy over {len(accuracies)} folds",
        f"{percent(mean)} ± {points(deviation)}",
        help="Mean and standard deviation over the folds.",
    )
    st.caption(f"Of each fold: {', '.join(percent(share) for share in accuracies)}.")
    if len(accuracies) < FOLDS:
        st.caption(
            f":material/warning: Only {len(accuracies)} folds: a class has too few images for "
            "more, and the deviation says little."
        )


def _draw_learning_curve(points: Sequence[LearningCurvePoint]) -> None:
    images = [point.images for point in points]
    figure = _line_chart(
        images, [point.accuracy for point in points], "images of each class", "accuracy"
    )
    figure.data[0].error_y = {
        "type": "data",
        "symmetric": False,
        "array": [point.high - point.accuracy for point in points],
        "arrayminus": [point.accuracy - point.low for point in points],
    }
    figure.update_xaxes(type="log", tickvals=images, ticktext=[str(number) for number in images])
    lowest = min(point.low for point in points)
    figure.update_yaxes(tickformat=".0%", range=[min(0.5, lowest), 1.01])
    st.plotly_chart(figure, theme=None, key="learning-curve", config=PLAIN_CHART)
    st.caption("Mean of five draws with its 95% interval, on the validation split.")
    if improvement := judge_last_images(points):
        st.markdown(_improvement_words(improvement))


def _improvement_words(improvement: Improvement) -> str:
    before, after = improvement.before, improvement.after
    steps = f"from {before.images:,} to {after.images:,} images of each class"
    values = f"({percent(before.accuracy)} to {percent(after.accuracy)})"
    if improvement.clear:
        return f"The accuracy still rises {steps} {values}: more images are likely to help."
    return f"No clear change {steps} {values}: more images of this kind may help little."


def _line_chart(x: Sequence[float], y: Sequence[float], x_title: str, y_title: str) -> go.Figure:
    figure = go.Figure(layout={"template": template()})
    line = {"color": colours().head, "width": 2.5}
    figure.add_scatter(x=x, y=y, mode="lines+markers", line=line, name=y_title)
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title)
    figure.update_layout(height=HEIGHT, margin={"l": 56, "r": 8, "t": 10, "b": 44})
    return figure


STUDIES: Mapping[str, Study] = {
    "learning-curve": Study(
        "Learning curve",
        "tlcore.training.studies:compute_learning_curve",
        "accuracy with fewer images, five draws each, all with the same number of steps. Where it "
        "still rises, more images help.",
        _draw_learning_curve,
    ),
    "cross-validation": Study(
        "Cross-validation",
        "tlcore.training.studies:cross_validate",
        "accuracy on five different splits of the same images: how much depends on the split.",
        _draw_folds,
    ),
    "learning-rate": Study(
        "Learning-rate finder",
        "tlcore.training.studies:find_learning_rate",
        "the loss while the learning rate rises; the middle of its fall is a good rate.",
        draw_scan,
    ),
}
