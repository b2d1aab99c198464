"""Classes with too few pictures, and with how many they would be enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tlcore.percentages import percent

ENOUGH = 20  # pictures of a class: 16 to learn from, 4 to judge by
UNEVEN = 3.0  # how often the largest class may hold the smallest


@dataclass(frozen=True)
class Shortage:
    """A class that needs more pictures."""

    label: str
    have: int
    enough: int  # pictures in all that would be
    words: str  # why, and what to do


def shortages(counts: Mapping[str, int]) -> tuple[Shortage, ...]:
    """The classes that are too small by themselves or beside the largest, smallest first."""
    largest = max(counts.values(), default=0)
    found = [
        short
        for label, have in sorted(counts.items(), key=lambda item: (item[1], item[0]))
        if (short := _too_few(label, have) or _uneven(label, have, largest)) is not None
    ]
    return tuple(found)


def _too_few(label: str, have: int) -> Shortage | None:
    if have >= ENOUGH:
        return None
    return Shortage(
        label,
        have,
        ENOUGH,
        f"{have} so far, {ENOUGH - have} more make the {ENOUGH} from which a head learns and can "
        "be judged.",
    )


def _uneven(label: str, have: int, largest: int) -> Shortage | None:
    enough = math.ceil(largest / UNEVEN)
    if have >= enough:
        return None
    return Shortage(
        label,
        have,
        enough,
        f"{have} beside {largest} in the largest class: always guessing that class is right on "
        f"{percent(largest / (have + largest))} of the two. With {enough}, a third of it, that "
        f"falls to {percent(largest / (enough + largest))}. Add {enough - have}, or use fewer of "
        "the others.",
    )
