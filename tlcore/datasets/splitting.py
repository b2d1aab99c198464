"""Dividing a stored set into training, validation and test, once and for all runs.

Class by class, so that every part has the same mix, and by groups: pictures that are the same or
nearly so stay on one side, else validation asks for what training has learned by heart. The
division is an edit of the set like any other: shown, stored, and undone with one click.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tlcore.datasets.doctor.checkup import same_pictures
from tlcore.datasets.doctor.kept import read_memory
from tlcore.datasets.edits.editing import assign
from tlcore.datasets.edits.state import Item, SetState, read_state
from tlcore.datasets.names import folder_of
from tlcore.errors import BadConfig
from tlcore.settings import Settings

_AT_LEAST = 3  # pictures a class needs so that each part gets one


@dataclass(frozen=True)
class Division:
    """How to divide a set."""

    val: float = 0.2  # share of each class, above 0 and below 1
    test: float = 0.1  # share of each class, 0 for no test part; with `val` below 1
    seed: int = 0
    keep: bool = True  # pictures that have a part already stay in it

    def __post_init__(self) -> None:
        if not (0 < self.val < 1 and 0 <= self.test < 1 and self.val + self.test < 1):
            raise BadConfig(
                "Expected shares above 0 for validation, from 0 for test, below 1 together. "
                f"Received {self.val} and {self.test}."
            )


def divide_set(name: str, division: Division, settings: Settings) -> SetState:
    """Divide a stored set and store the division with it.

    Raises:
        BadDataset: no such set, or a damaged one.
    """
    folder = folder_of(name, settings)
    state = read_state(folder)
    parts = divide(state.used, same_pictures(state.used, read_memory(folder)), division)
    words = f"divide {len(parts):,} pictures (seed {division.seed})"
    return assign(name, parts, words, settings)


def forget_division(name: str, settings: Settings) -> SetState:
    """Leave every picture without a part: each run divides by its own seed."""
    state = read_state(folder_of(name, settings))
    return assign(name, {item.key: None for item in state.used}, "forget the parts", settings)


def divide(
    items: Sequence[Item], same: Sequence[Sequence[Item]], division: Division
) -> dict[str, str]:
    """The part of each item, by key; the order of the items does not matter.

    Args:
        items: to divide.
        same: those of them that belong on one side, together.
        division: shares and seed.
    """
    parts: dict[str, str] = {}
    if division.keep:
        parts = {item.key: item.split for item in items if item.split}
    units = _units(items, same)
    for unit in units:
        _follow(unit, parts)
    for label in sorted({item.label for item in items}):
        mine = [unit for unit in units if _label(unit) == label]
        _divide_class(mine, parts, division, random.Random(f"{division.seed}:{label}"))
    return parts


def _units(items: Sequence[Item], same: Sequence[Sequence[Item]]) -> list[list[Item]]:
    grouped = {item.key for group in same for item in group}
    alone = [[item] for item in items if item.key not in grouped]
    return sorted([*map(list, same), *alone], key=lambda unit: min(item.key for item in unit))


def _follow(unit: list[Item], parts: dict[str, str]) -> None:
    """A unit of which one has a part goes there as a whole; those that have one stay."""
    given = sorted(parts[item.key] for item in unit if item.key in parts)
    for item in unit:
        if given:
            parts.setdefault(item.key, given[-1])


def _label(unit: list[Item]) -> str:
    counts = Counter(item.label for item in unit)
    return min(counts, key=lambda label: (-counts[label], label))


def _divide_class(
    units: list[list[Item]], parts: dict[str, str], division: Division, order: random.Random
) -> None:
    have = Counter(parts[item.key] for unit in units for item in unit if item.key in parts)
    total = sum(len(unit) for unit in units)
    wanted = {
        "test": _share(total, division.test) - have["test"],
        "val": _share(total, division.val) - have["val"],
    }
    free = [unit for unit in units if unit[0].key not in parts]
    for unit in order.sample(free, len(free)):
        part = next((part for part, room in wanted.items() if room >= len(unit)), "train")
        if part != "train":
            wanted[part] -= len(unit)
        parts.update((item.key, part) for item in unit)


def _share(total: int, share: float) -> int:
    """Pictures of a class for a part: at least one where it has enough for all three."""
    if not share or total < 2:
        return 0
    return max(round(total * share), 1 if total >= _AT_LEAST else 0)
