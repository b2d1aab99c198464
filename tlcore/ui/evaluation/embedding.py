"""The run's images as points in two dimensions: near ones have similar features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go
import streamlit as st

from tlcore.datasets.dataset import SPLIT_NAMES, Sample
from tlcore.evaluation.embedding import Embedding
from tlcore.evaluation.split_predictions import evaluated_split
from tlcore.percentages import percent, probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.components.charts import MANY, SYMBOLS, draw_chart
from tlcore.ui.evaluation.image_detail import selectable_images
from tlcore.ui.format import label, plural
from tlcore.ui.inference_requests import ask, predict_run_split
from tlcore.ui.theme import colours
from tlcore.ui.widgets import unique_labels

HEIGHT = 520  # px
AT_FIRST = 4  # coloured classes of many
TASK = "tlcore.evaluation.embedding:compute_embedding"
BY_CLASS, BY_RESULT, BY_CONFIDENCE = "Class", "Correct or wrong", "Confidence"
OTHERS = "other classes"  # of many, those without a colour
NOT_EVALUATED = "not evaluated"  # test images that are also training images, unreadable files
Predictions = Mapping[str, tuple[str, float]]  # key of an image → predicted class, confidence 0…1


def embedding_view(run: Run, settings: Settings) -> None:
    """Draw the points; an image that is clicked, or several in a lasso, are shown below."""
    embedding = ask(TASK, run.info.id, settings=settings, words="Computing the embedding …")
    predictions = _predictions(run.info.id, settings)
    colour_by = st.segmented_control(
        "Colour by",
        [BY_CLASS, BY_RESULT, BY_CONFIDENCE],
        default=BY_CLASS,
        required=True,
        key="embedding-colour",
    )
    coloured: Sequence[str] | None = None
    if colour_by == BY_CLASS and len(embedding.classes) > len(MANY):
        coloured = st.multiselect(
            "Coloured classes",
            embedding.classes,
            _most_mistaken(embedding, predictions),
            max_selections=len(MANY),
            format_func=unique_labels(embedding.classes, label),
            key=f"embedding-classes-{run.info.id}",
            help="At first those of the most mistakes. Type to find a class.",
        )
    several = st.toggle("Draw a line around several", key="embedding-lasso")
    figure = embedding_figure(embedding, predictions, str(colour_by), coloured)
    if several:  # in a lasso Streamlit takes no click
        figure.update_layout(dragmode="lasso")
    event = draw_chart(
        figure,
        f"embedding-{run.info.id}-{colour_by}-{several}",
        "Embedding of the images",
        on_select="rerun",
        selection_mode=("points", "lasso", "box"),
    )
    st.caption(_explanation(embedding))
    selected = sorted({int(point["customdata"][0]) for point in event.selection.points})
    if not selected:
        st.caption("Draw around points." if several else "Click a point to see its image.")
        return
    samples = [embedding.samples[place] for place in selected]
    titles = {sample.key: _describe(sample, predictions) for sample in samples}
    name = f"embedding-{run.info.id}-{'-'.join(map(str, selected[:50]))}"
    single = samples if len(samples) == 1 else ()
    selectable_images(run, name, samples, titles, settings, selected=single)


def _most_mistaken(embedding: Embedding, predictions: Predictions) -> list[str]:
    """Return the classes that most often are, or are taken for, another one."""
    mistakes: Counter[str] = Counter()
    for sample in embedding.samples:
        predicted, _ = predictions.get(sample.key, (sample.label, 0.0))
        if predicted != sample.label:
            mistakes.update((sample.label, predicted))
    return [name for name, _ in mistakes.most_common(AT_FIRST)]


def _predictions(run: str, settings: Settings) -> Predictions:
    splits = ["train", "val", *(["test"] if evaluated_split(run, settings) == "test" else [])]
    by_key: dict[str, tuple[str, float]] = {}
    for split in splits:
        each = predict_run_split(run, split, settings)
        labels = [each.classes[place] for place in each.predicted.tolist()]
        rows = zip(each.samples, labels, each.confidence.tolist(), strict=True)
        by_key |= {sample.key: (predicted, sure) for sample, predicted, sure in rows}
    return by_key


def embedding_figure(
    embedding: Embedding,
    predictions: Predictions,
    colour_by: str,
    coloured: Sequence[str] | None = None,
) -> go.Figure:
    """Build the points, one trace for each group that shares a colour.

    Args:
        embedding: points and their images.
        predictions: of the images that were evaluated.
        colour_by: BY_CLASS, BY_RESULT or BY_CONFIDENCE.
        coloured: classes that have a colour of their own; None for all.
    """
    tone = colours()
    figure = go.Figure()
    groups: dict[str, list[int]] = {}
    for place, sample in enumerate(embedding.samples):
        is_other = coloured is not None and sample.label not in coloured
        group = OTHERS if is_other else _group(sample, predictions, colour_by)
        groups.setdefault(group, []).append(place)
    for number, name in enumerate(sorted(groups, key=lambda name: (name != OTHERS, name))):
        places = groups[name]
        samples = [embedding.samples[place] for place in places]
        confidences = [predictions[s.key][1] for s in samples if s.key in predictions]
        marker = {"size": 9, "line": {"width": 1, "color": tone.ground}, "opacity": 0.85}
        figure.add_scatter(
            x=embedding.points[places, 0],
            y=embedding.points[places, 1],
            mode="markers",
            name=escape(name),
            marker=marker | _marker(colour_by, name, number, confidences),
            customdata=[[place] for place in places],
            hovertext=[escape(_describe(sample, predictions)) for sample in samples],
            hoverinfo="text",
            unselected={"marker": {"opacity": 0.25}},
        )
    across, up = (f"{percent(share)} of the variance" for share in embedding.explained)
    figure.update_xaxes(title=across, showticklabels=False)
    figure.update_yaxes(title=up, showticklabels=False)
    figure.update_layout(
        height=HEIGHT,
        showlegend=colour_by != BY_CONFIDENCE or NOT_EVALUATED in groups,
        margin={"l": 28, "r": 8, "t": 34, "b": 30},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        uirevision=colour_by,
    )
    return figure


def _group(sample: Sample, predictions: Predictions, colour_by: str) -> str:
    if colour_by == BY_CLASS:
        return label(sample.label)
    if sample.key not in predictions:
        return NOT_EVALUATED
    if colour_by == BY_CONFIDENCE:
        return "confidence"
    return "correct" if predictions[sample.key][0] == sample.label else "wrong"


def _marker(colour_by: str, name: str, number: int, confidences: list[float]) -> dict[str, object]:
    """Return the colour of a group; ``confidences`` are those of its images, 0…1."""
    tone = colours()
    if colour_by != BY_CLASS and name == NOT_EVALUATED:
        return {"color": tone.ground, "line": {"width": 1.5, "color": tone.frozen}}
    if colour_by == BY_RESULT:
        return {"color": tone.frozen if name == "correct" else tone.wrong}
    if colour_by == BY_CONFIDENCE:
        return {
            "color": confidences,
            "colorscale": [[0, tone.wrong], [1, tone.line]],
            "cmin": min(confidences, default=1.0),
            "cmax": 1.0,
            "colorbar": {"tickformat": ".0%", "thickness": 12, "outlinewidth": 0},
        }
    if name == OTHERS:
        return {"color": tone.line}
    return {"color": MANY[number % len(MANY)], "symbol": SYMBOLS[number % len(SYMBOLS)]}


def _describe(sample: Sample, predictions: Predictions) -> str:
    words = f"{label(sample.label)}, {SPLIT_NAMES[str(sample.split)]} split"
    if sample.key not in predictions:
        return f"{words}; not evaluated"
    predicted, confidence = predictions[sample.key]
    return f"{words}; predicted {label(predicted)} with {probability(confidence)}"


def _explanation(embedding: Embedding) -> str:
    words = (
        "Principal components (PCA) of the frozen backbone's features: images that lie together "
        f"look alike to it. {plural(len(embedding.samples), 'image')}"
    )
    if embedding.total > len(embedding.samples):
        words += f" of {embedding.total:,}, drawn at random"
    if embedding.computed:
        words += f"; features of {embedding.computed:,} were computed for it"
    return f"{words}."
