"""Every number of an evaluation beside scikit-learn's, and the odd cases by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from tests.evaluation.planted import draw_predictions, make_predictions, select_rows
from tlcore.errors import RunError
from tlcore.evaluation.evaluation import compute_evaluation
from tlcore.evaluation.intervals import proportion_of
from tlcore.evaluation.metrics import (
    compute_calibration,
    compute_curves,
    compute_threshold_metrics,
    list_cell,
    list_mistakes,
)

CONSTANT = make_predictions([0] * 17 + [1] * 2, [[0.9, 0.1]] * 19)


@pytest.mark.parametrize("seed", range(2))
def test_the_reliability_diagram_equals_scikit_learns(seed: int) -> None:
    predictions = draw_predictions(400, 3, seed)
    result = compute_evaluation(predictions, predictions).calibration
    accuracy, confidence = calibration_curve(predictions.correct, predictions.confidence, n_bins=10)
    assert [each.accuracy for each in result.bins] == pytest.approx(accuracy.tolist())
    assert [each.confidence for each in result.bins] == pytest.approx(confidence.tolist(), rel=1e-5)
    weights = np.array([each.images for each in result.bins]) / len(predictions)
    assert result.error == pytest.approx((weights * np.abs(accuracy - confidence)).sum(), rel=1e-5)


def test_calibration_by_hand() -> None:
    # one bin: 0.95 sure, all right (off by 0.05); another: 0.65 sure, half right (off by 0.15)
    calibration = compute_calibration([0.95, 0.95, 0.65, 0.65], [True, True, True, False])
    assert calibration.error == pytest.approx(0.5 * 0.05 + 0.5 * 0.15)
    assert (calibration.accuracy, calibration.images) == (0.75, 4)
    assert calibration.advice.startswith("4 images are too few to tell")  # no verdict, good or bad
    assert compute_calibration([1.0] * 100, [True] * 100).error == 0
    assert (
        "more confident than it is accurate"
        in compute_calibration([0.9] * 100, [True, False] * 50).advice
    )


@pytest.mark.parametrize("seed", range(2))
def test_curves_equal_scikit_learns(seed: int) -> None:
    predictions = draw_predictions(150, 2, seed)
    predictions.probabilities[:40] = predictions.probabilities[40:80].round(1)  # ties
    result, sure = compute_curves(predictions), predictions.probabilities[:, 1]
    false, true, _ = metrics.roc_curve(predictions.labels, sure, drop_intermediate=False)
    np.testing.assert_allclose(np.append(0, result.false_positive_rate), false)
    np.testing.assert_allclose(np.append(0, result.recall), true)
    precision, recall, _ = metrics.precision_recall_curve(predictions.labels, sure)
    np.testing.assert_allclose(result.precision[::-1], precision[-len(result.precision) - 1 : -1])
    np.testing.assert_allclose(result.recall[::-1], recall[-len(result.recall) - 1 : -1])
    assert result.roc_auc == pytest.approx(metrics.roc_auc_score(predictions.labels, sure))
    assert result.average_precision == pytest.approx(
        metrics.average_precision_score(predictions.labels, sure)
    )


def test_a_threshold_by_hand() -> None:
    predictions = make_predictions(
        [1, 1, 1, 0, 0], [[0.1, 0.9], [0.6, 0.4], [0.8, 0.2], [0.5, 0.5], [0.9, 0.1]]
    )
    result = compute_threshold_metrics(predictions, 0.4)
    assert (result.false_negatives, result.false_positives) == (1, 1)
    assert result.recall == proportion_of(2, 3)
    assert result.specificity == proportion_of(1, 2)
    assert result.precision == proportion_of(2, 3)
    assert compute_threshold_metrics(predictions, 0.95).precision is None
    assert compute_threshold_metrics(predictions, 0.0).recall is not None
    with pytest.raises(RunError, match="two classes"):
        compute_threshold_metrics(draw_predictions(5, 3, 0), 0.5)
    with pytest.raises(RunError, match="both classes"):
        compute_curves(make_predictions([1, 1], [[0.5, 0.5]] * 2))


def test_a_constant_model_on_17_to_2_is_called_one() -> None:
    result = compute_evaluation(CONSTANT, CONSTANT)
    assert result.accuracy.value == pytest.approx(17 / 19)
    assert result.balanced_accuracy.value == 0.5
    assert result.majority_baseline.accuracy == result.accuracy
    assert "for every image" in result.warnings[0]
    assert any("has only 2 images here" in words for words in result.warnings)
    never = result.per_class[1]
    assert never.precision is None
    assert never.recall is not None and never.recall.value == 0
    assert result.binary is not None and result.binary.roc_auc == 0.5


def test_baselines_learn_from_the_training_part_alone() -> None:
    """ImageNet's class 5 goes with class 1 in training; there class 0 is the more frequent."""
    train = make_predictions([0, 0, 1], [[1.0, 0.0]] * 3, "train", imagenet=[7, 7, 5])
    test = make_predictions([1, 1, 1, 0], [[0.0, 1.0]] * 4, imagenet=[5, 5, 9, 5])
    result = compute_evaluation(test, train)
    assert (result.majority_baseline.label, result.majority_baseline.accuracy.value) == (
        "class 0",
        0.25,
    )
    assert result.imagenet_accuracy is not None and result.imagenet_accuracy.value == 0.5
    without = compute_evaluation(test, make_predictions([0, 1], [[1.0, 0.0]] * 2, "train"))
    assert without.imagenet_accuracy is None and "not here" in without.imagenet_note


def test_a_certain_mistake_costs_its_whole_logit() -> None:
    """A probability of float32 is 0 here; the logits give ln(1 + e^200) for one of two."""
    predictions = make_predictions([0, 1], [[0.5, 0.5]] * 2)
    predictions.logits[:] = [0.0, 200.0]
    assert compute_evaluation(predictions, predictions).log_loss == pytest.approx(100)


def test_the_images_behind_a_cell_are_as_many_as_it_says_worst_first() -> None:
    predictions = draw_predictions(250, 4, 3)
    matrix = compute_evaluation(predictions, predictions).confusion_matrix
    for true, row in enumerate(matrix):
        for answer, number in enumerate(row):
            places = list_cell(predictions, true, answer)
            assert len(places) == number
            own = predictions.probabilities[places, true]
            assert (np.diff(own) >= 0).all()
    assert sorted(list_mistakes(predictions)) == np.flatnonzero(~predictions.correct).tolist()


def test_nothing_to_judge_is_refused() -> None:
    empty = select_rows(draw_predictions(3, 2, 0))
    with pytest.raises(RunError, match="files are gone"):
        compute_evaluation(empty, draw_predictions(3, 2, 0))
