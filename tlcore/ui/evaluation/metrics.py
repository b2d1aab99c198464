"""The confusion matrix as a table whose cells can be clicked, or reached with Tab and Enter."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.evaluation import Evaluation, unlabelled_note
from tlcore.evaluation.intervals import Proportion
from tlcore.evaluation.metrics import (
    Calibration,
    ThresholdCurves,
    ThresholdMetrics,
    compute_threshold_metrics,
)
from tlcore.evaluation.predictions import SplitPredictions, evaluated_split
from tlcore.percentages import percent, points, probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.evaluation.corrections import corrections_line
from tlcore.ui.format import count, label, plain
from tlcore.ui.questions import compute_run_curves, evaluate_run
from tlcore.ui.theme import Colours, colours, template
from tlcore.ui.widgets import distinct

MOST = 16  # classes drawn: those with the most mistakes


def drawn_classes(found: Evaluation) -> list[int]:
    """Return the indices of the classes that are drawn, in order."""
    counts = np.array(found.confusion_matrix)
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    most = np.argsort(-wrong, kind="stable")[:MOST]
    return sorted(most.tolist())


def matrix_html(found: Evaluation, chosen: tuple[int, int] | None) -> str:
    """Return rows of true classes and columns of what was said, darker with more images."""
    shown = drawn_classes(found)
    names = [html.escape(label(found.classes[index])) for index in shown]
    head = "".join(f'<th scope="col" title="{name}"><span>{name}</span></th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row" title="{name}"><span>{name}</span></th>'
        + "".join(_cell(found, true, said, chosen) for said in shown)
        + "</tr>"
        for true, name in zip(shown, names, strict=True)
    )
    wide = " many" if len(shown) > 3 else ""
    return (
        f'<div class="matrix"><table class="confusion{wide}">'
        f"<thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(found: Evaluation, true: int, said: int, chosen: tuple[int, int] | None) -> str:
    number = found.confusion_matrix[true][said]
    kind = "right" if true == said else "wrong"
    whole = max(1, sum(found.confusion_matrix[true]))
    if not number:
        return f'<td class="{kind} none">0</td>'
    words = f"{number} of {label(found.classes[true])} called {label(found.classes[said])}"
    mark = " chosen" if chosen == (true, said) else ""
    return (
        f'<td class="{kind}{mark}" data-pick="{true}-{said}" tabindex="0" role="button" '
        f'aria-label="{html.escape(words)}" title="{html.escape(words)}" '
        f'style="--share:{number / whole:.3f}">{number:,}</td>'
    )


# Charts of an evaluation. Figures only; nothing is drawn on a page here.


ROW = 54  # px of a share with its name above
SQUARE = 300  # px of a diagram


@dataclass(frozen=True)
class Named:
    """A share with its name and colour."""

    name: str
    share: Proportion
    colour: str


def shares(rows: Sequence[Named], tone: Colours, template: go.layout.Template) -> go.Figure:
    """Shares on one scale from 0 to 100%: a dot with its 95% interval, the name above."""
    figure = go.Figure(layout={"template": template})
    for place, row in enumerate(rows):
        share = row.share
        figure.add_scatter(
            x=[share.low, share.high], y=[place, place], mode="lines", hoverinfo="skip",
            line={"color": row.colour, "width": 3}, opacity=0.45, cliponaxis=False,
        )  # fmt: skip
        figure.add_scatter(
            x=[share.value], y=[place], mode="markers", marker={"size": 13, "color": row.colour},
            hovertext=f"{row.name}<br>{share.value:.4%}", hoverinfo="text", cliponaxis=False,
        )  # fmt: skip
        for x, text, where in ((0, row.name, "right"), (1, f"<b>{share.text}</b>", "left")):
            figure.add_scatter(
                x=[x], y=[place - 0.36], mode="text", text=[text], hoverinfo="skip",
                textposition=f"middle {where}", cliponaxis=False,
            )  # fmt: skip
    figure.update_xaxes(range=[0, 1], tickformat=".0%", dtick=0.25)
    figure.update_yaxes(range=[len(rows) - 0.6, -0.7], visible=False)
    figure.update_layout(height=ROW * len(rows) + 40, margin={"l": 8, "r": 8, "t": 2, "b": 26})
    return figure


def reliability(found: Calibration, tone: Colours, template: go.layout.Template) -> go.Figure:
    """How often it was right, over how sure it was; a perfect network lies on the diagonal."""
    figure = _square(tone, template, "how sure it was", "how often it was right")
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip",
        line={"color": tone.frozen, "dash": "dot", "width": 1.5},
    )  # fmt: skip
    most = max(each.images for each in found.bins)
    figure.add_scatter(
        x=[each.confidence for each in found.bins],
        y=[each.accuracy for each in found.bins],
        mode="lines+markers",
        line={"color": tone.head, "width": 2},
        marker={"size": [7 + 15 * (each.images / most) ** 0.5 for each in found.bins]},
        hovertext=[
            f"{count(each.images, 'answer')}<br>{probability(each.confidence)} sure, "
            f"{percent(each.accuracy)} right"
            for each in found.bins
        ],
        hoverinfo="text",
        cliponaxis=False,
    )
    return figure


def roc(
    found: ThresholdCurves, at: ThresholdMetrics, tone: Colours, template: go.layout.Template
) -> go.Figure:
    """What is found over what is called so by mistake, with the chosen threshold marked."""
    figure = _square(tone, template, "false alarms", "found")
    _line(figure, [0, *found.false_positive_rate], [0, *found.recall], tone)
    if at.recall and at.specificity:
        _point(figure, 1 - at.specificity.value, at.recall.value, tone)
    return figure


def precision_recall(
    found: ThresholdCurves, at: ThresholdMetrics, tone: Colours, template: go.layout.Template
) -> go.Figure:
    """How much of what is called so is so, over what is found."""
    figure = _square(tone, template, "found (recall)", "right of those called so (precision)")
    _line(figure, [0, *found.recall], [found.precision[0], *found.precision], tone)
    if at.recall and at.precision:
        _point(figure, at.recall.value, at.precision.value, tone)
    return figure


def _square(tone: Colours, template: go.layout.Template, across: str, up: str) -> go.Figure:
    figure = go.Figure(layout={"template": template})
    figure.update_xaxes(range=[0, 1.01], tickformat=".0%", title=across)
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%", title=up)
    figure.update_layout(height=SQUARE, margin={"l": 60, "r": 12, "t": 10, "b": 44})
    return figure


def _line(figure: go.Figure, x: Sequence[float], y: Sequence[float], tone: Colours) -> None:
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"color": tone.head, "width": 2.5},
        hovertemplate="%{x:.1%}, %{y:.1%}<extra></extra>",
    )  # fmt: skip


def _point(figure: go.Figure, x: float, y: float, tone: Colours) -> None:
    figure.add_scatter(
        x=[x], y=[y], mode="markers", hoverinfo="skip", cliponaxis=False,
        marker={"size": 14, "color": tone.ground, "line": {"color": tone.head, "width": 3}},
    )  # fmt: skip


# How good is it? The numbers with their doubt, what they are held against, what they hide.


def metrics_view(run: Run, settings: Settings) -> None:
    """Judge a run by its test part, or by validation, and say by which."""
    part = choose_part(run, settings)
    found, judged = evaluate_run(run.info.id, part, settings)
    if part == "test":  # of validation it stands beside the accuracy above
        corrections_line(run.info, part, settings, with_changes_since=False)
    for words in found.warnings:
        st.warning(plain(words), icon=":material/warning:")
    left, right = st.columns([7, 5], gap="large")
    with left:
        _against(found)
    with right:
        _figures(found)
    _classes(found)
    _calibration(found)
    if found.binary is not None:
        _threshold(judged, settings)


def choose_part(run: Run, settings: Settings) -> str:
    """Let the person choose between test and validation where there are both."""
    if evaluated_split(run.info.id, settings) == "val":
        return "val"
    parts = ["test", "val"]
    part = st.segmented_control(
        "Judged by",
        parts,
        default="test",
        required=True,
        format_func=distinct(parts, lambda part: f"The {SPLIT_NAMES[part]} part"),
        key=f"part-{run.info.id}",
        help="No run has ever looked at the test part. Validation was watched while it learned.",
    )
    return str(part)


def _against(found: Evaluation) -> None:
    """The head on one scale with what one reaches without it."""
    tone = colours()
    rows = [Named("this head", found.accuracy, tone.head)]
    if found.imagenet_accuracy is not None:
        rows.append(Named("ImageNet alone", found.imagenet_accuracy, tone.pretrained))
    majority = f"“{label(found.majority_baseline.label)}”"
    rows.append(Named(f"always {majority}", found.majority_baseline.accuracy, tone.frozen))
    st.markdown(
        f"**Accuracy on the {SPLIT_NAMES[found.split]} part**",
        help=f"The range holds the true figure with 95% confidence. {found.imagenet_note} "
        "The last row always says the training part's most frequent class.",
    )
    chart(shares(rows, tone, template()), "shares", f"Accuracy {found.accuracy.text}")
    st.markdown(plain(found.majority_baseline.difference.sentence(f"always saying {majority}")))
    if found.imagenet_difference is not None:
        st.markdown(plain(found.imagenet_difference.sentence("ImageNet alone")))
    if found.imagenet_accuracy is None:
        st.caption(f"ImageNet alone: {found.imagenet_note[0].lower()}{found.imagenet_note[1:]}")
    if found.imagenet_unlabelled:
        st.caption(f"ImageNet alone: {unlabelled_note(found.imagenet_unlabelled)}.")


def _figures(found: Evaluation) -> None:
    st.metric(
        "Balanced accuracy",
        found.balanced_accuracy.short_text,
        help="The mean over the classes of the share that is recognised: a rare class counts as "
        "much as a frequent one. In brackets its 95% interval. Classes without a judged image "
        "are left out.",
    )
    left, right = st.columns(2)
    left.metric(
        "Macro F1",
        f"{found.macro_f1:.2f}",
        help="The mean over the classes of 2·right ÷ (images + answers); 1 is perfect.",
    )
    right.metric(
        "Log loss",
        f"{found.log_loss:.2f}",
        help="Mean of −ln of the true class's probability: 0 is perfect, and "
        f"{math.log(len(found.classes)):.2f} is knowing nothing of {len(found.classes)} classes.",
    )


def _classes(found: Evaluation) -> None:
    st.markdown("**Class by class**")
    frame = pd.DataFrame(
        {
            "Class": [label(each.label) for each in found.per_class],
            "Images": [each.images for each in found.per_class],
            "Recognised": [_short(each.recall) for each in found.per_class],
            "Right when it says so": [_short(each.precision) for each in found.per_class],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "Recognised": st.column_config.TextColumn(help="Recall: share of its images."),
            "Right when it says so": st.column_config.TextColumn(
                help="Precision: share of these answers that are right."
            ),
        },
    )


def _short(share: Proportion | None) -> str:
    return "not known" if share is None else share.short_text


def _calibration(found: Evaluation) -> None:
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    with left:
        st.markdown(
            "**Can its percentages be trusted?**",
            help="Reliability diagram: the answers in ten bins by how sure it was; the larger a "
            "dot, the more answers. On the dotted line percentages mean what they say.",
        )
        chart(reliability(found.calibration, colours(), template()), "reliability", "Reliability")
    with right:
        known = found.calibration
        st.metric(
            "Expected calibration error",
            points(known.error),
            help="Mean distance from the dotted line, weighed by answers (Naeini et al., 2015).",
        )
        st.write(
            f"It was {probability(known.confidence)} sure on average and right on "
            f"{found.accuracy.text}: {known.advice}."
        )


def _threshold(judged: SplitPredictions, settings: Settings) -> None:
    """Where two classes part: what a threshold finds, and what it costs."""
    positive_class = label(judged.classes[1])
    st.markdown(f"**From when on is it “{plain(positive_class)}”?**")
    value = st.slider(
        "Threshold",
        0,
        100,
        50,
        format="%d%%",
        key=f"threshold-{judged.run}-{judged.split}",
        help=f"An image is called “{positive_class}” from this probability on.",
    )
    at, found = compute_threshold_metrics(judged, value / 100), compute_run_curves(judged, settings)
    first, second, third = st.columns(3)
    first.metric(
        f"{positive_class} found", _short(at.recall), help=f"Missed: {at.false_negatives:,}."
    )
    second.metric("Right of those called so", _short(at.precision))
    third.metric("False alarms", f"{at.false_positives:,}", help="Images of the other class.")
    left, right = st.columns(2, gap="large")
    tone, look = colours(), template()
    with left:
        st.caption(f"ROC curve, area {found.roc_auc:.3f}")
        chart(roc(found, at, tone, look), "roc", "ROC curve")
    with right:
        st.caption(f"Precision and recall, average precision {found.average_precision:.3f}")
        chart(precision_recall(found, at, tone, look), "pr", "Precision over recall")


def chart(figure: go.Figure, key: str, words: str) -> None:
    """Draw a figure of the review."""
    st.plotly_chart(figure, theme=None, key=f"review-{key}", config=PLAIN_CHART, alt=words)
