"""The summary of a finished run: is it good? The answer on the first screen, all metrics below."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.comparison import Verdict, compare_stages
from tlcore.evaluation.evaluation import FEW, NAMED, Evaluation, list_verdicts, unlabelled_note
from tlcore.evaluation.intervals import Proportion, proportion_of, wilson_interval
from tlcore.evaluation.metrics import (
    CLOSED_SET,
    Calibration,
    CalibrationBin,
    compute_curves,
    compute_threshold_metrics,
    list_mistakes,
)
from tlcore.evaluation.split_predictions import SplitPredictions, evaluated_split
from tlcore.percentages import bounds, percent, points, probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.components.charts import accuracy_bars, draw_chart
from tlcore.ui.components.image_grid import GridImage, image_grid
from tlcore.ui.evaluation.corrections import corrections_line
from tlcore.ui.evaluation.export import summary_actions
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.inference_requests import evaluate_run
from tlcore.ui.theme import colours
from tlcore.ui.widgets import unique_labels

SQUARE = 300  # px of a diagram
SPARSE = 10  # predictions below which a bin of the reliability diagram is merged
SUREST, THUMBNAIL = 6, 116  # mistakes of the summary, and px of each


def summary_view(run: Run, settings: Settings) -> None:
    """Draw the accuracy, what it is compared with and the surest mistakes; all metrics below."""
    split = choose_split(run, settings)
    left, right = st.columns([6, 5], gap="large")
    with left:
        headline, stored, images = st.empty(), run.info.val_accuracy, run.info.images.get("val", 0)
        if split == "val" and stored is not None and images:  # shown before it is computed
            _draw_headline(headline, proportion_of(round(stored * images), images), split)
        evaluation, predictions = evaluate_run(run.info.id, split, settings)
        _draw_headline(headline, evaluation.accuracy, split)
        notes = _draw_baselines(evaluation)
        summary_actions(run.info, settings)
    with right:
        _draw_surest_mistakes(predictions, settings)
    corrections_line(run.info, split, settings)
    draw_fine_tuning_effect(run)
    _draw_warnings(evaluation)
    st.subheader("All metrics", anchor=False)
    for note in notes:
        st.caption(escape_md(note))
    _draw_totals(evaluation)
    _draw_classes(evaluation)
    _draw_calibration(evaluation)
    if evaluation.binary is not None:
        _draw_threshold(predictions)


def choose_split(run: Run, settings: Settings) -> str:
    """Let the person choose between the test and the validation split where there are both."""
    if evaluated_split(run.info.id, settings) == "val":
        return "val"
    help_ = "No run has ever used the test split. The validation split was used in training."
    return select_split(("test", "val"), f"split-{run.info.id}", help_)


def select_split(splits: Sequence[str], key: str, help_: str | None = None) -> str:
    """Let the person choose one of these splits, at first the first one."""
    split = st.segmented_control(
        "Split",
        splits,
        default=splits[0],
        required=True,
        format_func=unique_labels(splits, lambda split: f"{SPLIT_NAMES[split].capitalize()} split"),
        key=key,
        label_visibility="collapsed",
        help=help_,
    )
    return str(split)


def _draw_headline(place: DeltaGenerator, accuracy: Proportion, split: str) -> None:
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
    tone, majority, note = colours(), evaluation.majority_baseline, evaluation.imagenet_note
    always = f"“{label(majority.label)}”"
    rows = [("This run", evaluation.accuracy, tone.head)]
    sentences = list_verdicts(evaluation)
    notes = [f"ImageNet alone: {note[0].lower()}{note[1:]}"]
    if evaluation.imagenet_accuracy is not None and evaluation.imagenet_difference is not None:
        rows.append(("ImageNet alone", evaluation.imagenet_accuracy, tone.pretrained))
        unlabelled = evaluation.imagenet_unlabelled
        notes = [f"ImageNet alone: {unlabelled_note(unlabelled)}."] if unlabelled else []
    rows.append((f"Always {always}", majority.accuracy, tone.frozen))
    st.markdown(
        escape_md(sentences[0]),
        help=f"{note} The last bar always predicts the most frequent class of the training split.",
    )
    draw_chart(accuracy_bars(rows), "baselines", f"Accuracy {evaluation.accuracy.text}")
    return [*sentences[1:], *notes]


def _draw_warnings(evaluation: Evaluation) -> None:
    """Draw all warnings in one box; classes that are too many to be named there are folded."""
    lines = [escape_md(words) for words in evaluation.warnings]
    if lines:
        points = lines if len(lines) == 1 else [f"- {words}" for words in lines]
        st.warning("\n".join(points), icon=":material/warning:")
    few = evaluation.classes_with_few_images
    if len(few) > NAMED:
        with st.expander(f"{len(few):,} classes with fewer than {FEW} images here"):
            st.caption(escape_md(", ".join(map(label, few))))


def _draw_surest_mistakes(predictions: SplitPredictions, settings: Settings) -> None:
    """Draw the images that were misclassified with the highest confidence, with captions."""
    places = list_mistakes(predictions)[:SUREST].tolist()
    if not places:
        st.markdown("**No mistakes**")
        st.caption(f"All {plural(len(predictions), 'image')} are classified correctly.")
        return
    st.markdown("**The surest mistakes**", help="Wrong with the highest confidence.")
    images = []
    for place in places:
        sample, predicted = predictions.samples[place], predictions.predicted[place]
        sure = probability(float(predictions.confidence[place]))
        caption = f"{sample.label}, predicted {predictions.classes[int(predicted)]}"
        image = GridImage(sample.key, sample, sample.file, f"{label(caption)} {sure}")
        images.append(image)
    image_grid(images, settings, key="surest-mistakes", size=THUMBNAIL)


def draw_fine_tuning_effect(run: Run) -> None:
    """Say what fine-tuning changed beside the head alone, on the same validation images."""
    difference, kept = compare_stages(run.info), run.model_epoch
    if difference is None:
        return
    if kept and kept.stage == "head":
        st.caption(
            "Fine-tuning did not lower the validation loss: the head alone, as it was after epoch "
            f"{kept.epoch}, is kept."
        )
        return
    numbers = (
        f"of the same {plural(difference.second.images, 'validation image')} the head alone "
        f"classified {difference.first.count:,} correctly, with fine-tuning it is "
        f"{difference.second.count:,} ({difference.text}; {difference.p_text})."
    )
    if difference.verdict is Verdict.WORSE:
        st.warning(
            f"Fine-tuning made it worse: {numbers} *Run again* with a lower fine-tuning learning "
            "rate, or without fine-tuning.",
            icon=":material/trending_down:",
        )
    else:
        is_better = difference.verdict is Verdict.BETTER
        effect = "Fine-tuning made it better" if is_better else "No clear change from fine-tuning"
        st.caption(f"{effect}: {numbers}")


def _draw_totals(evaluation: Evaluation) -> None:
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
    classes = len(evaluation.classes)
    third.metric(
        "Log loss",
        f"{evaluation.log_loss:.2f}",
        help="Mean of −ln of the true class's probability: 0 is perfect, and "
        f"{math.log(classes):.2f} is guessing among {classes} classes.",
    )
    fourth.metric(
        "Expected calibration error",
        points(evaluation.calibration.error),
        help="Mean distance of the reliability diagram from its diagonal, weighted by the number "
        "of predictions (Naeini et al., 2015).",
    )


def _draw_classes(evaluation: Evaluation) -> None:
    """Draw the metrics of each class as a table that sorts and searches, the worst class on top."""
    st.markdown("**Metrics of each class**, the lowest F1 first")
    confused: dict[str, str] = {}  # the most frequent wrong prediction of each class
    for own, other, images in evaluation.confused_pairs:
        confused.setdefault(
            evaluation.classes[own], f"{label(evaluation.classes[other])} ({images:,})"
        )
    rows = [
        (
            label(each.label), each.images, *_percent_and_bounds(each.recall),
            *_percent_and_bounds(each.precision), each.f1, confused.get(each.label, ""),
        )
        for each in evaluation.worst_first
    ]  # fmt: skip
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    config = {
        "Recall": number(format="%.0f%%", help="Share of its images that are recognised."),
        "Recall, 95%": text(help="95% interval of the recall."),
        "Precision": number(format="%.0f%%", help="Share of its predictions that are correct."),
        "Precision, 95%": text(help="95% interval of the precision."),
        "F1": number(format="%.2f", help="Harmonic mean of recall and precision."),
        "Taken for": text(help="The most frequent wrong prediction, and for how many images."),
    }
    frame = pd.DataFrame(rows, columns=["Class", "Images", *config])
    st.dataframe(frame, hide_index=True, column_config=config, key="class-metrics")


def _percent_and_bounds(share: Proportion | None) -> tuple[float | None, str]:
    if share is None:
        return None, "–"
    return share.value * 100, bounds(share.low, share.high)


def _short(share: Proportion | None) -> str:
    return "–" if share is None else share.short_text


def _draw_calibration(evaluation: Evaluation) -> None:
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    calibration = evaluation.calibration
    with left:
        st.markdown(
            "**Calibration: can the percentages be trusted?**",
            help="Reliability diagram: predictions of about the same confidence are a dot, with "
            f"the 95% interval of their accuracy; fewer than {SPARSE} are merged with their "
            "neighbours. On the dotted line confidence equals accuracy.",
        )
        draw_chart(reliability_diagram(calibration), "reliability", "Reliability")
    right.write(
        f"The mean confidence is {probability(calibration.confidence)} and the accuracy "
        f"{evaluation.accuracy.text}: {calibration.advice}. {CLOSED_SET}"
    )


def _draw_threshold(predictions: SplitPredictions) -> None:
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
    both = compute_curves(predictions)
    first, second, third = st.columns(3)
    missed = f"Missed: {at.false_negatives:,}."
    first.metric(f"Recall of {positive}", _short(at.recall), help=missed)
    second.metric(f"Precision of {positive}", _short(at.precision))
    third.metric("False positives", f"{at.false_positives:,}", help="Images of the other class.")
    left, right = st.columns(2, gap="large")
    recall = at.recall.value if at.recall else None
    with left:
        st.caption(f"ROC curve, area under it {both.roc_auc:.3f}")
        figure = _square("false positive rate", "true positive rate (recall)")
        _add_curve(figure, [0, *both.false_positive_rate], [0, *both.recall])
        _add_point(figure, 1 - at.specificity.value if at.specificity else None, recall)
        draw_chart(figure, "roc", "ROC curve")
    with right:
        st.caption(f"Precision-recall curve, average precision {both.average_precision:.3f}")
        figure = _square("recall", "precision")
        _add_curve(figure, [0, *both.recall], [both.precision[0], *both.precision])
        _add_point(figure, recall, at.precision.value if at.precision else None)
        draw_chart(figure, "pr", "Precision over recall")


def reliability_diagram(calibration: Calibration) -> go.Figure:
    """Build accuracy over confidence; a calibrated model lies on the diagonal."""
    tone, bins = colours(), merge_sparse_bins(calibration.bins)
    figure = _square("confidence", "accuracy")
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip",
        line={"color": tone.frozen, "dash": "dot", "width": 1.5},
    )  # fmt: skip
    ends = [wilson_interval(each.accuracy, each.images) for each in bins]
    accuracies = [each.accuracy for each in bins]
    figure.add_scatter(
        x=[each.confidence for each in bins],
        y=accuracies,
        mode="markers+text",
        text=[f"{each.images:,}" for each in bins],
        textposition="middle left",
        textfont={"color": tone.faint, "size": 12},
        marker={"size": 10, "color": tone.head},
        error_y={
            "type": "data",
            "symmetric": False,
            "color": tone.head,
            "thickness": 1.5,
            "array": [high - y for (_, high), y in zip(ends, accuracies, strict=True)],
            "arrayminus": [y - low for (low, _), y in zip(ends, accuracies, strict=True)],
        },
        hovertext=[
            f"{plural(each.images, 'prediction')}<br>confidence {probability(each.confidence)}, "
            f"accuracy {percent(each.accuracy)}"
            for each in bins
        ],
        hoverinfo="text",
        cliponaxis=False,
    )
    return figure


def merge_sparse_bins(bins: Sequence[CalibrationBin]) -> list[CalibrationBin]:
    """Merge neighbours, from the least confident up, until each has enough to be read; what is
    left at the end joins the last."""
    merged: list[CalibrationBin] = []
    left = sum(each.images for each in bins)
    for each in bins:
        last = merged[-1] if merged else None
        if last and (last.images < SPARSE or left < SPARSE):
            images = last.images + each.images
            confidence, accuracy = (
                (getattr(last, name) * last.images + getattr(each, name) * each.images) / images
                for name in ("confidence", "accuracy")
            )
            merged[-1] = CalibrationBin(last.low, each.high, confidence, accuracy, images)
        else:
            merged.append(each)
        left -= each.images
    return merged


def _square(x_title: str, y_title: str) -> go.Figure:
    figure = go.Figure()
    figure.update_xaxes(range=[0, 1.01], tickformat=".0%", title=x_title)
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%", title=y_title)
    figure.update_layout(height=SQUARE, margin={"l": 60, "r": 12, "t": 10, "b": 44})
    return figure


def _add_curve(figure: go.Figure, x: Sequence[float], y: Sequence[float]) -> None:
    hover = "%{x:.1%}, %{y:.1%}<extra></extra>"
    line = {"color": colours().head, "width": 2.5}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, hovertemplate=hover)


def _add_point(figure: go.Figure, x: float | None, y: float | None) -> None:
    """Mark the chosen threshold, unless one of its values is of no image."""
    if x is not None and y is not None:
        line = {"color": colours().head, "width": 3}
        marker = {"size": 14, "color": colours().ground, "line": line}
        figure.add_scatter(
            x=[x], y=[y], mode="markers", hoverinfo="skip", cliponaxis=False, marker=marker
        )
