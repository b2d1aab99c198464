"""edits.json, what has been done to a set since its pictures came, oldest first.

Doing something adds to the end and undoing takes from the end. The file is replaced as a whole, so
that a killed process leaves the log before or after its edit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tlcore.datasets.edits.change import Change, Edit, Value
from tlcore.datasets.manifest import damaged_dataset
from tlcore.errors import DamagedFile
from tlcore.storage import read_json, sync_folder, write_file

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
            "labels the pictures came with."
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
