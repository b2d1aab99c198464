"""The confusion matrix, and the images behind one of its cells with their correction."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.metrics import list_cell
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.text import shorten
from tlcore.training.run import Run
from tlcore.ui.components.charts import draw_chart
from tlcore.ui.evaluation.corrections import corrections_line
from tlcore.ui.evaluation.image_detail import selectable_images
from tlcore.ui.evaluation.metrics import choose_split
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.inference_requests import evaluate_run
from tlcore.ui.theme import colours
from tlcore.ui.widgets import unique_labels

FULL = 20  # classes, up to which the whole matrix is drawn
MOST = 12  # classes of the most confused pairs, which are drawn of more
WIDE, NARROW, LOW = 76, 46, 32  # px of a row of the matrix with up to 3, up to 8 and more classes
NAME = 18  # characters of a class beside the matrix
PAIRS = 260  # px of the table of pairs
ALL = ""  # no class is called so
Cell = tuple[int, int]  # indices of the label and of the predicted class


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


def _select_cell(evaluation: Evaluation, key: str) -> Cell:
    """Let the person select a cell: in the matrix, or in a list, as a chart takes no keyboard.

    Of few classes the whole matrix comes first and the list below it holds all cells; of many a
    table of the most confused pairs comes first, then the matrix of their classes.
    """
    counts = np.array(evaluation.confusion_matrix)
    pairs = [(own, other) for own, other, _ in evaluation.confused_pairs]
    right = [(index, index) for index in np.flatnonzero(counts.diagonal()).tolist()]
    many = len(evaluation.classes) > FULL
    if many:
        listed = _filter_pairs(evaluation, pairs, right, key)
    else:
        listed = pairs + sorted(right, key=lambda cell: -counts[cell])
    cells = {f"{own}-{other}": (own, other) for own, other in [*listed, *pairs, *right]}
    if st.session_state.get(key) not in cells:
        st.session_state[key] = next(iter(cells))
    if many:
        _draw_pairs(evaluation, listed, key)

    def take_click() -> None:  # a second click on a cell, which clears it, changes nothing
        clicked = st.session_state[f"matrix-{key}"].selection.points
        if clicked and clicked[0]["customdata"][0] in cells:
            st.session_state[key] = clicked[0]["customdata"][0]

    shown = drawn_classes(evaluation, listed)
    draw_chart(
        confusion_matrix(evaluation, cells[st.session_state[key]], shown),
        f"matrix-{key}",
        "Confusion matrix",
        on_select=take_click,
        selection_mode="points",
    )
    which = f", the {len(shown)} classes of the first pairs" if many else ""
    st.caption(f"Rows: the label{which}. Columns: the predicted class. Click a cell.")
    if not many:
        st.selectbox(
            "Images",
            list(cells),
            format_func=unique_labels(cells, lambda name: _cell_words(evaluation, *cells[name])),
            key=key,
        )
    return cells[st.session_state[key]]


def _filter_pairs(
    evaluation: Evaluation, pairs: list[Cell], right: list[Cell], key: str
) -> list[Cell]:
    """Let the person narrow the pairs to a class, whose correct predictions are listed as well."""
    options = [ALL, *evaluation.classes]
    only = st.selectbox(
        "Most confused pairs",
        options,
        format_func=unique_labels(options, lambda name: label(name) or "All classes"),
        key=f"only-{key}",
        help="Type to find a class.",
    )
    if only == ALL:
        return pairs or right
    index = evaluation.classes.index(only)
    return [cell for cell in pairs + right if index in cell]


def _draw_pairs(evaluation: Evaluation, listed: list[Cell], key: str) -> None:
    """Draw cells as a table; a selected row selects its cell."""
    names = [label(name) for name in evaluation.classes]
    rows = [
        (names[own], names[other], evaluation.confusion_matrix[own][other]) for own, other in listed
    ]

    def take_row() -> None:
        for place in st.session_state[f"pairs-{key}"].selection.rows:
            own, other = listed[place]
            st.session_state[key] = f"{own}-{other}"

    st.dataframe(
        pd.DataFrame(rows, columns=["Label", "Predicted", "Images"]),
        key=f"pairs-{key}",
        on_select=take_row,
        selection_mode="single-row",
        hide_index=True,
        height=PAIRS,
    )


def drawn_classes(evaluation: Evaluation, listed: Sequence[Cell]) -> list[int]:
    """Return the indices of the classes that are drawn, in order: all of few, else of the cells."""
    if len(evaluation.classes) <= FULL:
        return list(range(len(evaluation.classes)))
    return sorted(list(dict.fromkeys(index for cell in listed for index in cell))[:MOST])


def confusion_matrix(evaluation: Evaluation, selected: Cell, shown: Sequence[int]) -> go.Figure:
    """Build the matrix of the shown classes: labels down, predicted classes across, darker with a
    larger share of the row. Invisible markers over the cells take the clicks, as a heat map
    reports none."""
    tone, few = colours(), len(shown) <= 8
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
        text=[f"{whole[cell]:,}" if few or whole[cell] else "" for cell in cells],
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
    names = [html.escape(shorten(label(evaluation.classes[index]), NAME)) for index in shown]
    axis = {"tickvals": list(range(len(shown))), "ticktext": names, "showgrid": False}
    figure.update_xaxes(**axis, side="top", automargin=True)
    figure.update_yaxes(**axis, autorange="reversed", automargin=True)
    height = (WIDE if len(shown) <= 3 else NARROW if few else LOW) * len(shown) + 60
    figure.update_layout(height=height, hoverdistance=60)
    return figure


def _cell_words(evaluation: Evaluation, actual: int, predicted: int) -> str:
    images = evaluation.confusion_matrix[actual][predicted]
    own, other = label(evaluation.classes[actual]), label(evaluation.classes[predicted])
    return f"{own}, {'correct' if actual == predicted else f'predicted {other}'}: {images:,}"
