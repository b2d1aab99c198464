"""The ImageNet baseline: how far one comes with no head at all.

Each ImageNet class stands for the label it most often goes with in the training images. A class
that never came first there stands for the label that its group (dogs, birds, vehicles …: see
``groups``) most often goes with; where no class of the group did either, it has no label. A head
that does no better has learned nothing that the network could not say before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tlcore.models.imagenet import imagenet_groups

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class ImageNetBaseline:
    """A label for ImageNet's classes, learned by counting."""

    classes: Mapping[int, str]  # index of an ImageNet class that came first in training → label
    groups: Mapping[str, str]  # group of such a class → label
    images: int  # that it was counted on

    def label(self, index: int) -> str | None:
        """Return the label of an ImageNet class; None where training met nothing of its group."""
        return self.classes.get(index) or self.groups.get(imagenet_groups()[index])


def fit_imagenet_baseline(best: Sequence[int], labels: Sequence[str]) -> ImageNetBaseline:
    """Count which label each ImageNet class and group goes with; ties go to the first in order.

    Args:
        best: ImageNet's most probable class of each training image, at least one.
        labels: their labels.
    """
    if not best:
        raise ValueError("Expected images of the training part to count on. Received none.")
    groups = imagenet_groups()
    return ImageNetBaseline(
        _majorities(zip(best, labels, strict=True)),
        _majorities((groups[index], label) for index, label in zip(best, labels, strict=True)),
        len(best),
    )


def _majorities(pairs: Iterable[tuple[K, str]]) -> dict[K, str]:
    together: dict[K, Counter[str]] = {}
    for key, label in pairs:
        together.setdefault(key, Counter())[label] += 1
    return {
        key: min(counts, key=lambda label: (-counts[label], label))
        for key, counts in together.items()
    }
