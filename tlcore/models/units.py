"""How many units answer: known without building anything."""

from __future__ import annotations


def units(classes: int, output: str = "sigmoid") -> int:
    """Return how many units the last dense layer has: one for two classes with a sigmoid."""
    return 1 if classes == 2 and output == "sigmoid" else classes
