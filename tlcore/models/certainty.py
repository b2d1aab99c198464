"""How sure an answer is, in numbers and in plain words.

============================  =====================================================
words                         when, by the two most probable classes p₁ ≥ p₂
============================  =====================================================
sure                          p₁ at least 0.9 (so p₁ − p₂ at least 0.8)
fairly sure                   p₁ at least 0.7 (so p₁ − p₂ at least 0.4)
leaning one way               p₁ − p₂ at least 0.2
torn between two              p₁ + p₂ at least 0.7 (so p₂ more than 0.25)
torn between a few            as uncertain as a choice among at most 10 equal classes
at a loss                     otherwise
============================  =====================================================

The first row that holds is used: nothing is called sure that is improbable, and nothing torn of
which one class is well ahead. "As uncertain as n equal classes" is 2 to the power of the
entropy in bits (Shannon, 1948).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tlcore.models.answers import Floats

SURE, FAIRLY, LEANING, TWO, FEW = 0.9, 0.7, 0.2, 0.7, 10


@dataclass(frozen=True)
class Certainty:
    """How an answer's probability is spread."""

    bits: float  # entropy; 0 where one class has everything, log2(classes) where all are equal
    margin: float  # p₁ − p₂, 0…1
    best: float  # p₁
    second: float  # p₂

    @property
    def like(self) -> float:
        """Among how many equally probable classes a choice would be as uncertain."""
        return float(2**self.bits)

    @property
    def words(self) -> str:
        if self.best >= SURE:
            return "sure"
        if self.best >= FAIRLY:
            return "fairly sure"
        if self.margin >= LEANING:
            return "leaning one way"
        if self.best + self.second >= TWO:
            return "torn between two"
        return "torn between a few" if self.like <= FEW else "at a loss"


def certainty(probabilities: Floats) -> Certainty:
    """Return how sure (classes,) probabilities are; at least two classes."""
    exact = probabilities.astype(np.float64)
    second, best = np.partition(exact, -2)[-2:]
    some = exact[exact > 0]
    bits = max(0.0, float(-(some * np.log2(some)).sum()))
    return Certainty(bits, float(best - second), float(best), float(second))
