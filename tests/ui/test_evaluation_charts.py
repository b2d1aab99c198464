"""Charts of an evaluation on planted predictions: confusion matrix, embedding, bars, diagrams."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.evaluation.planted import draw_predictions, make_predictions
from tlcore.datasets.dataset import Sample
from tlcore.evaluation.embedding import Embedding
from tlcore.evaluation.evaluation import Evaluation, compute_evaluation
from tlcore.evaluation.metrics import CalibrationBin
from tlcore.ui.components.charts import MANY, accuracy_bars
from tlcore.ui.evaluation.embedding import BY_CLASS, BY_CONFIDENCE, BY_RESULT, embedding_figure
from tlcore.ui.evaluation.metrics import SPARSE, merge_sparse_bins, reliability_diagram
from tlcore.ui.evaluation.mistakes import FULL, MOST, confusion_matrix, drawn_classes
from tlcore.ui.theme import DARK, LIGHT


def cells(figure: go.Figure) -> dict[str, str]:
    """Cell → its text, of the markers that take the clicks."""
    markers = figure.data[-1]
    return {row[0]: text for row, text in zip(markers.customdata, markers.text, strict=True)}


def test_every_cell_of_the_matrix_can_be_clicked_and_shows_its_count() -> None:
    predictions = draw_predictions(200, 4, 0)
    evaluation = compute_evaluation(predictions, predictions)
    figure = confusion_matrix(evaluation, (1, 2), range(4))
    assert cells(figure) == {
        f"{actual}-{predicted}": f"{images:,}"
        for actual, row in enumerate(evaluation.confusion_matrix)
        for predicted, images in enumerate(row)
    }
    frame = figure.layout.shapes[0]
    assert (frame.x0, frame.y0) == (2 - 0.48, 1 - 0.48)
    right, wrong = (np.array(layer.z, float) for layer in figure.data[:2])
    assert np.isfinite(right).tolist() == np.eye(4, dtype=bool).tolist()
    assert not np.isfinite(wrong.diagonal()).any()


def test_class_names_are_text() -> None:
    predictions = replace(
        make_predictions([0, 1], [[0.9, 0.1], [0.8, 0.2]]), classes=("<b>ants", '"bees')
    )
    figure = confusion_matrix(compute_evaluation(predictions, predictions), (0, 0), [0, 1])
    assert list(figure.layout.xaxis.ticktext) == ["&lt;b&gt;ants", "&quot;bees"]


def test_of_many_classes_those_of_the_most_confused_pairs_are_drawn() -> None:
    classes = FULL + 4
    labels = [*range(classes), *range(classes)]
    probabilities = np.eye(classes)[labels]
    for actual, predicted in ((7, 19), (3, 19), (3 + classes, 19), (19, 3)):
        probabilities[actual] = np.eye(classes)[predicted]
    predictions = make_predictions(labels, probabilities.tolist())
    evaluation: Evaluation = compute_evaluation(predictions, predictions)
    assert evaluation.confused_pairs == [(3, 19, 2), (19, 3, 1), (7, 19, 1)]
    assert evaluation.worst_first[0].label == evaluation.classes[3]
    shown = drawn_classes(evaluation, [(3, 19), (19, 3), (7, 19)])
    assert shown == [3, 7, 19]
    texts = cells(confusion_matrix(evaluation, (3, 19), shown))
    assert (texts["3-19"], texts["7-19"], texts["7-7"], texts["7-3"]) == ("2", "1", "1", "0")
    assert len(drawn_classes(evaluation, [(n, n + 1) for n in range(classes - 1)])) == MOST


@pytest.mark.parametrize(
    ("colour_by", "groups"), [(BY_CLASS, 2), (BY_RESULT, 2), (BY_CONFIDENCE, 1)]
)
def test_every_image_is_a_point_that_names_itself(colour_by: str, groups: int) -> None:
    samples = tuple(
        Sample(f"{n}.jpg", Path(f"{n}.jpg"), f"{n:064x}", "ants" if n < 4 else "bees", "train")
        for n in range(7)
    )
    points = np.arange(14, dtype=np.float32).reshape(7, 2)
    embedding = Embedding("run", ("ants", "bees"), samples, points, (0.6, 0.2), 7, 0)
    predictions = {sample.key: ("ants", 0.5 + n / 20) for n, sample in enumerate(samples)}
    figure = embedding_figure(embedding, predictions, colour_by)
    assert len(figure.data) == groups
    places = [row[0] for trace in figure.data for row in trace.customdata]
    assert sorted(places) == list(range(7))
    for trace in figure.data:
        for row, x, words in zip(trace.customdata, trace.x, trace.hovertext, strict=True):
            assert x == points[row[0], 0]
            assert words.startswith(samples[row[0]].label)
    assert figure.layout.dragmode is None  # a click selects


def test_an_accuracy_is_drawn_with_its_interval() -> None:
    predictions = draw_predictions(90, 3, 1)
    evaluation = compute_evaluation(predictions, predictions)
    share = evaluation.accuracy
    bar = accuracy_bars([("This run", share, "#000")]).data[0]
    assert list(bar.x) == [share.value]
    assert bar.x[0] + bar.error_x.array[0] == pytest.approx(share.high)
    assert bar.x[0] - bar.error_x.arrayminus[0] == pytest.approx(share.low)
    diagram = reliability_diagram(evaluation.calibration)
    dots = diagram.data[1]
    assert dots.mode == "markers+text"  # no line from bin to bin
    assert sum(int(text) for text in dots.text) == 90
    assert min(int(text) for text in dots.text) >= SPARSE


def test_sparse_bins_are_merged_by_their_images() -> None:
    bins = [CalibrationBin(0.5, 0.6, 0.52, 1.0, 2), CalibrationBin(0.8, 0.9, 0.85, 0.5, 8),
            CalibrationBin(0.9, 1.0, 0.98, 0.95, 40)]  # fmt: skip
    merged = merge_sparse_bins(bins)
    assert [each.images for each in merged] == [10, 40]
    assert merged[0].accuracy == pytest.approx((2 * 1.0 + 8 * 0.5) / 10)
    few = [bins[2], replace(bins[0], images=3), replace(bins[0], images=4)]
    assert [each.images for each in merge_sparse_bins(few)] == [47]
    apart = [replace(bins[0], images=12), replace(bins[1], images=12)]
    assert merge_sparse_bins(apart) == apart


def test_classes_have_no_colour_of_the_two_networks() -> None:
    assert not set(MANY) & {tone for each in (LIGHT, DARK) for tone in (each.pretrained, each.head)}
