"""The figures of answers beside labels: per class and over all. Plain arithmetic on counts.

Everything but the log loss comes from the confusion matrix. What cannot be known is None, never
an invented 0: the precision of a class that was never said, the recall of one without a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlcore.evaluation.intervals import Share, mean_of, share_of
from tlcore.models.probabilities import log_softmax

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is told apart."""

    label: str
    pictures: int  # of it among the judged ones
    answers: int  # how often it was said
    precision: Share | None  # share of those answers that were right; None: it was never said
    recall: Share | None  # share of its pictures that were recognised; None: it has none
    f1: float | None  # 2·right ÷ (pictures + answers), 0…1; None: neither pictures nor answers


def confusion(labels: Counts, answers: Counts, classes: int) -> Counts:
    """Return (classes, classes) int64: row the true class, column what was said."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, answers), 1)
    return counts


def class_figures(matrix: Counts, labels: tuple[str, ...]) -> tuple[ClassFigures, ...]:
    """Return the figures of every class of a (classes, classes) confusion matrix."""
    rows = zip(labels, matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0), strict=True)
    return tuple(
        ClassFigures(
            label,
            int(pictures),
            int(answers),
            share_of(int(right), int(answers)) if answers else None,
            share_of(int(right), int(pictures)) if pictures else None,
            2 * float(right) / float(pictures + answers) if pictures + answers else None,
        )
        for label, right, pictures, answers in rows
    )


def balanced_accuracy(figures: tuple[ClassFigures, ...]) -> Share:
    """Return the mean recall of the classes that have judged pictures, with its interval."""
    return mean_of([each.recall for each in figures if each.recall is not None])


def macro_f1(figures: tuple[ClassFigures, ...]) -> float:
    """Return the mean F1 of the classes that have pictures or were said, 0…1."""
    return float(np.mean([each.f1 for each in figures if each.f1 is not None]))


def log_loss(labels: Counts, logits: npt.NDArray[np.float32]) -> float:
    """Return the mean of −ln of the true class's probability, at least 0.

    From the logits: a float32 probability cannot tell 1e-9 from 0.

    Args:
        labels: int64 (n,).
        logits: float32 (n, classes).
    """
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())
