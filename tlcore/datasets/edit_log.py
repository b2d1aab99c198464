"""One edit of a set: what a person did in one go, as fields given to images.

Everything a person can do is of this one shape. A class is renamed by giving its images another
label; it is deleted by excluding them; a split is drawn by giving each image its part. What is
written down is what happened to which images, never a rule, so that images that come later are
not touched by what was done before they came.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from tlcore.datasets.dataset import SPLITS
from tlcore.datasets.layout import is_litter, is_split_name
from tlcore.datasets.manifest import damaged_dataset
from tlcore.errors import DamagedFile
from tlcore.storage import read_json, sync_folder, write_file

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
    """One value for one field of some images."""

    field: str  # "label", "split", "excluded", "settled" or "unsettled"
    value: Value
    keys: tuple[str, ...]  # of entries, as `Entry.key`

    def __post_init__(self) -> None:
        if self.field not in _FIELDS or not _FIELDS[self.field](self.value):
            raise ValueError(f"change {self.field} to {self.value!r}")


@dataclass(frozen=True)
class Edit:
    """What was done in one go, and is undone in one go."""

    words: str  # "Exclude 3 images", for the button that undoes it
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


# edits.json, what has been done to a set since its images came, oldest first.
#
# Doing something adds to the end and undoing takes from the end. The file is replaced as a whole,
# so that a killed process leaves the log before or after its edit.


FILE = "edits.json"
_VERSION = 1


@dataclass(frozen=True)
class _Row:
    """An edit as the file holds it."""

    words: str
    at: datetime
    changes: tuple[tuple[str, Value, tuple[str, ...]], ...]  # field, value, keys

    def __post_init__(self) -> None:
        self.edit  # noqa: B018 - raises ValueError for a change that nobody can have made

    @property
    def edit(self) -> Edit:
        changes = (Change(field, value, keys) for field, value, keys in self.changes)
        return Edit(self.words, self.at, tuple(changes))


@dataclass(frozen=True)
class _Log:
    edits: tuple[_Row, ...]


def read_log(folder: Path) -> tuple[Edit, ...]:
    """All edits of a set; none if nothing was done yet.

    Raises:
        BadDataset: a log that cannot be understood: labels must not silently go back.
    """
    try:
        return tuple(edit.edit for edit in read_json(folder / FILE, _Log, newest=_VERSION).edits)
    except FileNotFoundError:
        return ()
    except DamagedFile as error:
        remedy = (
            f"Put a copy of the file back, or delete {FILE} in {str(folder)!r} to go back to the "
            "labels the images came with."
        )
        raise damaged_dataset(folder, FILE, error.reason, remedy) from error


def set_log_aside(folder: Path) -> None:
    """Keep a log that cannot be read under another name; nothing happens where there is none."""
    with suppress(FileNotFoundError):
        (folder / FILE).replace(folder / f"damaged-{datetime.now(UTC):%Y%m%d-%H%M%S}-{FILE}")
        sync_folder(folder)


def write_log(folder: Path, edits: Sequence[Edit]) -> None:
    """Write all edits; a reader sees the old log or the new one, never a part."""
    content = {"version": _VERSION, "edits": [edit.to_json() for edit in edits]}
    data = json.dumps(content, separators=(",", ":")).encode("ascii")
    write_file(folder / FILE, data, durable=True)
