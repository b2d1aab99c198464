"""The confusion matrix, and the images behind one of its cells with their correction."""

from __future__ import annotations

import html

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.metrics import list_cell, list_mistakes
from tlcore.evaluation.split_predictions import SplitPredictions
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.components.image_grid import GridImage, image_grid
from tlcore.ui.evaluation.corrections import corrections_line
from tlcore.ui.evaluation.image_detail import selectable_images
from tlcore.ui.evaluation.metrics import choose_split
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.inference_requests import evaluate_run
from tlcore.ui.theme import colours, template
from tlcore.ui.widgets import unique_labels

MOST = 16  # classes drawn: those with the most mistakes
SUREST, THUMBNAIL = 6, 116  # mistakes of the summary, and px of each
NARROW, WIDE = 46, 76  # px of a row of the matrix, with many and with few classes


def mistakes_view(run: Run, settings: Settings) -> None:
    """Draw the confusion matrix and the images of the selected cell, worst first."""
    split = choose_split(run, settings)
    evaluation, predictions = evaluate_run(run.info.id, split, settings)
    left, right = st.columns([5, 7], gap="large")
    with left:
        actual, predicted = _select_cell(evaluation, f"cell-{run.info.id}-{split}")
        corrections_line(run.info, split, settings)
    below = st.container()
    with right:
        st.markdown(_title(evaluation, actual, predicted))
        places = list_cell(predictions, actual, predicted).tolist()
        by_key = {predictions.samples[place].key: place for place in places}
        selectable_images(
            run,
            f"{run.info.id}-{split}-{actual}-{predicted}",
            [predictions.samples[place] for place in by_key.values()],
            lambda sample: _describe(predictions, by_key[sample.key]),
            settings,
            below=below,
        )


def surest_mistakes(predictions: SplitPredictions, settings: Settings) -> None:
    """Draw the images that were misclassified with the highest confidence, with captions."""
    places = list_mistakes(predictions)[:SUREST].tolist()
    if not places:
        st.markdown("**No mistakes**")
        st.caption(f"All {plural(len(predictions), 'image')} are classified correctly.")
        return
    st.markdown("**The surest mistakes**", help="Wrong with the highest confidence.")
    images = [
        GridImage(
            predictions.samples[place].key,
            predictions.samples[place],
            title=predictions.samples[place].file,
            caption=_caption(predictions, place),
        )
        for place in places
    ]
    image_grid(images, settings, key="surest-mistakes", size=THUMBNAIL)


def _caption(predictions: SplitPredictions, place: int) -> str:
    """Return "ants, predicted bees 98%"."""
    predicted = label(predictions.classes[int(predictions.predicted[place])])
    sure = probability(float(predictions.confidence[place]))
    return f"{label(predictions.samples[place].label)}, predicted {predicted} {sure}"


def _select_cell(evaluation: Evaluation, key: str) -> tuple[int, int]:
    """Let the person select a cell of the matrix, by a click or from the list below it.

    The list holds the same cells, mistakes first: a chart cannot be reached with the keyboard.
    """
    cells = {
        f"{actual}-{predicted}": (actual, predicted)
        for actual, row in enumerate(evaluation.confusion_matrix)
        for predicted, images in enumerate(row)
        if images
    }
    order = sorted(cells, key=lambda name: _mistakes_first(evaluation, *cells[name]))
    if st.session_state.get(key) not in cells:
        st.session_state[key] = order[0]
    actual, predicted = cells[st.session_state[key]]
    st.plotly_chart(
        confusion_matrix(evaluation, (actual, predicted)),
        theme=None,
        key=f"matrix-{key}",
        config=PLAIN_CHART,
        on_select=lambda: _take_click(f"matrix-{key}", key),
        selection_mode="points",
        alt="Confusion matrix",
    )
    few = f", the {MOST} classes with the most mistakes" if len(evaluation.classes) > MOST else ""
    st.caption(f"Rows: the label{few}. Columns: the predicted class. Click a cell.")
    st.selectbox(
        "Images",
        order,
        format_func=unique_labels(order, lambda name: _cell_words(evaluation, *cells[name])),
        key=key,
    )
    return actual, predicted


