"""A head of two classes at any threshold: ROC and precision over recall.

The second class is the one that is looked for: a picture is called it when its probability
reaches the threshold. Area under the ROC curve: trapezoids, as in T. Fawcett, "An introduction to
ROC analysis", Pattern Recognition Letters 27, 2006. Average precision: the sum of precision over
the steps of recall, without interpolation, as scikit-learn defines it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlcore.errors import RunError
from tlcore.evaluation.intervals import Share, share_of
from tlcore.evaluation.judged import Judged

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curves:
    """Every threshold at which something changes, the highest first."""

    thresholds: Doubles  # (k,) distinct probabilities, falling
    false_positives: Doubles  # (k,) share of the first class called the second, 0…1
    recall: Doubles  # (k,) share of the second class that is found, 0…1
    precision: Doubles  # (k,) share of what is called the second class that is it, 0…1
    roc_area: float  # 0…1, ½ for tossing a coin
    average_precision: float  # 0…1, the second class's share for tossing a coin


@dataclass(frozen=True)
class AtThreshold:
    """What a threshold makes of the answers."""

    threshold: float
    hits: int  # pictures of the second class that are called it
    misses: int  # … that are not
    false_alarms: int  # pictures of the first class that are called the second
    rejections: int  # … that are not
    accuracy: Share
    precision: Share | None  # None: nothing is called the second class
    recall: Share | None  # None: there is no picture of the second class
    specificity: Share | None  # share of the first class that is left alone; None: it has none


def curves(judged: Judged) -> Curves:
    """Return both curves of a two-class head.

    Raises:
        RunError: another number of classes, or one of them has no judged picture.
    """
    truth, sure = _second(judged)
    if not 0 < truth.sum() < len(truth):
        raise RunError(
            "Expected judged pictures of both classes. Received "
            f"{truth.sum()} of {len(truth)} in {judged.classes[1]}. Judge another part."
        )
    order = np.argsort(-sure, kind="stable")
    truth, sure = truth[order], sure[order]
    last = np.flatnonzero(np.append(np.diff(sure) != 0, True))  # of each distinct probability
    hits = truth.cumsum()[last].astype(np.float64)
    called = last + 1.0
    recall, false = hits / truth.sum(), (called - hits) / (len(truth) - truth.sum())
    precision = hits / called
    return Curves(
        thresholds=sure[last].astype(np.float64),
        false_positives=false,
        recall=recall,
        precision=precision,
        roc_area=float(np.trapezoid(np.append(0, recall), np.append(0, false))),
        average_precision=float((np.diff(recall, prepend=0) * precision).sum()),
    )


def at_threshold(judged: Judged, threshold: float) -> AtThreshold:
    """Return the figures when the second class is said from ``threshold`` (0…1) on."""
    truth, sure = _second(judged)
    called = sure >= threshold
    hits, misses = int((called & truth).sum()), int((~called & truth).sum())
    false, rejections = int((called & ~truth).sum()), int((~called & ~truth).sum())
    return AtThreshold(
        threshold, hits, misses, false, rejections,
        share_of(hits + rejections, len(truth)),
        _share(hits, hits + false), _share(hits, hits + misses),
        _share(rejections, rejections + false),
    )  # fmt: skip


def _share(right: int, pictures: int) -> Share | None:
    return share_of(right, pictures) if pictures else None


def _second(judged: Judged) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    if len(judged.classes) != 2:
        raise RunError(
            "Expected a head of two classes: only there one threshold decides. Received "
            f"{len(judged.classes)} classes."
        )
    return judged.labels == 1, judged.probabilities[:, 1]
