"""set.json, the table of contents of a stored data set, and the only file of it that changes.

A stored set is a folder:

    <set's name>/set.json              what is in the set: one entry a picture
    <set's name>/images/<sha256>.<ending>   the bytes as they came, never changed
    <set's name>/lock                  held by whoever changes the set
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from tlcore.errors import BadDataset
from tlcore.images.dataset import SPLITS, Dataset, Sample
from tlcore.images.formats import ENDINGS

_FILE = "set.json"
_VERSION = 1
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One picture of a stored set."""

    file: str  # its name as it came, with its folders
    sha256: str  # of its bytes, hexadecimal
    ending: str  # of the stored file, without dot, as its content demands
    label: str
    split: str | None  # "train", "val", "test" or None
    width: int  # pixels, upright
    height: int

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot have been written by us; the hash becomes a path."""
        texts = (self.file, self.label)
        sides = (self.width, self.height)
        if not (
            _SHA256.fullmatch(self.sha256)
            and self.ending in ENDINGS
            and self.split in (*SPLITS, None)
            and all(isinstance(text, str) and text for text in texts)
            and all(isinstance(side, int) and side > 0 for side in sides)
        ):
            raise ValueError(f"entry {self}")

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in fields.items() if name in known})

    def path(self, folder: Path) -> Path:
        return folder / "images" / f"{self.sha256}.{self.ending}"


@dataclass(frozen=True)
class Manifest:
    """What set.json says."""

    entries: tuple[Entry, ...]  # sorted by file
    created: datetime  # with time zone

    @classmethod
    def of(cls, entries: Iterable[Entry], created: datetime | None = None) -> Self:
        """Entries sorted, the same file with the same content kept once."""
        unique = {(entry.file, entry.sha256): entry for entry in reversed(list(entries))}
        ordered = tuple(unique[key] for key in sorted(unique))
        return cls(ordered, created or datetime.now(UTC))

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({entry.label for entry in self.entries}))

    def dataset(self, folder: Path) -> Dataset:
        samples = (
            Sample(entry.file, entry.path(folder), entry.sha256, entry.label, entry.split)
            for entry in self.entries
        )
        return Dataset(folder.name, tuple(samples))


def read_manifest(folder: Path) -> Manifest:
    """Read what a stored set holds.

    Raises:
        BadDataset: no set.json, or one that cannot be understood.
    """
    try:
        content = json.loads((folder / _FILE).read_text("utf-8"))
        entries = tuple(Entry.from_json(fields) for fields in content["entries"])
        return Manifest(entries, datetime.fromisoformat(content["created"]).astimezone(UTC))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadDataset(
            f"Expected the data set {folder.name!r} to have a readable {_FILE}. Received: {error}. "
            "Delete the set and upload its pictures again."
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write set.json; a reader sees the old one or the new one, never a part."""
    content = {
        "version": _VERSION,
        "created": manifest.created.isoformat(),
        "entries": [dataclasses.asdict(entry) for entry in manifest.entries],
    }
    write_whole(folder / _FILE, json.dumps(content).encode("ascii"))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it appears whole or not at all, whoever else writes it meanwhile."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)  # noqa: PTH105 - the name of the thing, as everyone looks it up
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
