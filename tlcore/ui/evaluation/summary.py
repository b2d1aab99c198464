"""The summary of a finished run: is it good? The answer on the first screen, all metrics below."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.evaluation import Evaluation, unlabelled_note
from tlcore.evaluation.intervals import Proportion, proportion_of
from tlcore.percentages import bounds, percent
from tlcore.settings import Settings
from tlcore.training.run import Run, RunInfo
from tlcore.ui.evaluation.corrections import corrections_line
from tlcore.ui.evaluation.export import summary_actions
from tlcore.ui.evaluation.metrics import choose_split, draw_chart, draw_metrics
from tlcore.ui.evaluation.mistakes import surest_mistakes
from tlcore.ui.fine_tune.curves import draw_fine_tuning_effect
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.inference_requests import evaluate_run
from tlcore.ui.theme import colours, template

ROW = 46  # px of a bar with its name above


@dataclass(frozen=True)
class NamedAccuracy:
    """One bar of a comparison of accuracies."""

    name: str
    accuracy: Proportion
    colour: str


def summary_view(run: Run, settings: Settings) -> None:
    """Draw the accuracy, what it is compared with and the surest mistakes; all metrics below."""
    split = choose_split(run, settings)
    left, right = st.columns([6, 5], gap="large")
    with left:
        headline = st.empty()
        if split == "val" and run.info.val_accuracy is not None:  # shown before it is computed
            _draw_headline(headline, _validation_accuracy(run.info), split)
        evaluation, predictions = evaluate_run(run.info.id, split, settings)
        _draw_headline(headline, evaluation.accuracy, split)
        notes = _draw_baselines(evaluation)
        summary_actions(run.info, settings)
    with right:
        surest_mistakes(predictions, settings)
    corrections_line(run.info, split, settings)
    draw_fine_tuning_effect(run)
    for words in evaluation.warnings:
        st.warning(escape_md(words), icon=":material/warning:")
    st.subheader("All metrics", anchor=False)
    for note in [*notes, *_baseline_notes(evaluation)]:
        st.caption(escape_md(note))
    draw_metrics(evaluation, predictions, settings)


def _validation_accuracy(info: RunInfo) -> Proportion | None:
    images = info.images.get("val", 0)
    return proportion_of(round((info.val_accuracy or 0.0) * images), images) if images else None


def _draw_headline(place: DeltaGenerator, accuracy: Proportion | None, split: str) -> None:
    if accuracy is None:
        return
    images = plural(accuracy.images, f"{SPLIT_NAMES[split]} image")
    shown = html.escape(percent(accuracy.value))
    place.html(
        f'<div class="headline"><b title="{accuracy.value:.4%}">{shown}</b>'
        f"<span>accuracy on {images}<br>95% interval: "
        f"{bounds(accuracy.low, accuracy.high)}%</span></div>"
    )


def _draw_baselines(evaluation: Evaluation) -> list[str]:
    """Draw the accuracy above that of the two baselines, with a sentence on the stronger one.

    Returns:
        What else there is to say of the baselines, for further down.
    """
    tone, majority = colours(), f"“{label(evaluation.majority_baseline.label)}”"
    rows = [NamedAccuracy("This run", evaluation.accuracy, tone.head)]
    if evaluation.imagenet_accuracy is not None:
        rows.append(NamedAccuracy("ImageNet alone", evaluation.imagenet_accuracy, tone.pretrained))
    rows.append(
        NamedAccuracy(f"Always {majority}", evaluation.majority_baseline.accuracy, tone.frozen)
    )
    sentences = [evaluation.majority_baseline.difference.sentence(f"always predicting {majority}")]
    if evaluation.imagenet_difference is not None:
        sentences.insert(0, evaluation.imagenet_difference.sentence("ImageNet alone"))
    st.markdown(
        escape_md(sentences[0]),
        help=f"{evaluation.imagenet_note} The last bar always predicts the most frequent class of "
        "the training split.",
    )
    draw_chart(accuracy_bars(rows), "baselines", f"Accuracy {evaluation.accuracy.text}")
    return sentences[1:]


def _baseline_notes(evaluation: Evaluation) -> list[str]:
    if evaluation.imagenet_accuracy is None:
        note = evaluation.imagenet_note
        return [f"ImageNet alone: {note[0].lower()}{note[1:]}"]
    if evaluation.imagenet_unlabelled:
        return [f"ImageNet alone: {unlabelled_note(evaluation.imagenet_unlabelled)}."]
    return []


def accuracy_bars(rows: Sequence[NamedAccuracy]) -> go.Figure:
    """Build bars on one scale from 0 to 100% with 95% intervals, the name above each."""
    tone = colours()
    figure = go.Figure(layout={"template": template(), "barmode": "overlay"})
    for place, row in enumerate(rows):
        share, name = row.accuracy, html.escape(row.name)
        figure.add_bar(
            x=[share.value], y=[place], orientation="h", width=0.3, marker_color=row.colour,
            error_x={"type": "data", "symmetric": False, "array": [share.high - share.value],
                     "arrayminus": [share.value - share.low], "color": tone.text,
                     "thickness": 1.5, "width": 5},
            hovertext=f"{name}<br>{share.value:.4%}", hoverinfo="text", cliponaxis=False,
        )  # fmt: skip
        texts = ((0, name, "right"), (1, f"<b>{share.text}</b>", "left"))
        for x, text, side in texts:
            figure.add_scatter(
                x=[x], y=[place - 0.36], mode="text", text=[text], hoverinfo="skip",
                textposition=f"middle {side}", cliponaxis=False,
            )  # fmt: skip
    figure.update_xaxes(range=[0, 1], tickformat=".0%", dtick=0.25)
    figure.update_yaxes(range=[len(rows) - 0.6, -0.7], visible=False)
    figure.update_layout(height=ROW * len(rows) + 34, margin={"l": 8, "r": 8, "t": 2, "b": 26})
    return figure
