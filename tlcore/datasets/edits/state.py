"""A stored set as it stands: its pictures with every edit laid over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.edits.change import (
    EXCLUDED,
    LABEL,
    SETTLED,
    SPLIT,
    UNSETTLED,
    Edit,
    Value,
    label_is_right,
)
from tlcore.datasets.edits.log import FILE as EDITS
from tlcore.datasets.edits.log import read_log
from tlcore.datasets.incoming import Refusal
from tlcore.datasets.manifest import FILE as ENTRIES
from tlcore.datasets.manifest import Entry, read_manifest

Version = tuple[int, ...]


@dataclass(frozen=True)
class Item:
    """One picture of a set, as it stands."""

    entry: Entry  # as it came
    key: str  # of the entry
    label: str
    split: str | None
    excluded: bool  # still there, used by nothing
    settled: frozenset[str]  # kinds of finding that a person has decided to leave

    @property
    def confirmed(self) -> bool:
        """Whether a person has confirmed the label that it has."""
        return label_is_right(self.label) in self.settled

    def sample(self, folder: Path) -> Sample:
        entry = self.entry
        return Sample(entry.file, entry.path(folder), entry.sha256, self.label, self.split)


@dataclass(frozen=True)
class SetState:
    """A whole set, as it stands."""

    folder: Path
    created: datetime  # with time zone
    items: tuple[Item, ...]  # sorted by file
    edits: tuple[Edit, ...]  # oldest first
    refused: tuple[Refusal, ...]  # files that were offered and not taken

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def used(self) -> tuple[Item, ...]:
        """The items that are not excluded."""
        return tuple(item for item in self.items if not item.excluded)

    @cached_property
    def by_key(self) -> Mapping[str, Item]:
        return {item.key: item for item in self.items}

    @cached_property
    def dataset(self) -> Dataset:
        """What everything else learns from and looks at: without the excluded."""
        return Dataset(self.name, tuple(item.sample(self.folder) for item in self.used))

    @cached_property
    def content_hash(self) -> str:
        """Of the pictures used and their labels, see `dataset_hash`."""
        return self.dataset.hash

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """See ``Dataset.counts``."""
        return self.dataset.counts


def read_state(folder: Path) -> SetState:
    """A set as it stands on disk; read anew only if a file of it has changed.

    Raises:
        BadDataset: no set there, or a damaged one.
    """
    return _read(folder, version(folder))


def version(folder: Path) -> Version:
    """Changes whenever a set does; cheap."""
    return stamp(folder / ENTRIES) + stamp(folder / EDITS)


@lru_cache(maxsize=32)  # values are frozen, and the stamps say which state they are of
def _read(folder: Path, state: Version) -> SetState:
    manifest, log = read_manifest(folder), read_log(folder)
    items = replay(manifest.entries, log)
    return SetState(folder, manifest.created, items, log, manifest.refused)


def replay(entries: Iterable[Entry], edits: Sequence[Edit]) -> tuple[Item, ...]:
    """The entries with all edits laid over them; what an edit says of others is passed over."""
    given: dict[str, dict[str, Value]] = {}
    settled: dict[str, set[str]] = {}
    for change in (change for edit in edits for change in edit.changes):
        for key in change.keys:
            if change.field == SETTLED:
                settled.setdefault(key, set()).add(str(change.value))
            elif change.field == UNSETTLED:
                settled.setdefault(key, set()).discard(str(change.value))
            else:
                given.setdefault(key, {})[change.field] = change.value
    return tuple(
        _item(entry, given.get(entry.key, {}), frozenset(settled.get(entry.key, ())))
        for entry in entries
    )


def _item(entry: Entry, given: Mapping[str, Value], settled: frozenset[str]) -> Item:
    label, split = given.get(LABEL, entry.label), given.get(SPLIT, entry.split)
    return Item(
        entry,
        entry.key,
        str(label),
        None if split is None else str(split),
        bool(given.get(EXCLUDED, False)),
        settled,
    )


def stamp(path: Path) -> Version:
    """Changes whenever the file is replaced: it gets another inode, time or size."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_ino, status.st_mtime_ns, status.st_size
