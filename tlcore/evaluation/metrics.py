"""Metrics of predictions: confusion matrix, precision, recall, F1, log loss, calibration, curves.

What is not defined is None, never an invented 0: the precision of a class that is never predicted,
the recall of a class without images. In NumPy alone, beside scikit-learn in the tests: its import
takes 1–2 s, for which the first look at metrics would wait.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlcore.errors import RunError
from tlcore.evaluation.intervals import Proportion, proportion_of
from tlcore.evaluation.split_predictions import Indices, SplitPredictions
from tlcore.models.predictions import Floats
from tlcore.text import images_are

Doubles = npt.NDArray[np.float64]
BINS = 10  # of the reliability diagram
GOOD_ERROR, FAIR_ERROR = 0.05, 0.15  # calibration errors up to which the percentages can be used
# Below so many images nothing is stated about the percentages: a head that is 10 points more
# confident than accurate has an error of at most GOOD_ERROR in 12% of draws of 10 images, in 5%
# of 100.
ENOUGH_IMAGES = 100
CLOSED_SET = (
    "These percentages hold for images like its validation images. A head always answers one of "
    "its classes, whatever the image shows: it calls a hammerhead one of them too, often with a "
    "high percentage."
)


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class."""

    label: str
    images: int  # of this class
    predicted: int  # images for which the class was predicted
    precision: Proportion | None  # share of those predictions that are correct; None: never made
    recall: Proportion | None  # share of its images that are predicted correctly; None: no images
    f1: float | None  # harmonic mean of both, 0…1; None: neither images nor predictions


@dataclass(frozen=True)
class CalibrationBin:
    """Predictions of about the same confidence: one point of the reliability diagram."""

    low: float  # of the confidences, inclusive
    high: float
    confidence: float  # mean, 0…1
    accuracy: float  # 0…1
    images: int  # at least one


@dataclass(frozen=True)
class Calibration:
    """How far the confidence of a model agrees with its accuracy."""

    error: float  # expected calibration error, 0…1
    confidence: float  # mean, 0…1
    accuracy: float  # 0…1
    images: int
    bins: tuple[CalibrationBin, ...] = ()  # those that hold images, least confident first

    @property
    def advice(self) -> str:
        """How far the percentages can be trusted, as part of a sentence."""
        if self.images < ENOUGH_IMAGES:
            return (
                f"{images_are(self.images)} too few to tell how far its percentages can be "
                f"trusted ({ENOUGH_IMAGES} would do)"
            )
        if self.error <= GOOD_ERROR:
            return "its percentages can be taken as they are"
        if self.error <= FAIR_ERROR:
            return "take its percentages as a rough guide"
        if self.confidence > self.accuracy:
            return "it is more confident than it is accurate"
        return "it is more accurate than its percentages suggest"


@dataclass(frozen=True, eq=False)
class ThresholdCurves:
    """ROC and precision-recall curve of the second of two classes, the highest threshold first."""

    # (k,) at k distinct thresholds: share of the first class predicted as the second, 0…1
    false_positive_rate: Doubles
    recall: Doubles  # (k,) share of the second class predicted as it, 0…1
    precision: Doubles  # (k,) share of predictions of the second class that are correct, 0…1
    roc_auc: float  # area under the ROC curve, 0…1; ½ is chance
    average_precision: float  # 0…1; the share of the second class is chance


@dataclass(frozen=True)
class ThresholdMetrics:
    """Metrics of a two-class head at one decision threshold."""

    false_negatives: int  # images of the second class predicted as the first
    false_positives: int  # images of the first class predicted as the second
    precision: Proportion | None  # None: the second class is never predicted
    recall: Proportion | None  # None: no image of the second class
    specificity: Proportion | None  # recall of the first class; None: no image of it


def compute_confusion_matrix(predictions: SplitPredictions) -> Indices:
    """Return (classes, classes) int64 counts of images: row the label, column the prediction."""
    classes = len(predictions.classes)
    cells = predictions.labels * classes + predictions.predicted
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def compute_class_metrics(matrix: Indices, classes: tuple[str, ...]) -> tuple[ClassMetrics, ...]:
    """Return the metrics of each class of a (classes, classes) confusion matrix, in its order."""
    rows = zip(classes, matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0), strict=True)
    return tuple(
        ClassMetrics(
            label=label,
            images=int(images),
            predicted=int(predicted),
            precision=_proportion(int(correct), int(predicted)),
            recall=_proportion(int(correct), int(images)),
            f1=float(2 * correct / (images + predicted)) if images + predicted else None,
        )
        for label, correct, images, predicted in rows
    )


