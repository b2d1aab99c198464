"""Whether probabilities mean what they say: of answers given with 80%, are 80% right?

Expected calibration error: M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated
Probabilities Using Bayesian Binning", AAAI 2015; with ten bins of equal width on the probability
of the answer, as in C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 10
GOOD, FAIR = 0.05, 0.15  # calibration errors up to which the percentages may be taken as such
ENOUGH = 100  # answers, below which a calibration error is itself a rough figure


@dataclass(frozen=True)
class Calibration:
    """How sure a network was, and how often it was right."""

    error: float  # expected calibration error, 0…1
    confidence: float  # mean probability of its answers, 0…1
    accuracy: float  # share of them that were right, 0…1
    answers: int

    @property
    def words(self) -> str:
        """One plain sentence on how far its percentages can be trusted."""
        if self.error <= GOOD:
            verdict = "its percentages can be taken as they are"
        elif self.error <= FAIR:
            verdict = "take its percentages as a rough guide"
        elif self.confidence > self.accuracy:
            verdict = "it is surer than it should be"
        else:
            verdict = "it is right more often than its percentages say"
        doubt = "; so few pictures say little about that" if self.answers < ENOUGH else ""
        return verdict + doubt


def calibration(confidences: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Return the calibration of answers given with these probabilities; at least one."""
    sure, correct = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    if not len(sure) == len(correct) > 0:
        raise ValueError(
            f"Expected as many probabilities as verdicts, at least one. Received {len(sure)} and "
            f"{len(correct)}."
        )
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    error = 0.0
    for number in np.unique(bins):
        inside = bins == number
        error += inside.mean() * abs(sure[inside].mean() - correct[inside].mean())
    return Calibration(float(error), float(sure.mean()), float(correct.mean()), len(sure))
