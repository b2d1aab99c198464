"""The 1000 classes of ImageNet's classification challenge, in the order of Keras' top layers.

The names are those of keras.applications (``decode_predictions``); the WordNet ids come from
ILSVRC 2012, whose classes sort by them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tlcore.models.predictions import Floats


@cache
def imagenet_classes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (wnids, labels), 1000 each, by class index."""
    with Path(__file__).with_name("imagenet.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return tuple(row["wnid"] for row in rows), tuple(row["label"] for row in rows)


# ImageNet's 1000 classes in two dozen groups that a person knows: dogs, birds, vehicles …
#
# The table beside this file follows WordNet's tree where its branches are words that people use
# (dog, bird, fish, vehicle, garment) and joins its small artefact branches by what things are
# for. "cup", a drink in WordNet, stands with the tableware that its images show.


CLASSES = 1000


@dataclass(frozen=True)
class Mass:
    """What share of an answer falls on one group."""

    group: str
    probability: float  # 0…1, summed over the group's classes
    classes: int  # of ImageNet in the group


@cache
def imagenet_groups() -> tuple[str, ...]:
    """Return each class's group, by class index."""
    with Path(__file__).with_name("groups.csv").open(newline="", encoding="utf-8") as file:
        return tuple(row["group"] for row in csv.DictReader(file))


def group_probabilities(probabilities: Floats) -> list[Mass]:
    """Return the probability of every group, greatest first.

    Args:
        probabilities: float32 (1000,), an ImageNet answer.

    Raises:
        ValueError: another number of classes.
    """
    if probabilities.shape != (CLASSES,):
        raise ValueError(
            f"Expected the probabilities of ImageNet's 1000 classes. Received "
            f"{probabilities.shape}."
        )
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for group, probability in zip(imagenet_groups(), probabilities.tolist(), strict=True):
        sums[group] = sums.get(group, 0.0) + probability
        counts[group] = counts.get(group, 0) + 1
    found = [Mass(group, total, counts[group]) for group, total in sums.items()]
    return sorted(found, key=lambda mass: -mass.probability)
