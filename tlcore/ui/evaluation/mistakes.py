"""The confusion matrix, and the images behind one of its cells with their correction."""

from __future__ import annotations

import html

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.metrics import list_cell
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.components.charts import draw_chart
from tlcore.ui.evaluation.corrections import corrections_line
from tlcore.ui.evaluation.image_detail import selectable_images
from tlcore.ui.evaluation.metrics import choose_split
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.inference_requests import evaluate_run
from tlcore.ui.theme import colours
from tlcore.ui.widgets import unique_labels

MOST = 16  # classes drawn: those with the most mistakes
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
    images = plural(evaluation.confusion_matrix[actual][predicted], "image")
    own, other = (label(evaluation.classes[index]) for index in (actual, predicted))
    title = f"{images} of {own} predicted as {other}", "highest"
    if actual == predicted:
        title = f"{images} of {own} classified correctly", "lowest"
    places = list_cell(predictions, actual, predicted).tolist()
    titles = {
        predictions.samples[place].key: f"Labelled {own}; predicted {other} with "
        f"{probability(float(predictions.confidence[place]))}"
        for place in places
    }
    with right:
        st.markdown(f"**{escape_md(title[0])}**, {title[1]} confidence first")
        selectable_images(
            run,
            f"{run.info.id}-{split}-{actual}-{predicted}",
            [predictions.samples[place] for place in places],
            titles,
            settings,
            below=below,
        )


def _select_cell(evaluation: Evaluation, key: str) -> tuple[int, int]:
    """Let the person select a cell of the matrix, by a click or from the list below it.

    The list holds the same cells, mistakes first: a chart cannot be reached with the keyboard.
    """
    counts = np.array(evaluation.confusion_matrix)
    cells = {f"{row}-{column}": (row, column) for row, column in np.argwhere(counts).tolist()}
    order = sorted(cells, key=lambda name: (cells[name][0] == cells[name][1], -counts[cells[name]]))
    if st.session_state.get(key) not in cells:
        st.session_state[key] = order[0]
    selected = cells[st.session_state[key]]

    def take_click() -> None:  # a second click on a cell, which clears it, changes nothing
        if clicked := st.session_state[f"matrix-{key}"].selection.points:
            st.session_state[key] = clicked[0]["customdata"][0]

    draw_chart(
        confusion_matrix(evaluation, selected),
        f"matrix-{key}",
        "Confusion matrix",
        on_select=take_click,
        selection_mode="points",
    )
    few = f", the {MOST} classes with the most mistakes" if len(evaluation.classes) > MOST else ""
    st.caption(f"Rows: the label{few}. Columns: the predicted class. Click a cell.")
    st.selectbox(
        "Images",
        order,
        format_func=unique_labels(order, lambda name: _cell_words(evaluation, *cells[name])),
        key=key,
    )
    return selected


def drawn_classes(evaluation: Evaluation) -> list[int]:
    """Return the indices of the classes that are drawn, in order."""
    counts = np.array(evaluation.confusion_matrix)
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    return sorted(np.argsort(-wrong, kind="stable")[:MOST].tolist())


def confusion_matrix(evaluation: Evaluation, selected: tuple[int, int]) -> go.Figure:
    """Build the matrix: labels down, predicted classes across, darker with a larger share of the
    row. Invisible markers over the cells take the clicks, as a heat map reports none."""
    shown, tone = drawn_classes(evaluation), colours()
    whole = np.array(evaluation.confusion_matrix)
    shares = (whole / np.maximum(1, whole.sum(axis=1, keepdims=True)))[np.ix_(shown, shown)]
    diagonal = np.eye(len(shown), dtype=bool)
    figure = go.Figure()
    for inside, colour in ((diagonal, tone.frozen), (~diagonal, tone.wrong)):
        figure.add_heatmap(
            z=np.where(inside & (shares > 0), shares, np.nan), zmin=-0.35, zmax=1,
            colorscale=[[0, tone.ground], [1, colour]], showscale=False, hoverinfo="skip", xgap=3,
            ygap=3,
        )  # fmt: skip
    rows, columns = np.indices(shares.shape).reshape(2, -1).tolist()
    cells = [(shown[row], shown[column]) for row, column in zip(rows, columns, strict=True)]
    figure.add_scatter(
        x=columns,
        y=rows,
        mode="markers+text",
        text=[f"{whole[cell]:,}" for cell in cells],
        marker={"symbol": "square", "size": 30, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}, "textfont": {"color": tone.text}},
        customdata=[[f"{actual}-{predicted}"] for actual, predicted in cells],
        hovertext=[html.escape(_cell_words(evaluation, *cell)) for cell in cells],
        hoverinfo="text",
    )
    if set(selected) <= set(shown):
        row, column = (shown.index(index) for index in selected)
        figure.add_shape(
            type="rect", x0=column - 0.48, x1=column + 0.48, y0=row - 0.48, y1=row + 0.48,
            line={"color": tone.text, "width": 2},
        )  # fmt: skip
    names = [html.escape(label(evaluation.classes[index])) for index in shown]
    axis = {"tickvals": list(range(len(shown))), "ticktext": names, "showgrid": False}
    figure.update_xaxes(**axis, side="top", automargin=True)
    figure.update_yaxes(**axis, autorange="reversed", automargin=True)
    height = (WIDE if len(shown) <= 3 else NARROW) * len(shown) + 60
    figure.update_layout(height=height, hoverdistance=60)
    return figure


def _cell_words(evaluation: Evaluation, actual: int, predicted: int) -> str:
    images = evaluation.confusion_matrix[actual][predicted]
    own, other = label(evaluation.classes[actual]), label(evaluation.classes[predicted])
    return f"{own}, {'correct' if actual == predicted else f'predicted {other}'}: {images:,}"