def _take_click(chart: str, key: str) -> None:
    """Select the cell that was clicked; a second click on it, which clears it, changes nothing."""
    clicked = st.session_state[chart].selection.points
    if clicked:
        st.session_state[key] = clicked[0]["customdata"][0]


def drawn_classes(evaluation: Evaluation) -> list[int]:
    """Return the indices of the classes that are drawn, in order."""
    counts = np.array(evaluation.confusion_matrix)
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    return sorted(np.argsort(-wrong, kind="stable")[:MOST].tolist())


def confusion_matrix(evaluation: Evaluation, selected: tuple[int, int]) -> go.Figure:
    """Build the matrix: labels down, predicted classes across, darker with a larger share of the
    row. Invisible markers over the cells take the clicks, as a heat map reports none."""
    shown = drawn_classes(evaluation)
    tone, names = colours(), [label(evaluation.classes[index]) for index in shown]
    counts = np.array(evaluation.confusion_matrix)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    cells = [(row, column) for row in range(len(shown)) for column in range(len(shown))]
    figure = go.Figure(layout={"template": template()})
    for on_diagonal, colour in ((True, tone.frozen), (False, tone.wrong)):
        values = [
            [
                shares[actual, predicted]
                if (actual == predicted) == on_diagonal and counts[actual, predicted]
                else None
                for predicted in shown
            ]
            for actual in shown
        ]
        figure.add_heatmap(
            z=values, zmin=-0.35, zmax=1, colorscale=[[0, tone.ground], [1, colour]],
            showscale=False, hoverinfo="skip", xgap=3, ygap=3,
        )  # fmt: skip
    figure.add_scatter(
        x=[column for _, column in cells],
        y=[row for row, _ in cells],
        mode="markers+text",
        marker={"symbol": "square", "size": 30, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}, "textfont": {"color": tone.text}},
        text=[f"{counts[shown[row], shown[column]]:,}" for row, column in cells],
        customdata=[[f"{shown[row]}-{shown[column]}"] for row, column in cells],
        hovertext=[
            html.escape(_cell_words(evaluation, shown[row], shown[column])) for row, column in cells
        ],
        hoverinfo="text",
    )
    if set(selected) <= set(shown):
        row, column = (shown.index(index) for index in selected)
        figure.add_shape(
            type="rect", x0=column - 0.48, x1=column + 0.48, y0=row - 0.48, y1=row + 0.48,
            line={"color": tone.text, "width": 2},
        )  # fmt: skip
    places = list(range(len(shown)))
    axis = {"tickvals": places, "ticktext": [html.escape(name) for name in names]}
    figure.update_xaxes(**axis, side="top", showgrid=False, automargin=True)
    figure.update_yaxes(**axis, autorange="reversed", showgrid=False, automargin=True)
    height = (WIDE if len(shown) <= 3 else NARROW) * len(shown) + 60
    figure.update_layout(height=height, hoverdistance=60, clickmode="event+select")
    return figure


def _mistakes_first(evaluation: Evaluation, actual: int, predicted: int) -> tuple[bool, int]:
    return actual == predicted, -evaluation.confusion_matrix[actual][predicted]


def _cell_words(evaluation: Evaluation, actual: int, predicted: int) -> str:
    images = evaluation.confusion_matrix[actual][predicted]
    own, other = label(evaluation.classes[actual]), label(evaluation.classes[predicted])
    return f"{own}, {'correct' if actual == predicted else f'predicted {other}'}: {images:,}"


def _title(evaluation: Evaluation, actual: int, predicted: int) -> str:
    images = plural(evaluation.confusion_matrix[actual][predicted], "image")
    own, other = (escape_md(label(evaluation.classes[index])) for index in (actual, predicted))
    if actual == predicted:
        return f"**{images} of {own} classified correctly**, lowest confidence first"
    return f"**{images} of {own} predicted as {other}**, highest confidence first"


def _describe(predictions: SplitPredictions, place: int) -> str:
    predicted = label(predictions.classes[int(predictions.predicted[place])])
    return (
        f"Labelled {label(predictions.samples[place].label)}; predicted {predicted} with "
        f"{probability(float(predictions.confidence[place]))}"
    )
