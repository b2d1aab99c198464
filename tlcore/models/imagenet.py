"""The 1000 classes of ImageNet's classification challenge, and two dozen groups of them.

The names are those of keras.applications (``decode_predictions``); the WordNet ids come from
ILSVRC 2012, whose classes sort by them. The groups (dogs, birds, vehicles …) follow WordNet's tree
where its branches are words that people use and join its small artefact branches by what things
are for: "cup", a drink in WordNet, is with the tableware that its images show.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tlcore.models.predictions import Floats

CLASSES = 1000


@dataclass(frozen=True)
class GroupProbability:
    """The probability of one group of classes."""

    group: str
    probability: float  # 0…1, summed over the group's classes
    classes: int  # of ImageNet in the group


@cache
def imagenet_classes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (wnids, labels), 1000 each, by class index."""
    rows = _read_table("imagenet.csv")
    return tuple(row["wnid"] for row in rows), tuple(row["label"] for row in rows)


@cache
def _words() -> dict[str, str]:
    return dict(zip(*imagenet_classes(), strict=True))


def imagenet_word(name: str) -> str:
    """Return the id of a class with its word, "tabby (n02123045)"; any other name as it is."""
    word = _words().get(name) if name.startswith(("n0", "n1")) else None
    return f"{word.replace('_', ' ')} ({name})" if word else name


@cache
def imagenet_groups() -> tuple[str, ...]:
    """Return each class's group, by class index."""
    return tuple(row["group"] for row in _read_table("groups.csv"))


def _read_table(name: str) -> list[dict[str, str]]:
    with Path(__file__).with_name(name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def group_probabilities(probabilities: Floats) -> list[GroupProbability]:
    """Return the probability of every group, greatest first.

    Args:
        probabilities: float32 (1000,), a prediction of ImageNet's classes.

    Raises:
        ValueError: another number of classes.
    """
    members: dict[str, list[float]] = {}
    for group, probability in zip(imagenet_groups(), probabilities.tolist(), strict=True):
        members.setdefault(group, []).append(probability)
    groups = [GroupProbability(name, sum(each), len(each)) for name, each in members.items()]
    return sorted(groups, key=lambda group: -group.probability)
