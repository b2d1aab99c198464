"""Whether probabilities mean what they say: of answers given with 80%, are 80% right?

Expected calibration error: M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated
Probabilities Using Bayesian Binning", AAAI 2015; with ten bins of equal width on the probability
of the answer, as in C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 10
GOOD, FAIR = 0.05, 0.15  # calibration errors up to which the percentages may be taken as such
# Answers, below which nothing is said of the percentages. A head that is 10 points surer than it is
# right has an error of at most GOOD in 37% of draws of 3 answers, 12% of 10, 9% of 50, 5% of 100
# (2,000 draws each, confidences of 50 to 100%, most of them high).
ENOUGH = 100


@dataclass(frozen=True)
class CalibrationBin:
    """The answers given with about the same probability: a point of the reliability diagram."""

    low: float  # bounds of the probability; the upper one belongs to the next bin
    high: float
    confidence: float  # mean probability of the answers in it, 0…1
    accuracy: float  # share of them that were right, 0…1
    images: int  # at least one


@dataclass(frozen=True)
class Calibration:
    """How sure a network was, and how often it was right."""

    error: float  # expected calibration error, 0…1
    confidence: float  # mean probability of its answers, 0…1
    accuracy: float  # share of them that were right, 0…1
    images: int
    bins: tuple[CalibrationBin, ...] = ()  # those that hold answers, least sure first

    @property
    def advice(self) -> str:
        """One plain sentence on how far its percentages can be trusted."""
        if self.images < ENOUGH:
            few = "1 image is" if self.images == 1 else f"{self.images} images are"
            return (
                f"{few} too few to tell how far its percentages can be trusted ({ENOUGH} would do)"
            )
        if self.error <= GOOD:
            return "its percentages can be taken as they are"
        if self.error <= FAIR:
            return "take its percentages as a rough guide"
        if self.confidence > self.accuracy:
            return "it is surer than it should be"
        return "it is right more often than its percentages say"


def compute_calibration(confidences: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Return the calibration of answers given with these probabilities; at least one."""
    sure, correct = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    if not len(sure) == len(correct) > 0:
        raise ValueError(
            f"Expected as many probabilities as verdicts, at least one. Received {len(sure)} and "
            f"{len(correct)}."
        )
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = tuple(_bin(int(at), sure[place == at], correct[place == at]) for at in np.unique(place))
    off = sum(each.images * abs(each.confidence - each.accuracy) for each in bins)
    return Calibration(off / len(sure), float(sure.mean()), float(correct.mean()), len(sure), bins)


def _bin(
    at: int, sure: npt.NDArray[np.float64], correct: npt.NDArray[np.float64]
) -> CalibrationBin:
    return CalibrationBin(
        at / BINS, (at + 1) / BINS, float(sure.mean()), float(correct.mean()), len(sure)
    )
