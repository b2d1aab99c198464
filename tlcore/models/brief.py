"""One network's answer to one picture of many, in a few bytes: no 1000 numbers a picture."""

from __future__ import annotations

from dataclasses import dataclass

from tlcore.models.answers import Floats
from tlcore.models.certainty import Certainty, certainty


@dataclass(frozen=True)
class Brief:
    """The best class and how sure it is."""

    index: int  # of the most probable class
    probability: float  # of that class, 0…1
    certainty: Certainty


def brief(probabilities: Floats) -> Brief:
    """Return the short form of (classes,) probabilities."""
    best = int(probabilities.argmax())
    return Brief(best, float(probabilities[best]), certainty(probabilities))
