"""Every number of an evaluation beside scikit-learn's, and the odd cases by hand."""

from __future__ import annotations

import dataclasses
import json

import msgspec
import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from tests.evaluation.planted import drawn, judged, take
from tlcore.errors import RunError
from tlcore.evaluation.evaluation import Evaluation, compute_evaluation
from tlcore.evaluation.metrics import (
    compute_curves,
    compute_threshold_metrics,
    list_cell,
    list_correct,
    list_mistakes,
)

CONSTANT = judged([0] * 17 + [1] * 2, [[0.9, 0.1]] * 19)


@pytest.mark.parametrize(("images", "classes", "seed"), [(200, 2, 0), (333, 5, 1), (40, 12, 2)])
def test_every_number_equals_scikit_learns(images: int, classes: int, seed: int) -> None:
    said = drawn(images, classes, seed)
    found = compute_evaluation(said, drawn(300, classes, 9, "train"))
    truth, answers = said.labels, said.predicted
    assert found.accuracy.value == pytest.approx(metrics.accuracy_score(truth, answers))
    assert found.balanced_accuracy.value == pytest.approx(
        metrics.balanced_accuracy_score(truth, answers)
    )
    assert found.macro_f1 == pytest.approx(
        metrics.f1_score(truth, answers, average="macro", zero_division=0)
    )
    assert found.log_loss == pytest.approx(
        metrics.log_loss(truth, said.probabilities, labels=range(classes)),
        rel=1e-5,
    )
    assert found.confusion_matrix == tuple(
        map(tuple, metrics.confusion_matrix(truth, answers, labels=range(classes)).tolist())
    )
    report = metrics.precision_recall_fscore_support(
        truth, answers, labels=range(classes), zero_division=0
    )
    for figures, precision, recall, f1, support in zip(found.per_class, *report, strict=True):
        assert (figures.precision.value if figures.precision else 0) == pytest.approx(precision)
        assert (figures.recall.value if figures.recall else 0) == pytest.approx(recall)
        assert (figures.f1 or 0) == pytest.approx(f1)
        assert figures.images == support


