"""The JSON files of a stored dataset: what came into it, and what was edited since.

A stored dataset is a folder:

    NAME/dataset.json                   what came: one entry an image
    NAME/edits.json                     what was edited since, oldest edit first
    NAME/image_facts.jsonl              what decoding showed (``image_facts``); only saves work
    NAME/image_groups.json              which belong together (``recordings``); only saves work
    NAME/images/SHA256.ENDING           the bytes as they came, never changed
    NAME/lock                           locked by the process that changes the dataset

A file is replaced as a whole: a reader sees the old one or the new one, never a part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from tlcore.datasets.dataset import SPLITS, Refusal
from tlcore.datasets.image_io import ENDINGS
from tlcore.errors import BadDataset, DamagedFile
from tlcore.storage import read_json, write_file

MANIFEST, EDITS, GROUPS = "dataset.json", "edits.json", "image_groups.json"
LABEL, SPLIT, EXCLUDED, DISMISSED, RESTORED = "label", "split", "excluded", "dismissed", "restored"
_VERSION = 2  # of both files; 1 had no refusals, and other keys: ``migration`` converts them
_REFUSALS = 1_000  # that are stored; of a heap of other files no more are worth it
_SHA256 = re.compile("[0-9a-f]{64}")

T = TypeVar("T")
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
        entries: Sequence[Entry],
        created: datetime | None = None,
        refused: Iterable[Refusal] = (),
    ) -> Self:
        """Sort entries; of the same file with the same content the first stays."""
        unique = {(entry.file, entry.sha256): entry for entry in reversed(entries)}
        last = {refusal.file: refusal for refusal in refused}
        for entry in entries:  # a whole file came later: nothing is missing
            last.pop(entry.file, None)
        ordered = tuple(unique[key] for key in sorted(unique))
        missing = tuple(last[file] for file in sorted(last)[:_REFUSALS])
        return cls(ordered, created or datetime.now(UTC), missing)


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One value for one field of some images."""

    field: str  # LABEL, SPLIT, EXCLUDED, DISMISSED or RESTORED (a kind of finding)
    value: Value
    keys: tuple[str, ...]  # of samples

    def __post_init__(self) -> None:
        """Raise ValueError for what this program cannot have written."""
        is_text = self.field in (LABEL, DISMISSED, RESTORED) and isinstance(self.value, str)
        if not (
            (is_text and self.value)
            or (self.field == SPLIT and self.value in (*SPLITS, None))
            or (self.field == EXCLUDED and isinstance(self.value, bool))
        ):
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
class _Edits:
    edits: tuple[Edit, ...]


def read_manifest(folder: Path) -> Manifest:
    """Read what came into a stored dataset.

    Raises:
        BadDataset: there is no such file, or it cannot be understood.
    """
    remedy = "Put a copy of the file back, or delete the dataset and upload its images again."
    manifest = _read_file(folder, MANIFEST, Manifest, remedy)
    return replace(manifest, created=manifest.created.astimezone(UTC))


def read_edits(folder: Path) -> tuple[Edit, ...]:
    """Read all edits of a dataset, oldest first.

    Raises:
        BadDataset: they cannot be understood; labels must not silently go back.
    """
    if not (folder / EDITS).exists():
        return ()
    remedy = (
        f"Put a copy of the file back, or delete {EDITS} in {str(folder)!r} to go back to the "
        "labels that the images came with."
    )
    return _read_file(folder, EDITS, _Edits, remedy).edits


def _read_file(folder: Path, file: str, kind: type[T], remedy: str) -> T:
    try:
        return read_json(folder / file, kind, newest=_VERSION)
    except (FileNotFoundError, DamagedFile) as error:
        reason = error.reason if isinstance(error, DamagedFile) else "it is missing"
        raise BadDataset(
            f"Expected the dataset {folder.name!r} to have a readable {file}. Received one that "
            f"is not ({reason}). {remedy}"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    _write_file(folder / MANIFEST, manifest)


def write_edits(folder: Path, edits: Sequence[Edit]) -> None:
    _write_file(folder / EDITS, _Edits(tuple(edits)))


def _write_file(path: Path, content: Any) -> None:
    fields = {"version": _VERSION} | msgspec.to_builtins(content)
    write_file(path, json.dumps(fields, separators=(",", ":")).encode("ascii"), durable=True)
