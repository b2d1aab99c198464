"""The figures of answers beside labels: per class and over all. Plain arithmetic on counts.

Everything but the log loss comes from the confusion matrix. What cannot be known is None, never
an invented 0: the precision of a class that was never said, the recall of one without an image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlcore.errors import RunError
from tlcore.evaluation.intervals import Proportion, mean_of, proportion_of
from tlcore.evaluation.judged import Indices, SplitPredictions
from tlcore.models.predictions import log_softmax

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassMetrics:
    """How well one class is told apart."""

    label: str
    images: int  # of it among the judged ones
    predicted: int  # how often it was said
    precision: Proportion | None  # share of those answers that were right; None: it was never said
    recall: Proportion | None  # share of its images that were recognised; None: it has none
    f1: float | None  # 2·right ÷ (images + answers), 0…1; None: neither images nor answers


def compute_confusion_matrix(labels: Counts, answers: Counts, classes: int) -> Counts:
    """Return (classes, classes) int64: row the true class, column what was said."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, answers), 1)
    return counts


def compute_class_metrics(matrix: Counts, labels: tuple[str, ...]) -> tuple[ClassMetrics, ...]:
    """Return the figures of every class of a (classes, classes) confusion matrix."""
    rows = zip(labels, matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0), strict=True)
    return tuple(
        ClassMetrics(
            label,
            int(images),
            int(answers),
            proportion_of(int(right), int(answers)) if answers else None,
            proportion_of(int(right), int(images)) if images else None,
            2 * float(right) / float(images + answers) if images + answers else None,
        )
        for label, right, images, answers in rows
    )


def compute_balanced_accuracy(figures: tuple[ClassMetrics, ...]) -> Proportion:
    """Return the mean recall of the classes that have judged images, with its interval."""
    return mean_of([each.recall for each in figures if each.recall is not None])


def compute_macro_f1(figures: tuple[ClassMetrics, ...]) -> float:
    """Return the mean F1 of the classes that have images or were said, 0…1."""
    return float(np.mean([each.f1 for each in figures if each.f1 is not None]))


def compute_log_loss(labels: Counts, logits: npt.NDArray[np.float32]) -> float:
    """Return the mean of −ln of the true class's probability, at least 0.

    From the logits: a float32 probability cannot tell 1e-9 from 0.

    Args:
        labels: int64 (n,).
        logits: float32 (n, classes).
    """
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


# From a cell of the confusion matrix to the images behind it, the telling ones first.


def list_cell(judged: SplitPredictions, true: int, said: int) -> Indices:
    """Return the places of the images of class ``true`` that were called ``said``.

    Worst first: off the diagonal the surest mistakes, on it the least sure right answers. As many
    as the cell of the matrix says.
    """
    places = np.flatnonzero((judged.labels == true) & (judged.predicted == said))
    return _worst_first(judged, places)


def list_mistakes(judged: SplitPredictions) -> Indices:
    """Return the places of all wrong answers, the surest first."""
    return _worst_first(judged, np.flatnonzero(~judged.correct))


def list_correct(judged: SplitPredictions) -> Indices:
    """Return the places of all right answers, the surest first."""
    return _worst_first(judged, np.flatnonzero(judged.correct))[::-1]


def _worst_first(judged: SplitPredictions, places: Indices) -> Indices:
    """Sort by the probability of the true class, lowest first; ties by file."""
    own = judged.probabilities[places, judged.labels[places]]
    files = np.array([judged.samples[place].file for place in places.tolist()], dtype=str)
    return places[np.lexsort((files, own))]


# A head of two classes at any threshold: ROC and precision over recall.
#
# The second class is the one that is looked for: an image is called it when its probability
# reaches the threshold. Area under the ROC curve: trapezoids, as in T. Fawcett, "An introduction
# to ROC analysis", Pattern Recognition Letters 27, 2006. Average precision: the sum of precision
# over the steps of recall, without interpolation, as scikit-learn defines it.


Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ThresholdCurves:
    """Every threshold at which something changes, the highest first."""

    thresholds: Doubles  # (k,) distinct probabilities, falling
    false_positive_rate: Doubles  # (k,) share of the first class called the second, 0…1
    recall: Doubles  # (k,) share of the second class that is found, 0…1
    precision: Doubles  # (k,) share of what is called the second class that is it, 0…1
    roc_auc: float  # 0…1, ½ for tossing a coin
    average_precision: float  # 0…1, the second class's share for tossing a coin


@dataclass(frozen=True)
class ThresholdMetrics:
    """What a threshold makes of the answers."""

    threshold: float
    true_positives: int  # images of the second class that are called it
    false_negatives: int  # … that are not
    false_positives: int  # images of the first class that are called the second
    true_negatives: int  # … that are not
    accuracy: Proportion
    precision: Proportion | None  # None: nothing is called the second class
    recall: Proportion | None  # None: there is no image of the second class
    specificity: Proportion | None  # share of the first class that is left alone; None: it has none


def compute_curves(judged: SplitPredictions) -> ThresholdCurves:
    """Return both curves of a two-class head.

    Raises:
        RunError: another number of classes, or one of them has no judged image.
    """
    truth, sure = _second(judged)
    if not 0 < truth.sum() < len(truth):
        raise RunError(
            "Expected judged images of both classes. Received "
            f"{truth.sum()} of {len(truth)} in {judged.classes[1]}. Judge another part."
        )
    order = np.argsort(-sure, kind="stable")
    truth, sure = truth[order], sure[order]
    last = np.flatnonzero(np.append(np.diff(sure) != 0, True))  # of each distinct probability
    hits = truth.cumsum()[last].astype(np.float64)
    called = last + 1.0
    recall, false = hits / truth.sum(), (called - hits) / (len(truth) - truth.sum())
    precision = hits / called
    return ThresholdCurves(
        thresholds=sure[last].astype(np.float64),
        false_positive_rate=false,
        recall=recall,
        precision=precision,
        roc_auc=float(np.trapezoid(np.append(0, recall), np.append(0, false))),
        average_precision=float((np.diff(recall, prepend=0) * precision).sum()),
    )


def compute_threshold_metrics(judged: SplitPredictions, threshold: float) -> ThresholdMetrics:
    """Return the figures when the second class is said from ``threshold`` (0…1) on."""
    truth, sure = _second(judged)
    called = sure >= threshold
    hits, misses = int((called & truth).sum()), int((~called & truth).sum())
    false, true_negatives = int((called & ~truth).sum()), int((~called & ~truth).sum())
    return ThresholdMetrics(
        threshold, hits, misses, false, true_negatives,
        proportion_of(hits + true_negatives, len(truth)),
        _share(hits, hits + false), _share(hits, hits + misses),
        _share(true_negatives, true_negatives + false),
    )  # fmt: skip


def _share(right: int, images: int) -> Proportion | None:
    return proportion_of(right, images) if images else None


def _second(judged: SplitPredictions) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    if len(judged.classes) != 2:
        raise RunError(
            "Expected a head of two classes: only there one threshold decides. Received "
            f"{len(judged.classes)} classes."
        )
    return judged.labels == 1, judged.probabilities[:, 1]
