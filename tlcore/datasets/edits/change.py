"""One edit of a set: what a person did in one go, as fields given to pictures.

Everything a person can do is of this one shape. A class is renamed by giving its pictures another
label; it is deleted by excluding them; a split is drawn by giving each picture its part. What is
written down is what happened to which pictures, never a rule, so that pictures that come later are
not touched by what was done before they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Self

from tlcore.datasets.dataset import SPLITS
from tlcore.datasets.layout import is_litter, is_split_name

LABEL, SPLIT, EXCLUDED, SETTLED, UNSETTLED = "label", "split", "excluded", "settled", "unsettled"

Value = str | bool | None

# field → whether a value may be given to it
_FIELDS: Mapping[str, Callable[[Value], bool]] = MappingProxyType(
    {
        LABEL: lambda value: isinstance(value, str) and bool(value),
        SPLIT: lambda value: value in (*SPLITS, None),
        EXCLUDED: lambda value: isinstance(value, bool),
        SETTLED: lambda value: isinstance(value, str) and bool(value),  # a kind of finding: leave
        UNSETTLED: lambda value: isinstance(value, str) and bool(value),  # it after all
    }
)
_LONGEST = 60  # characters of a label


@dataclass(frozen=True)
class Change:
    """One value for one field of some pictures."""

    field: str  # "label", "split", "excluded", "settled" or "unsettled"
    value: Value
    keys: tuple[str, ...]  # of entries, as `Entry.key`

    def __post_init__(self) -> None:
        if self.field not in _FIELDS or not _FIELDS[self.field](self.value):
            raise ValueError(f"change {self.field} to {self.value!r}")


@dataclass(frozen=True)
class Edit:
    """What was done in one go, and is undone in one go."""

    words: str  # "Exclude 3 pictures", for the button that undoes it
    at: datetime  # with time zone
    changes: tuple[Change, ...]

    @classmethod
    def now(cls, words: str, changes: Iterable[Change]) -> Self:
        return cls(words, datetime.now(UTC), tuple(change for change in changes if change.keys))

    def to_json(self) -> dict[str, Any]:
        return {
            "words": self.words,
            "at": self.at.isoformat(),
            "changes": [[c.field, c.value, list(c.keys)] for c in self.changes],
        }


def label_is_right(label: str) -> str:
    """Return the finding that is settled where a person has confirmed a label of an image.

    It names the label: another label that the image gets later is not confirmed by it.
    """
    return f"label {label}"


def is_label(label: str) -> bool:
    """Whether a label may be given: one that can be a folder's name and means only a class."""
    return (
        0 < len(label) <= _LONGEST
        and label == label.strip()
        and label.isprintable()
        and not set(label) & set('/\\:*?"<>|')
        and not is_litter(label)
        and label not in (".", "..")
        and not is_split_name(label)
    )
