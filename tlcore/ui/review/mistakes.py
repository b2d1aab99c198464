"""From a cell of the confusion matrix to its pictures, worst first, and to their repair."""

from __future__ import annotations

import streamlit as st

from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.judged import Judged
from tlcore.evaluation.matrix import cell
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.maps.clickable import clickable
from tlcore.ui.review.asking import evaluated
from tlcore.ui.review.good import choose_part
from tlcore.ui.review.matrix_html import MOST, matrix_html
from tlcore.ui.review.pictures import pictures
from tlcore.ui.selecting import distinct
from tlcore.ui.words import count, label, plain


def mistakes_view(run: Run, settings: Settings) -> None:
    """The matrix, the cell that is looked at, its pictures and what can be done with them."""
    part = choose_part(run, settings)
    found, judged = evaluated(run.info.id, part, settings)
    left, right = st.columns([5, 7], gap="large")
    with left:
        true, said = _matrix(found, f"cell-{run.info.id}-{part}")
    below = st.container()
    with right:
        st.markdown(_title(found, true, said))
        here = {judged.samples[place].key: place for place in cell(judged, true, said).tolist()}
        pictures(
            run,
            f"{run.info.id}-{judged.part}-{true}-{said}",
            [judged.samples[place] for place in here.values()],
            lambda sample: _told(judged, here[sample.key]),
            settings,
            below=below,
        )


def _matrix(found: Evaluation, key: str) -> tuple[int, int]:
    """Let the person choose a cell, by a click or from the list."""
    place = st.container()
    true, said = _cell_select(found, key)
    with place:
        clickable(
            matrix_html(found, (true, said)),
            key=f"matrix-{key}",
            on_pick=lambda name: st.session_state.update({key: name}),
        )
        few = f"the {MOST} classes with the most mistakes, " if len(found.classes) > MOST else ""
        st.caption(f"Rows: {few}as labelled. Columns: what the head says. Click a cell.")
    return true, said


def _cell_select(found: Evaluation, key: str) -> tuple[int, int]:
    """The cells that hold pictures as a list, mistakes first: the same choice by keyboard."""
    cells = {
        f"{true}-{said}": (true, said)
        for true, row in enumerate(found.matrix)
        for said, number in enumerate(row)
        if number
    }
    order = sorted(cells, key=lambda name: _order(found, *cells[name]))
    if st.session_state.get(key) not in cells:
        st.session_state[key] = order[0]
    name = st.selectbox(
        "Pictures that are",
        order,
        format_func=distinct(order, lambda name: _words(found, *cells[name])),
        key=key,
    )
    return cells[name]


def _order(found: Evaluation, true: int, said: int) -> tuple[bool, int]:
    return true == said, -found.matrix[true][said]


def _words(found: Evaluation, true: int, said: int) -> str:
    own, other = label(found.classes[true]), label(found.classes[said])
    how = "and recognised" if true == said else f"and called {other}"
    return f"{own} {how}: {found.matrix[true][said]:,}"


def _title(found: Evaluation, true: int, said: int) -> str:
    number = found.matrix[true][said]
    own, other = plain(label(found.classes[true])), plain(label(found.classes[said]))
    if true == said:
        return f"**{count(number, 'picture')} of {own} recognised**, the least sure first"
    return f"**{count(number, 'picture')} of {own} called {other}**, the surest mistakes first"


def _told(judged: Judged, place: int) -> str:
    answer = label(judged.classes[int(judged.answers[place])])
    return (
        f"Labelled {label(judged.samples[place].label)}; the head says {answer} with "
        f"{probability(float(judged.confidence[place]))}"
    )
