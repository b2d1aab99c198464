"""The small files of a run as typed records, and what is lost when one of them is damaged.

A damaged file costs what it alone tells; the rest of the run goes on working. Whoever shows a run
shows its ``Damage`` as well.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from tlcore.errors import DamagedFile
from tlcore.storage import read_json, read_json_or

T = TypeVar("T")
D = TypeVar("D")

PARENT_RUN, CHECKPOINT, CONFIG = "parent_run.json", "checkpoint.npz", "config.json"
PREVIOUS_STATUS, EVENTS, PROVENANCE = "previous_status.json", "events.jsonl", "provenance.json"
MODEL, NOTES, STATUS = "model.keras", "notes.json", "status.json"
PROCESS, SPLIT = "process.json", "split.json"
MISSING = "it is missing"

# file → what is not known without it, what still works, and what can be done
CONSEQUENCES: Mapping[str, str] = MappingProxyType(
    {
        PARENT_RUN: "Which run's mistakes led to it is not known. Everything else works.",
        CONFIG: "Its settings are not known, so that it cannot be used. Put a copy of the file "
        "back, or delete the run.",
        PREVIOUS_STATUS: "How long it had worked before it was resumed is not known. Everything "
        "else works.",
        EVENTS: "That part of its curves is missing. Everything else works.",
        PROVENANCE: "The versions, the machine and the hash of its data are not known. Everything "
        "else works.",
        MODEL: "Its head cannot answer. Resume writes it again from the last checkpoint; or run "
        "it again.",
        NOTES: "Its name, note and tags are not known. Everything else works; name it anew.",
        STATUS: "How it ended is not known. Its curves and its head still work; Resume finishes "
        "it from its last checkpoint.",
        PROCESS: "Its process cannot be ended from here. Everything else works.",
        SPLIT: "Its classes and images are not known, so that its head cannot answer. Its curves "
        "are still here. Put a copy of the file back, run it again, or delete it.",
    }
)


@dataclass(frozen=True)
class Damage:
    """A file of a run that cannot be read."""

    file: str  # its name, a key of LOSSES
    reason: str  # part of a sentence: "it is empty"

    @property
    def words(self) -> str:
        """What is damaged, what is lost and what can still be done."""
        damaged = "missing" if self.reason == MISSING else f"damaged ({self.reason})"
        return f"{self.file} is {damaged}. {CONSEQUENCES[self.file]}"


@dataclass(frozen=True)
class DamagedRun:
    """A run whose settings cannot be read: it can only be listed and deleted."""

    id: str
    folder: Path
    created: float  # s since 1970, of the folder
    damage: Damage


@dataclass(frozen=True)
class SplitRow:
    """An image of a run's split."""

    file: str
    path: str
    sha256: str
    label: str
    group: str = ""  # what no division parts, see `splits.group_of`; "" for its content


@dataclass(frozen=True)
class StoredSplit:
    """The classes of a run and the images of each split, as it noted them when it began."""

    classes: tuple[str, ...]  # in the order of the output units
    train: tuple[SplitRow, ...]
    val: tuple[SplitRow, ...]
    test: tuple[SplitRow, ...] | None = None  # None: written before runs noted it

    def __post_init__(self) -> None:
        strange = {row.label for row in (*self.train, *self.val)} - set(self.classes)
        if strange:
            raise ValueError(f"the label {min(strange)!r} is none of its classes")

    def rows(self, part: str) -> tuple[SplitRow, ...]:
        """Return the images of "train", "val" or "test"."""
        return {"train": self.train, "val": self.val, "test": self.test or ()}[part]


SMALL = 2**18  # bytes of a split that every list reads: about a thousand images
EMPTY_SPLIT = StoredSplit((), (), ())


@dataclass(frozen=True)
class Provenance:
    """The few numbers that lists show, and the provenance of a run."""

    dataset_hash: str = ""  # of all images of its dataset and their labels
    data_hash: str = ""  # noted by runs from before: another form, without the test images
    images: dict[str, int] = field(default_factory=dict)  # by split
    classes: int = 0
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)  # by package
    machine: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class After:
    """The run whose mistakes led to a run."""

    run: str = ""


@dataclass(frozen=True)
class Process:
    """The process group of a run's worker."""

    group: int

    def __post_init__(self) -> None:
        if self.group < 2:
            raise ValueError(f"{self.group} is no process group of a run")


def read_split(folder: Path) -> StoredSplit:
    """Return a run's classes and images; none where it has not begun.

    Raises:
        DamagedFile: split.json cannot be read.
    """
    path = folder / SPLIT
    try:
        status = path.stat()
    except FileNotFoundError:
        return EMPTY_SPLIT
    return _split(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)  # every page that looks at a run asks once a second
def _split(path: Path, written: int, size: int) -> StoredSplit:
    return read_json(path, StoredSplit, newest=1)


def read_provenance(folder: Path) -> Provenance:
    """Return a run's facts; none where it has not begun. Raises DamagedFile."""
    return read_json_or(folder / PROVENANCE, Provenance, Provenance(), newest=1)


def read_provenance_or_default(folder: Path) -> Provenance:
    """Do what ``read_provenance`` does; empty where the file is damaged, which lists show."""
    try:
        return read_provenance(folder)
    except DamagedFile:
        return Provenance()


def read_after(folder: Path) -> After:
    """Return which run's mistakes led to a run; none for most. Raises DamagedFile."""
    return read_json_or(folder / PARENT_RUN, After, After(), newest=1)


def read_process(folder: Path) -> Process | None:
    """Return the process of a run, None where it has none of its own. Raises DamagedFile."""
    return read_json_or(folder / PROCESS, Process, None, newest=1)


def read_or_record_damage(
    read: Callable[[Path], T], path: Path, default: D, damage: list[Damage]
) -> T | D:
    """Return what ``read(path)`` does; for a damaged file the default, with a note of it."""
    try:
        return read(path)
    except DamagedFile as error:
        damage.append(Damage(error.path.name, error.reason))
        return default


def find_split_damage(folder: Path, *, whole: bool = False) -> Damage | None:
    """Return what is wrong with the split of a run that has ended.

    Args:
        folder: the run's.
        whole: read it whatever its size. Lists of many runs do not read a large one: of that
            they look at its beginning and its end.
    """
    path = folder / SPLIT
    if not path.exists():
        return Damage(SPLIT, MISSING) if (folder / MODEL).exists() else None
    damage: list[Damage] = []
    if whole or not _looks_whole(path):
        read_or_record_damage(read_split, folder, EMPTY_SPLIT, damage)
    return damage[0] if damage else None


def _looks_whole(path: Path) -> bool:
    """Whether a file is large, and begins and ends as a JSON object does."""
    try:
        with path.open("rb") as file:
            start, size = file.read(1), file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            return size > SMALL and start + file.read(1) == b"{}"
    except OSError:  # reading it gives the reason
        return False


def find_model_damage(folder: Path, *, finished: bool) -> Damage | None:
    """Return what is wrong with a trained network that can be seen without loading it."""
    path = folder / MODEL
    if not path.exists():
        lost = finished and (folder / CHECKPOINT).exists()
        return Damage(MODEL, MISSING) if lost else None
    if zipfile.is_zipfile(path):
        return None
    empty = path.is_file() and not path.stat().st_size
    return Damage(MODEL, "it is empty" if empty else "it is not a whole Keras file")
