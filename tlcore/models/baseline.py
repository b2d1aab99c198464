"""The ImageNet baseline: how far one comes with no head at all.

Each ImageNet class stands for the label it most often goes with in the training part; an ImageNet
class that never came first there stands for the training part's most frequent label. A head that
does no better has learned nothing that the network could not say before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Baseline:
    """A label for each ImageNet class, learned by counting."""

    labels: Mapping[int, str]  # ImageNet class index → label
    otherwise: str  # for a class that never came first in the training part
    pictures: int  # that it was counted on

    def label(self, index: int) -> str:
        return self.labels.get(index, self.otherwise)

    def accuracy(self, best: Sequence[int], labels: Sequence[str]) -> float:
        """Return the share of pictures whose label is that of their ImageNet class."""
        right = [self.label(index) == label for index, label in zip(best, labels, strict=True)]
        return sum(right) / len(right)


def learn_baseline(best: Sequence[int], labels: Sequence[str]) -> Baseline:
    """Count which label each ImageNet class goes with; ties go to the label first in order.

    Args:
        best: ImageNet's most probable class of each training picture, at least one.
        labels: their labels.
    """
    if not best:
        raise ValueError("Expected pictures of the training part to count on. Received none.")
    together: dict[int, Counter[str]] = {}
    for index, label in zip(best, labels, strict=True):
        together.setdefault(index, Counter())[label] += 1
    return Baseline(
        {index: _most(counts) for index, counts in together.items()},
        _most(Counter(labels)),
        len(best),
    )


def _most(counts: Counter[str]) -> str:
    return min(counts, key=lambda label: (-counts[label], label))
