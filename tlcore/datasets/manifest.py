"""The JSON files of a stored dataset: what came into it, and what was edited since.

A stored dataset is a folder:

    NAME/dataset.json                   what came: one entry an image
    NAME/edits.json                     what was edited since, oldest edit first
    NAME/image_facts.jsonl              what decoding showed (``image_facts``); only saves work
    NAME/images/SHA256.ENDING           the bytes as they came, never changed
    NAME/lock                           locked by the process that changes the dataset

A file is replaced as a whole: a reader sees the old one or the new one, never a part.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from tlcore.datasets.dataset import SPLITS, Refusal, sample_key
from tlcore.datasets.image_io import ENDINGS
from tlcore.errors import BadDataset, DamagedFile
from tlcore.storage import read_json, sync_folder, write_file

MANIFEST, EDITS = "dataset.json", "edits.json"
LABEL, SPLIT, EXCLUDED, DISMISSED, RESTORED = "label", "split", "excluded", "dismissed", "restored"
_MANIFEST_VERSION = 2  # 1 had no refusals
_EDITS_VERSION = 2  # 1 had other keys: ``migration`` converts it
_REFUSALS = 1_000  # that are stored; of a heap of other files no more are worth it
_SHA256 = re.compile("[0-9a-f]{64}")

Value = str | bool | None


@dataclass(frozen=True)
class Entry:
    """One image of a stored dataset, as it came."""

    file: str  # its name as it came, with its folders
    sha256: str  # of its bytes, hexadecimal
    ending: str  # of the stored file, without dot, by its content
    label: str
    split: str | None  # "train", "val", "test" or None
    width: int  # pixels, upright
    height: int

    def __post_init__(self) -> None:
        """Raise ValueError for what this program cannot have written: the hash becomes a path."""
        if not (
            _SHA256.fullmatch(self.sha256)
            and self.ending in ENDINGS
            and self.split in (*SPLITS, None)
            and self.file
            and self.label
            and min(self.width, self.height) > 0
        ):
            raise ValueError(f"entry {self}")

    @cached_property
    def key(self) -> str:
        """The name by which edits refer to this image, see ``Sample.key``."""
        return sample_key(self.file, self.sha256)

    def path(self, folder: Path) -> Path:
        return folder / "images" / f"{self.sha256}.{self.ending}"


@dataclass(frozen=True)
class Manifest:
    """What came into a stored dataset."""

    entries: tuple[Entry, ...]  # sorted by file
    created: datetime  # with time zone
    refused: tuple[Refusal, ...] = ()  # what was not taken, the last refusal of each file

    @classmethod
    def of(
        cls,
        entries: Iterable[Entry],
        created: datetime | None = None,
        refused: Iterable[Refusal] = (),
    ) -> Self:
        """Sort entries; of the same file with the same content the first stays."""
        unique = {(entry.file, entry.sha256): entry for entry in reversed(list(entries))}
        ordered = tuple(unique[key] for key in sorted(unique))
        last = {refusal.file: refusal for refusal in refused}
        taken = {entry.file for entry in ordered}  # a whole file came later: nothing is missing
        missing = tuple(last[file] for file in sorted(last) if file not in taken)
        return cls(ordered, created or datetime.now(UTC), missing[:_REFUSALS])


def read_manifest(folder: Path) -> Manifest:
    """Read what came into a stored dataset.

    Raises:
        BadDataset: there is no such file, or it cannot be understood.
    """
    remedy = "Put a copy of the file back, or delete the dataset and upload its images again."
    try:
        manifest = read_json(folder / MANIFEST, Manifest, newest=_MANIFEST_VERSION)
    except FileNotFoundError as error:
        raise _damaged(folder, MANIFEST, "it is missing", remedy) from error
    except DamagedFile as error:
        raise _damaged(folder, MANIFEST, error.reason, remedy) from error
    return dataclasses.replace(manifest, created=manifest.created.astimezone(UTC))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    fields = [field.name for field in dataclasses.fields(Entry)]
    content = {
        "version": _MANIFEST_VERSION,
        "created": manifest.created.isoformat(),
        "refused": [dataclasses.asdict(refusal) for refusal in manifest.refused],
        "entries": [{name: getattr(entry, name) for name in fields} for entry in manifest.entries],
    }
    write_file(folder / MANIFEST, json.dumps(content).encode("ascii"), durable=True)


def _damaged(folder: Path, file: str, reason: str, remedy: str) -> BadDataset:
    return BadDataset(
        f"Expected the dataset {folder.name!r} to have a readable {file}. Received one that is "
        f"not ({reason}). {remedy}"
    )


# field → whether a value may be given to it
_FIELDS: Mapping[str, Callable[[Value], bool]] = MappingProxyType(
    {
        LABEL: lambda value: isinstance(value, str) and bool(value),
        SPLIT: lambda value: value in (*SPLITS, None),
        EXCLUDED: lambda value: isinstance(value, bool),
        DISMISSED: lambda value: isinstance(value, str) and bool(value),  # a kind of finding
        RESTORED: lambda value: isinstance(value, str) and bool(value),  # one dismissed before
    }
)


@dataclass(frozen=True)
class Change:
    """One value for one field of some images."""

    field: str  # LABEL, SPLIT, EXCLUDED, DISMISSED or RESTORED
    value: Value
    keys: tuple[str, ...]  # of entries

    def __post_init__(self) -> None:
        if self.field not in _FIELDS or not _FIELDS[self.field](self.value):
            raise ValueError(f"change {self.field} to {self.value!r}")


@dataclass(frozen=True)
class Edit:
    """What was done in one step and is undone in one step.

    Every edit gives values to fields of images: a class is renamed by giving its images another
    label, and deleted by excluding them. Images that are added later are not touched by it.
    """

    description: str  # "exclude 3 images", for the button that undoes it
    time: datetime  # with time zone
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class _EditRow:
    """An edit as the file has it."""

    description: str
    time: datetime
    changes: tuple[tuple[str, Value, tuple[str, ...]], ...]  # field, value, keys

    def __post_init__(self) -> None:
        self.to_edit()  # raises ValueError for a change that this program cannot have written

    def to_edit(self) -> Edit:
        return Edit(self.description, self.time, tuple(Change(*change) for change in self.changes))


@dataclass(frozen=True)
class _EditsFile:
    edits: tuple[_EditRow, ...]


def read_edits(folder: Path) -> tuple[Edit, ...]:
    """Read all edits of a dataset, oldest first.

    Raises:
        BadDataset: they cannot be understood; labels must not silently go back.
    """
    try:
        rows = read_json(folder / EDITS, _EditsFile, newest=_EDITS_VERSION).edits
    except FileNotFoundError:
        return ()
    except DamagedFile as error:
        remedy = (
            f"Put a copy of the file back, or delete {EDITS} in {str(folder)!r} to go back to the "
            "labels that the images came with."
        )
        raise _damaged(folder, EDITS, error.reason, remedy) from error
    return tuple(row.to_edit() for row in rows)


def write_edits(folder: Path, edits: Sequence[Edit]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "description": edit.description,
            "time": edit.time.isoformat(),
            "changes": [[change.field, change.value, change.keys] for change in edit.changes],
        }
        for edit in edits
    ]
    content = {"version": _EDITS_VERSION, "edits": rows}
    data = json.dumps(content, separators=(",", ":")).encode("ascii")
    write_file(folder / EDITS, data, durable=True)


def set_edits_aside(folder: Path) -> None:
    """Rename edits that cannot be read, so that the dataset has none; nothing if there is none."""
    damaged = folder / f"damaged-{datetime.now(UTC):%Y%m%d-%H%M%S}-{EDITS}"
    if (folder / EDITS).exists():
        (folder / EDITS).replace(damaged)
        sync_folder(folder)
