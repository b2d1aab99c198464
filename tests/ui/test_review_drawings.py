"""What the review draws: the matrix as HTML, the map as points. On planted answers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.evaluation.planted import drawn, judged
from tlcore.datasets.dataset import Sample
from tlcore.evaluation.embedding import Embedding
from tlcore.evaluation.evaluation import compute_evaluation
from tlcore.ui.evaluation.embedding import CLASS, RIGHT, SURE, scatter
from tlcore.ui.evaluation.metrics import (
    MOST,
    Named,
    drawn_classes,
    matrix_html,
    reliability,
    shares,
)
from tlcore.ui.theme import LIGHT

LOOK = go.layout.Template()


def test_every_cell_that_holds_images_can_be_clicked() -> None:
    said = drawn(200, 4, 0)
    found = compute_evaluation(said, said)
    drawing = matrix_html(found, (1, 2))
    cells = re.findall(r'data-pick="(\d)-(\d)"[^>]*>([\d,]+)<', drawing)
    assert {(int(true), int(answer)): int(number) for true, answer, number in cells} == {
        (true, answer): number
        for true, row in enumerate(found.confusion_matrix)
        for answer, number in enumerate(row)
        if number
    }
    assert drawing.count("chosen") == 1
    assert drawing.count('tabindex="0"') == len(cells)


def test_names_of_classes_are_text_and_nothing_else() -> None:
    said = replace(judged([0, 1], [[0.9, 0.1], [0.8, 0.2]]), classes=("<b>ants", '"bees'))
    drawing = matrix_html(compute_evaluation(said, said), None)
    assert "<b>" not in drawing
    assert "&lt;b&gt;ants" in drawing
    assert 'called "' not in drawing


def test_of_many_classes_those_with_most_mistakes_are_drawn() -> None:
    classes = MOST + 4
    labels = [*range(classes), *range(classes)]
    sure = np.eye(classes)[labels]
    for place, (true, answer) in enumerate([(3, 19), (19, 3), (7, 19)]):
        sure[true + classes * (place % 2)] = np.eye(classes)[answer]
    said = judged(labels, sure.tolist())
    shown = drawn_classes(compute_evaluation(said, said))
    assert len(shown) == MOST
    assert {3, 7, 19} <= set(shown)
    assert shown == sorted(shown)


@pytest.mark.parametrize(("by", "groups"), [(CLASS, 2), (RIGHT, 2), (SURE, 1)])
def test_every_image_is_a_point_that_names_itself(by: str, groups: int) -> None:
    samples = tuple(
        Sample(f"{n}.jpg", Path(f"{n}.jpg"), f"{n:064x}", "ants" if n < 4 else "bees", "train")
        for n in range(7)
    )
    points = np.arange(14, dtype=np.float32).reshape(7, 2)
    found = Embedding("run", ("ants", "bees"), samples, points, (0.6, 0.2), 7, 0)
    answers = {sample.key: ("ants", 0.5 + n / 20) for n, sample in enumerate(samples)}
    figure = scatter(found, answers, by, LIGHT, LOOK)
    assert len(figure.data) == groups
    places = [row[0] for trace in figure.data for row in trace.customdata]
    assert sorted(places) == list(range(7))
    for trace in figure.data:
        for row, x, words in zip(trace.customdata, trace.x, trace.hovertext, strict=True):
            assert x == points[row[0], 0]
            assert words.startswith(samples[row[0]].label)
    assert figure.layout.dragmode == "lasso"


def test_a_share_is_drawn_with_its_interval() -> None:
    said = drawn(90, 3, 1)
    found = compute_evaluation(said, said)
    figure = shares([Named("this head", found.accuracy, "#000")], LIGHT, LOOK)
    assert list(figure.data[0].x) == [found.accuracy.low, found.accuracy.high]
    assert list(figure.data[1].x) == [found.accuracy.value]
    diagram = reliability(found.calibration, LIGHT, LOOK)
    assert list(diagram.data[1].y) == [each.accuracy for each in found.calibration.bins]
