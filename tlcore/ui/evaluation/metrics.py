"""All metrics of a run on one split, with the diagrams that belong to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.intervals import Proportion
from tlcore.evaluation.metrics import (
    Calibration,
    ThresholdCurves,
    ThresholdMetrics,
    compute_threshold_metrics,
)
from tlcore.evaluation.split_predictions import SplitPredictions, evaluated_split
from tlcore.percentages import percent, points, probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.inference_requests import compute_run_curves
from tlcore.ui.theme import colours, template
from tlcore.ui.widgets import unique_labels

SQUARE = 300  # px of a diagram


def choose_split(run: Run, settings: Settings) -> str:
    """Let the person choose between the test and the validation split where there are both."""
    if evaluated_split(run.info.id, settings) == "val":
        return "val"
    splits = ["test", "val"]
    split = st.segmented_control(
        "Split",
        splits,
        default="test",
        required=True,
        format_func=unique_labels(splits, lambda split: f"{SPLIT_NAMES[split].capitalize()} split"),
        key=f"split-{run.info.id}",
        label_visibility="collapsed",
        help="No run has ever used the test split. The validation split was used in training.",
    )
    return str(split)


def draw_metrics(evaluation: Evaluation, predictions: SplitPredictions, settings: Settings) -> None:
    """Draw every metric of a split: over all, by class, calibration, decision threshold."""
    first, second, third, fourth = st.columns(4)
    first.metric(
        "Balanced accuracy",
        evaluation.balanced_accuracy.short_text,
        help="The mean recall of the classes: a rare class counts as much as a frequent one. In "
        "brackets its 95% interval. Classes without an image in this split are left out.",
    )
    second.metric(
        "Macro F1",
        f"{evaluation.macro_f1:.2f}",
        help="The mean over the classes of 2·correct ÷ (images + predictions); 1 is perfect.",
    )
    third.metric(
        "Log loss",
        f"{evaluation.log_loss:.2f}",
        help="Mean of −ln of the true class's probability: 0 is perfect, and "
        f"{math.log(len(evaluation.classes)):.2f} is guessing among "
        f"{len(evaluation.classes)} classes.",
    )
    fourth.metric(
        "Expected calibration error",
        points(evaluation.calibration.error),
        help="Mean distance of the reliability diagram from its diagonal, weighted by the number "
        "of predictions (Naeini et al., 2015).",
    )
    _draw_classes(evaluation)
    _draw_calibration(evaluation)
    if evaluation.binary is not None:
        _draw_threshold(predictions, settings)


def _draw_classes(evaluation: Evaluation) -> None:
    st.markdown("**Metrics of each class**")
    rows = [
        {
            "Class": label(each.label),
            "Images": each.images,
            "Recall": _short(each.recall),
            "Precision": _short(each.precision),
            "F1": each.f1,
        }
        for each in evaluation.per_class
    ]
    config = {
        "Recall": st.column_config.TextColumn(help="Share of its images that are recognised."),
        "Precision": st.column_config.TextColumn(help="Share of its predictions that are correct."),
        "F1": st.column_config.NumberColumn(
            format="%.2f", help="Harmonic mean of recall and precision."
        ),
    }
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=config, key="class-metrics")


def _short(share: Proportion | None) -> str:
    return "–" if share is None else share.short_text


def _draw_calibration(evaluation: Evaluation) -> None:
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    with left:
        st.markdown(
            "**Calibration: can the percentages be trusted?**",
            help="Reliability diagram: the predictions in ten bins of confidence; a larger dot "
            "stands for more predictions. On the dotted line confidence equals accuracy.",
        )
        draw_chart(reliability_diagram(evaluation.calibration), "reliability", "Reliability")
    with right:
        calibration = evaluation.calibration
        st.write(
            f"The mean confidence is {probability(calibration.confidence)} and the accuracy "
            f"{evaluation.accuracy.text}: {calibration.advice}."
        )


def _draw_threshold(predictions: SplitPredictions, settings: Settings) -> None:
    """Draw precision and recall of the second of two classes at a threshold, and both curves."""
    positive = label(predictions.classes[1])
    st.markdown(f"**Decision threshold for “{escape_md(positive)}”**")
    value = st.slider(
        "Threshold",
        0,
        100,
        50,
        format="%d%%",
        key=f"threshold-{predictions.run}-{predictions.split}",
        help=f"An image is classified as “{positive}” from this probability on.",
    )
    at = compute_threshold_metrics(predictions, value / 100)
    both = compute_run_curves(predictions, settings)
    first, second, third = st.columns(3)
    first.metric(
        f"Recall of {positive}", _short(at.recall), help=f"Missed: {at.false_negatives:,}."
    )
    second.metric(f"Precision of {positive}", _short(at.precision))
    third.metric("False positives", f"{at.false_positives:,}", help="Images of the other class.")
    left, right = st.columns(2, gap="large")
    with left:
        st.caption(f"ROC curve, area under it {both.roc_auc:.3f}")
        draw_chart(roc_curve(both, at), "roc", "ROC curve")
    with right:
        st.caption(f"Precision-recall curve, average precision {both.average_precision:.3f}")
        draw_chart(precision_recall_curve(both, at), "pr", "Precision over recall")


def reliability_diagram(calibration: Calibration) -> go.Figure:
    """Build accuracy over confidence; a calibrated model lies on the diagonal."""
    tone = colours()
    figure = _square("confidence", "accuracy")
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip",
        line={"color": tone.frozen, "dash": "dot", "width": 1.5},
    )  # fmt: skip
    most = max(each.images for each in calibration.bins)
    figure.add_scatter(
        x=[each.confidence for each in calibration.bins],
        y=[each.accuracy for each in calibration.bins],
        mode="lines+markers",
        line={"color": tone.head, "width": 2},
        marker={"size": [7 + 15 * (each.images / most) ** 0.5 for each in calibration.bins]},
        hovertext=[
            f"{plural(each.images, 'prediction')}<br>confidence {probability(each.confidence)}, "
            f"accuracy {percent(each.accuracy)}"
            for each in calibration.bins
        ],
        hoverinfo="text",
        cliponaxis=False,
    )
    return figure


def roc_curve(both: ThresholdCurves, at: ThresholdMetrics) -> go.Figure:
    """Build the ROC curve with the chosen threshold marked."""
    figure = _square("false positive rate", "true positive rate (recall)")
    _add_line(figure, [0, *both.false_positive_rate], [0, *both.recall])
    if at.recall and at.specificity:
        _add_point(figure, 1 - at.specificity.value, at.recall.value)
    return figure


def precision_recall_curve(both: ThresholdCurves, at: ThresholdMetrics) -> go.Figure:
    """Build precision over recall with the chosen threshold marked."""
    figure = _square("recall", "precision")
    _add_line(figure, [0, *both.recall], [both.precision[0], *both.precision])
    if at.recall and at.precision:
        _add_point(figure, at.recall.value, at.precision.value)
    return figure


def _square(x_title: str, y_title: str) -> go.Figure:
    figure = go.Figure(layout={"template": template()})
    figure.update_xaxes(range=[0, 1.01], tickformat=".0%", title=x_title)
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%", title=y_title)
    figure.update_layout(height=SQUARE, margin={"l": 60, "r": 12, "t": 10, "b": 44})
    return figure


def _add_line(figure: go.Figure, x: Sequence[float], y: Sequence[float]) -> None:
    line = {"color": colours().head, "width": 2.5}
    figure.add_scatter(
        x=x, y=y, mode="lines", line=line, hovertemplate="%{x:.1%}, %{y:.1%}<extra></extra>"
    )


def _add_point(figure: go.Figure, x: float, y: float) -> None:
    tone = colours()
    marker = {"size": 14, "color": tone.ground, "line": {"color": tone.head, "width": 3}}
    figure.add_scatter(
        x=[x], y=[y], mode="markers", hoverinfo="skip", cliponaxis=False, marker=marker
    )


def draw_chart(figure: go.Figure, key: str, alt: str) -> None:
    """Draw a figure of an evaluation."""
    st.plotly_chart(figure, theme=None, key=f"evaluation-{key}", config=PLAIN_CHART, alt=alt)
