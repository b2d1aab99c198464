"""Names of datasets: what is allowed, which are taken, and the folder that a name means."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from tlcore.datasets.dataset import SPLITS, Refusal, entry_key
from tlcore.datasets.image_io import ENDINGS
from tlcore.errors import BadDataset, DamagedFile, StorageError
from tlcore.locks import lock_file
from tlcore.settings import Settings
from tlcore.storage import explain_os_error, is_disk_error, read_json, write_file
from tlcore.text import shorten

_LONGEST = 60  # characters; at most 240 bytes, which every file system takes
_MARKS = " -_."


def check_name(name: str) -> str:
    """The name itself, if a folder of it is safe everywhere.

    Raises:
        BadDataset: a sign that is not allowed, too long or empty, or a dot or space at an end.
    """
    allowed = all(sign.isalnum() or sign in _MARKS for sign in name)
    if not (allowed and 1 <= len(name) <= _LONGEST and name == name.strip(" .")):
        raise BadDataset(
            "Expected a name of letters, digits, spaces, hyphens, underscores and dots, at most "
            f"{_LONGEST}, with no space or dot at either end. Received {shorten(repr(name))}."
        )
    return name


def check_free(name: str, settings: Settings) -> None:
    """Refuse a name that is not allowed or that a set has already; BadDataset.

    Only for an early answer: ``publish_folder`` decides.
    """
    if (settings.datasets / check_name(name)).exists():
        raise taken(name)


def taken(name: str) -> BadDataset:
    """Return the error of a name that a set has already."""
    return BadDataset(
        f"Expected a name that no dataset has. Received {shorten(repr(name))}, which is taken. "
        "Choose another name, add to that set, or delete it first."
    )


@contextmanager
def lock_dataset(folder: Path, *, timeout: float | None = None) -> Iterator[bool]:
    """Lock a stored dataset while the block changes it.

    Args:
        folder: of the dataset.
        timeout: seconds to wait for whoever changes it now; None waits without limit.

    Yields:
        Whether it is locked; always True without a timeout.

    Raises:
        BadDataset: it has just been deleted or renamed.
        StorageError: it may not be written, or there is no room.
    """
    with ExitStack() as stack:
        try:
            is_held = stack.enter_context(lock_file(folder / "lock", timeout=timeout))
        except OSError as error:
            if is_disk_error(error):
                raise StorageError(
                    f"The dataset {folder.name!r} cannot be changed. {explain_os_error(error)}"
                ) from error
            raise BadDataset(
                f"Expected a dataset {folder.name!r} that can be changed. Received: "
                f"{error.strerror}. Reload the list of datasets."
            ) from error
        yield is_held


def dataset_names(settings: Settings) -> list[str]:
    """Names of all stored sets, sorted; damaged ones too."""
    if not settings.datasets.is_dir():
        return []
    folders = settings.datasets.iterdir()
    return sorted(f.name for f in folders if not f.name.startswith(".") and f.is_dir())


def folder_of(name: str, settings: Settings) -> Path:
    """The folder of a stored set.

    Raises:
        BadDataset: no set has this name; the message lists those that are there.
    """
    names = dataset_names(settings)
    if name not in names:
        known = ", ".join(names) or "none yet: upload images, or use the sample"
        raise BadDataset(
            f"Expected the name of a dataset ({known}). Received {shorten(repr(name))}."
        )
    return settings.datasets / name


# set.json, the table of contents of a stored dataset: what came, as it came.
#
# A stored set is a folder:
#
#     <set's name>/set.json              what came into the set: one entry an image
#     <set's name>/edits.json            what was done to it since (`edits.log`)
#     <set's name>/facts.jsonl           what the doctor has seen (`doctor.kept`); only spares work
#     <set's name>/images/<sha256>.<ending>   the bytes as they came, never changed
#     <set's name>/lock                  held by whoever changes the set


FILE = "set.json"
_VERSION = 2  # 1 had no refusals
_REFUSALS = 1_000  # kept by name; a heap of other files is not a set's memory
_REMEDY = "Put a copy of the file back, or delete the set and upload its images again."
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One image of a stored set."""

    file: str  # its name as it came, with its folders
    sha256: str  # of its bytes, hexadecimal
    ending: str  # of the stored file, without dot, as its content demands
    label: str
    split: str | None  # "train", "val", "test" or None
    width: int  # pixels, upright
    height: int

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot have been written by us; the hash becomes a path."""
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
        """What edits call this entry: by name and content, so that adding others changes none."""
        return entry_key(self.file, self.sha256)

    def path(self, folder: Path) -> Path:
        return folder / "images" / f"{self.sha256}.{self.ending}"


@dataclass(frozen=True)
class Manifest:
    """What set.json says."""

    entries: tuple[Entry, ...]  # sorted by file
    created: datetime  # with time zone
    refused: tuple[Refusal, ...] = ()  # what was offered and not taken, each file's last refusal

    @classmethod
    def of(
        cls,
        entries: Iterable[Entry],
        created: datetime | None = None,
        refused: Iterable[Refusal] = (),
    ) -> Self:
        """Entries sorted, the same file with the same content kept once."""
        unique = {(entry.file, entry.sha256): entry for entry in reversed(list(entries))}
        ordered = tuple(unique[key] for key in sorted(unique))
        last = {refusal.file: refusal for refusal in refused}
        came = {entry.file for entry in ordered}  # a whole one came later: nothing is missing
        still = tuple(last[file] for file in sorted(last) if file not in came)
        return cls(ordered, created or datetime.now(UTC), still[:_REFUSALS])


def read_manifest(folder: Path) -> Manifest:
    """Read what a stored set holds.

    Raises:
        BadDataset: no set.json, or one that cannot be understood.
    """
    try:
        manifest = read_json(folder / FILE, Manifest, newest=_VERSION)
    except FileNotFoundError as error:
        raise damaged_dataset(folder, FILE, "it is missing", _REMEDY) from error
    except DamagedFile as error:
        raise damaged_dataset(folder, FILE, error.reason, _REMEDY) from error
    return dataclasses.replace(manifest, created=manifest.created.astimezone(UTC))


def damaged_dataset(folder: Path, file: str, reason: str, remedy: str) -> BadDataset:
    """Return the error of a dataset one of whose files cannot be read.

    Args:
        folder: of the dataset.
        file: the file's name.
        reason: part of a sentence, "it is empty".
        remedy: what a person can do, a sentence.
    """
    return BadDataset(
        f"Expected the dataset {folder.name!r} to have a readable {file}. Received one that is "
        f"not ({reason}). {remedy}"
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write set.json; a reader sees the old one or the new one, never a part."""
    content = {
        "version": _VERSION,
        "created": manifest.created.isoformat(),
        "refused": [dataclasses.asdict(refusal) for refusal in manifest.refused],
        "entries": [_fields(entry) for entry in manifest.entries],
    }
    write_file(folder / FILE, json.dumps(content).encode("ascii"), durable=True)


def _fields(entry: Entry) -> dict[str, Any]:
    return {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}