@pytest.mark.parametrize("seed", range(3))
def test_the_reliability_diagram_equals_scikit_learns(seed: int) -> None:
    said = drawn(400, 3, seed)
    found = compute_evaluation(said, said).calibration
    accuracy, confidence = calibration_curve(said.correct, said.confidence, n_bins=10)
    assert [each.accuracy for each in found.bins] == pytest.approx(accuracy.tolist())
    assert [each.confidence for each in found.bins] == pytest.approx(confidence.tolist(), rel=1e-5)
    weights = np.array([each.images for each in found.bins]) / len(said)
    assert found.error == pytest.approx((weights * np.abs(accuracy - confidence)).sum(), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_curves_equal_scikit_learns(seed: int) -> None:
    said = drawn(150, 2, seed)
    said.probabilities[:40] = said.probabilities[40:80].round(1)  # ties
    found, sure = compute_curves(said), said.probabilities[:, 1]
    false, true, _ = metrics.roc_curve(said.labels, sure, drop_intermediate=False)
    np.testing.assert_allclose(np.append(0, found.false_positive_rate), false)
    np.testing.assert_allclose(np.append(0, found.recall), true)
    precision, recall, _ = metrics.precision_recall_curve(said.labels, sure)
    np.testing.assert_allclose(found.precision[::-1], precision[-len(found.precision) - 1 : -1])
    np.testing.assert_allclose(found.recall[::-1], recall[-len(found.recall) - 1 : -1])
    assert found.roc_auc == pytest.approx(metrics.roc_auc_score(said.labels, sure))
    assert found.average_precision == pytest.approx(
        metrics.average_precision_score(said.labels, sure)
    )


def test_a_threshold_by_hand() -> None:
    said = judged([1, 1, 1, 0, 0], [[0.1, 0.9], [0.6, 0.4], [0.8, 0.2], [0.5, 0.5], [0.9, 0.1]])
    found = compute_threshold_metrics(said, 0.4)
    assert (
        found.true_positives,
        found.false_negatives,
        found.false_positives,
        found.true_negatives,
    ) == (2, 1, 1, 1)
    assert found.accuracy.value == pytest.approx(0.6)
    assert found.precision is not None
    assert found.precision.value == pytest.approx(2 / 3)
    assert compute_threshold_metrics(said, 0.95).precision is None
    assert compute_threshold_metrics(said, 0.0).recall is not None
    with pytest.raises(RunError, match="two classes"):
        compute_threshold_metrics(drawn(5, 3, 0), 0.5)
    with pytest.raises(RunError, match="both classes"):
        compute_curves(judged([1, 1], [[0.5, 0.5]] * 2))


def test_a_constant_model_on_17_to_2_is_called_one() -> None:
    found = compute_evaluation(CONSTANT, CONSTANT)
    assert found.accuracy.value == pytest.approx(17 / 19)
    assert found.balanced_accuracy.value == 0.5
    assert found.majority_baseline.accuracy == found.accuracy
    assert "for every image" in found.warnings[0]
    assert any("has only 2 images here" in words for words in found.warnings)
    never = found.per_class[1]
    assert never.precision is None
    assert never.recall is not None and never.recall.value == 0
    assert found.binary is not None and found.binary.roc_auc == 0.5


def test_a_class_with_neither_images_nor_answers_has_no_figures() -> None:
    said = judged([0, 1], [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    found = compute_evaluation(said, said)
    third = found.per_class[2]
    assert (third.precision, third.recall, third.f1) == (None, None, None)
    assert found.macro_f1 == 1
    assert any("no image of “class 2”" in words for words in found.warnings)


def test_baselines_learn_from_the_training_part_alone() -> None:
    """ImageNet's class 5 goes with class 1 in training; there class 0 is the more frequent."""
    train = judged([0, 0, 1], [[1.0, 0.0]] * 3, "train", imagenet=[7, 7, 5])
    test = judged([1, 1, 1, 0], [[0.0, 1.0]] * 4, imagenet=[5, 5, 9, 5])
    found = compute_evaluation(test, train)
    assert (found.majority_baseline.label, found.majority_baseline.accuracy.value) == (
        "class 0",
        0.25,
    )
    assert found.imagenet_accuracy is not None and found.imagenet_accuracy.value == 0.5
    without = compute_evaluation(test, judged([0, 1], [[1.0, 0.0]] * 2, "train"))
    assert without.imagenet_accuracy is None and "not here" in without.imagenet_note


def test_a_certain_mistake_costs_its_whole_logit() -> None:
    """A probability of float32 is 0 here; the logits give ln(1 + e^200) for one of two."""
    said = judged([0, 1], [[0.5, 0.5]] * 2)
    said.logits[:] = [0.0, 200.0]
    assert compute_evaluation(said, said).log_loss == pytest.approx(100)


def test_the_images_behind_a_cell_are_as_many_as_it_says_worst_first() -> None:
    said = drawn(250, 4, 3)
    matrix = compute_evaluation(said, said).confusion_matrix
    for true, row in enumerate(matrix):
        for answer, number in enumerate(row):
            places = list_cell(said, true, answer)
            assert len(places) == number
            own = said.probabilities[places, true]
            assert (np.diff(own) >= 0).all()
    assert len(list_mistakes(said)) + len(list_correct(said)) == len(said)
    assert said.confidence[list_correct(said)[0]] == said.confidence[said.correct].max()


def test_validation_says_that_there_is_no_test() -> None:
    said = drawn(100, 2, 0, "val")
    assert "no test split" in compute_evaluation(said, said, has_test=False).warnings[0]
    assert compute_evaluation(said, said, has_test=True).warnings == ()


@pytest.mark.parametrize("classes", [2, 3])
def test_there_and_back_through_json(classes: int) -> None:
    found = compute_evaluation(drawn(30, classes, 0), drawn(30, classes, 1))
    text = json.dumps(dataclasses.asdict(found), allow_nan=False)
    assert msgspec.json.decode(text, type=Evaluation) == found


def test_nothing_to_judge_is_refused() -> None:
    empty = take(drawn(3, 2, 0))
    with pytest.raises(RunError, match="files are gone"):
        compute_evaluation(empty, drawn(3, 2, 0))