def compute_calibration(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> Calibration:
    """Return the calibration of predictions, at least one, in ten bins of equal width.

    Expected calibration error: M. P. Naeini, G. F. Cooper, M. Hauskrecht, AAAI 2015; bins on the
    confidence as in C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Args:
        confidence: (n,) probability of the predicted class, 0…1.
        correct: (n,) whether the prediction is correct.
    """
    probability, hits = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    places = np.minimum((probability * BINS).astype(int), BINS - 1)
    bins = []
    for place in np.unique(places).tolist():
        inside, ends = places == place, (place / BINS, (place + 1) / BINS)
        means = float(probability[inside].mean()), float(hits[inside].mean())
        bins.append(CalibrationBin(*ends, *means, int(inside.sum())))
    error = sum(each.images * abs(each.confidence - each.accuracy) for each in bins) / len(hits)
    return Calibration(error, float(probability.mean()), float(hits.mean()), len(hits), tuple(bins))


def compute_curves(predictions: SplitPredictions) -> ThresholdCurves:
    """Return the curves of a two-class head.

    Raises:
        RunError: another number of classes, or a class without images.
    """
    positive, probability = _second_class(predictions)
    if not 0 < positive.sum() < len(positive):
        raise RunError(
            f"Expected images of both classes. Received {positive.sum()} of {len(positive)} in "
            f"{predictions.classes[1]}. Evaluate another split."
        )
    order = np.argsort(-probability, kind="stable")
    last = np.flatnonzero(np.append(np.diff(probability[order]), 1))  # of each threshold
    hits = np.cumsum(positive[order])[last]
    recall, precision = hits / positive.sum(), hits / (last + 1)
    false_positive_rate = (last + 1 - hits) / (~positive).sum()
    return ThresholdCurves(
        false_positive_rate,
        recall,
        precision,
        roc_auc=float(np.trapezoid(np.append(0, recall), np.append(0, false_positive_rate))),
        average_precision=float(np.diff(recall, prepend=0) @ precision),
    )


def compute_threshold_metrics(predictions: SplitPredictions, threshold: float) -> ThresholdMetrics:
    """Return the metrics when the second class is predicted from ``threshold`` (0…1) on.

    Raises:
        RunError: another number of classes than two.
    """
    positive, probability = _second_class(predictions)
    predicted = probability >= threshold
    hits, false_positives = int((predicted & positive).sum()), int((predicted & ~positive).sum())
    positives, negatives = int(positive.sum()), int((~positive).sum())
    return ThresholdMetrics(
        false_negatives=positives - hits,
        false_positives=false_positives,
        precision=_proportion(hits, hits + false_positives),
        recall=_proportion(hits, positives),
        specificity=_proportion(negatives - false_positives, negatives),
    )


def list_cell(predictions: SplitPredictions, label: int, predicted: int) -> Indices:
    """Return the indices of the images in one cell of the confusion matrix, worst first.

    Off the diagonal the most confident mistakes come first, on it the least confident images.
    """
    cell = (predictions.labels == label) & (predictions.predicted == predicted)
    return _worst_first(predictions, np.flatnonzero(cell))


def list_mistakes(predictions: SplitPredictions) -> Indices:
    """Return the indices of all wrong predictions, the most confident first."""
    return _worst_first(predictions, np.flatnonzero(~predictions.correct))


def _worst_first(predictions: SplitPredictions, places: Indices) -> Indices:
    """Sort by the probability of the label, lowest first; ties by file."""
    probability = predictions.probabilities[places, predictions.labels[places]]
    files = np.array([predictions.samples[place].file for place in places.tolist()], dtype=str)
    return places[np.lexsort((files, probability))]


def _proportion(count: int, images: int) -> Proportion | None:
    return proportion_of(count, images) if images else None


def _second_class(predictions: SplitPredictions) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Return whether each image is of the second class, and the probability of that class."""
    if len(predictions.classes) != 2:
        raise RunError(
            "Expected a head of two classes: only there one decision threshold decides. Received "
            f"{len(predictions.classes)} classes."
        )
    return predictions.labels == 1, predictions.probabilities[:, 1]
