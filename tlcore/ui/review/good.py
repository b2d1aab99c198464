"""How good is it? The numbers with their doubt, what they are held against, what they hide."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.curves import at_threshold, curves
from tlcore.evaluation.evaluation import Evaluation, no_label
from tlcore.evaluation.intervals import Share
from tlcore.evaluation.judged import Judged
from tlcore.evaluation.predictions import judging_part
from tlcore.percentages import points, probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.plots import PLAIN_CHART
from tlcore.ui.review.asking import evaluated
from tlcore.ui.review.charts import Named, precision_recall, reliability, roc, shares
from tlcore.ui.review.corrected import corrections_line
from tlcore.ui.selecting import distinct
from tlcore.ui.theme import colours, template
from tlcore.ui.words import label, plain


def good_view(run: Run, settings: Settings) -> None:
    """Judge a run by its test part, or by validation, and say by which."""
    part = choose_part(run, settings)
    found, judged = evaluated(run.info.id, part, settings)
    if part == "test":  # of validation it stands beside the accuracy above
        corrections_line(run.info, part, settings)
    for words in found.warnings:
        st.warning(plain(words), icon=":material/warning:")
    left, right = st.columns([7, 5], gap="large")
    with left:
        _against(found)
    with right:
        _figures(found)
    _classes(found)
    _calibration(found)
    if found.two_class is not None:
        _threshold(judged)


def choose_part(run: Run, settings: Settings) -> str:
    """Let the person choose between test and validation where there are both."""
    if judging_part(run.info.id, settings) == "val":
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
    if found.imagenet is not None:
        rows.append(Named("ImageNet alone", found.imagenet, tone.pretrained))
    majority = f"“{label(found.majority.label)}”"
    rows.append(Named(f"always {majority}", found.majority.accuracy, tone.frozen))
    st.markdown(
        f"**Accuracy on the {SPLIT_NAMES[found.part]} part**",
        help=f"The range holds the true figure with 95% confidence. {found.imagenet_note} "
        "The last row always says the training part's most frequent class.",
    )
    chart(shares(rows, tone, template()), "shares", f"Accuracy {found.accuracy.words}")
    st.markdown(plain(found.majority.beside.beside(f"always saying {majority}")))
    if found.beside_imagenet is not None:
        st.markdown(plain(found.beside_imagenet.beside("ImageNet alone")))
    if found.imagenet is None:
        st.caption(f"ImageNet alone: {found.imagenet_note[0].lower()}{found.imagenet_note[1:]}")
    if found.imagenet_unlabelled:
        st.caption(f"ImageNet alone: {no_label(found.imagenet_unlabelled)}.")


def _figures(found: Evaluation) -> None:
    st.metric(
        "Balanced accuracy",
        found.balanced_accuracy.short,
        help="The mean over the classes of the share that is recognised: a rare class counts as "
        "much as a frequent one. In brackets its 95% interval. Classes without a judged picture "
        "are left out.",
    )
    left, right = st.columns(2)
    left.metric(
        "Macro F1",
        f"{found.macro_f1:.2f}",
        help="The mean over the classes of 2·right ÷ (pictures + answers); 1 is perfect.",
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
            "Pictures": [each.pictures for each in found.per_class],
            "Recognised": [_short(each.recall) for each in found.per_class],
            "Right when it says so": [_short(each.precision) for each in found.per_class],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "Recognised": st.column_config.TextColumn(help="Recall: share of its pictures."),
            "Right when it says so": st.column_config.TextColumn(
                help="Precision: share of these answers that are right."
            ),
        },
    )


def _short(share: Share | None) -> str:
    return "not known" if share is None else share.short


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
            f"{found.accuracy.words}: {known.words}."
        )


def _threshold(judged: Judged) -> None:
    """Where two classes part: what a threshold finds, and what it costs."""
    looked_for = label(judged.classes[1])
    st.markdown(f"**From when on is it “{plain(looked_for)}”?**")
    value = st.slider(
        "Threshold",
        0,
        100,
        50,
        format="%d%%",
        key=f"threshold-{judged.run}-{judged.part}",
        help=f"A picture is called “{looked_for}” from this probability on.",
    )
    at, found = at_threshold(judged, value / 100), curves(judged)
    first, second, third = st.columns(3)
    first.metric(f"{looked_for} found", _short(at.recall), help=f"Missed: {at.misses:,}.")
    second.metric("Right of those called so", _short(at.precision))
    third.metric("False alarms", f"{at.false_alarms:,}", help="Pictures of the other class.")
    left, right = st.columns(2, gap="large")
    tone, look = colours(), template()
    with left:
        st.caption(f"ROC curve, area {found.roc_area:.3f}")
        chart(roc(found, at, tone, look), "roc", "ROC curve")
    with right:
        st.caption(f"Precision and recall, average precision {found.average_precision:.3f}")
        chart(precision_recall(found, at, tone, look), "pr", "Precision over recall")


def chart(figure: go.Figure, key: str, words: str) -> None:
    """Draw a figure of the review."""
    st.plotly_chart(figure, theme=None, key=f"review-{key}", config=PLAIN_CHART, alt=words)
