"""A stored set as it stands: its images with every edit laid over them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path

from tlcore.datasets.dataset import Dataset, Refusal, Sample
from tlcore.datasets.edit_log import (
    EXCLUDED,
    LABEL,
    SETTLED,
    SPLIT,
    UNSETTLED,
    Change,
    Edit,
    Value,
    is_label,
    label_is_right,
    read_log,
    set_log_aside,
    write_log,
)
from tlcore.datasets.edit_log import FILE as EDITS
from tlcore.datasets.manifest import FILE as ENTRIES
from tlcore.datasets.manifest import Entry, folder_of, lock_dataset, read_manifest
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors

Version = tuple[int, ...]


@dataclass(frozen=True)
class Item:
    """One image of a set, as it stands."""

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
class DatasetState:
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
        """Of the images used and their labels, see `dataset_hash`."""
        return self.dataset.hash

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """See ``Dataset.counts``."""
        return self.dataset.counts


def read_state(folder: Path) -> DatasetState:
    """A set as it stands on disk; read anew only if a file of it has changed.

    Raises:
        BadDataset: no set there, or a damaged one.
    """
    return _read(folder, version(folder))


def version(folder: Path) -> Version:
    """Changes whenever a set does; cheap."""
    return stamp(folder / ENTRIES) + stamp(folder / EDITS)


@lru_cache(maxsize=32)  # values are frozen, and the stamps say which state they are of
def _read(folder: Path, state: Version) -> DatasetState:
    manifest, log = read_manifest(folder), read_log(folder)
    items = replay(manifest.entries, log)
    return DatasetState(folder, manifest.created, items, log, manifest.refused)


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


# What a person can do to a set: relabel, exclude, rename and delete classes, settle, undo.
#
# Every function takes the set's name, waits for others who change it, and returns the set as it
# then stands. Files are never touched.


UNSAVED = "The change could not be saved; the dataset is as it was"


def relabel(name: str, keys: Collection[str], label: str, settings: Settings) -> DatasetState:
    """Give images another class; BadDataset for a label that cannot be one."""
    _check_label(label)
    change = Change(LABEL, label, tuple(keys))
    return _do(name, settings, f"label {_images(len(keys))} {label}", lambda _: [change])


def relabel_each(name: str, labels: Mapping[str, str], settings: Settings) -> DatasetState:
    """Give each image its own class, in one edit: key → label."""
    for label in set(labels.values()):
        _check_label(label)
    changes = [
        Change(LABEL, label, tuple(key for key, its in labels.items() if its == label))
        for label in sorted(set(labels.values()))
    ]
    return _do(name, settings, f"label {_images(len(labels))}", lambda _: changes)


def exclude(name: str, keys: Collection[str], settings: Settings) -> DatasetState:
    """Leave images out of everything; they stay on disk and can be taken back."""
    change = Change(EXCLUDED, True, tuple(keys))
    return _do(name, settings, f"exclude {_images(len(keys))}", lambda _: [change])


def include(name: str, keys: Collection[str], settings: Settings) -> DatasetState:
    """Take excluded images back."""
    change = Change(EXCLUDED, False, tuple(keys))
    return _do(name, settings, f"take back {_images(len(keys))}", lambda _: [change])


def settle(name: str, keys: Collection[str], kind: str, settings: Settings) -> DatasetState:
    """Keep images in spite of a finding of this kind, which is not shown as open any more."""
    change = Change(SETTLED, kind, tuple(keys))
    return _do(name, settings, f"keep {_images(len(keys))}", lambda _: [change])


def unsettle(name: str, keys: Collection[str], kind: str, settings: Settings) -> DatasetState:
    """Show a finding of this kind as open again."""
    change = Change(UNSETTLED, kind, tuple(keys))
    return _do(name, settings, f"question {_images(len(keys))} again", lambda _: [change])


def confirm_labels(name: str, keys: Collection[str], settings: Settings) -> DatasetState:
    """Settle that the labels of images are right, whatever a model says of them."""

    def changes(state: DatasetState) -> list[Change]:
        of_label: dict[str, list[str]] = {}
        for key in keys:
            if key in state.by_key:
                of_label.setdefault(state.by_key[key].label, []).append(key)
        return [
            Change(SETTLED, label_is_right(label), tuple(its)) for label, its in of_label.items()
        ]

    number = f"{len(keys):,} label{'s' * (len(keys) != 1)}"
    return _do(name, settings, f"confirm {number}", changes)


def rename_class(name: str, label: str, new: str, settings: Settings) -> DatasetState:
    """Call a class something else; a name that another class has already merges the two."""
    _check_label(new)

    def changes(state: DatasetState) -> list[Change]:
        return [Change(LABEL, new, _of_class(state, label))]

    return _do(name, settings, f"call {label} {new}", changes)


def delete_class(name: str, label: str, settings: Settings) -> DatasetState:
    """Exclude every image of a class."""

    def changes(state: DatasetState) -> list[Change]:
        keys = _of_class(state, label)
        return [Change(EXCLUDED, True, tuple(k for k in keys if not state.by_key[k].excluded))]

    return _do(name, settings, f"delete the class {label}", changes)


def assign(
    name: str, parts: Mapping[str, str | None], words: str, settings: Settings
) -> DatasetState:
    """Put each image into its part, in one edit: key → "train", "val", "test" or None."""
    by_part: dict[str | None, list[str]] = {}
    for key, part in parts.items():
        by_part.setdefault(part, []).append(key)
    changes = [Change(SPLIT, part, tuple(keys)) for part, keys in by_part.items()]
    return _do(name, settings, words, lambda _: changes)


@explained_os_errors(UNSAVED)
def undo(name: str, settings: Settings) -> DatasetState:
    """Take the last edit back; nothing happens to a set that has none."""
    folder = folder_of(name, settings)
    with lock_dataset(folder):
        state = read_state(folder)
        if state.edits:
            write_log(folder, state.edits[:-1])
        return read_state(folder)


@explained_os_errors(UNSAVED)
def forget_edits(name: str, settings: Settings) -> DatasetState:
    """Go back to the labels that the images came with, where the edits cannot be read.

    Their file is kept in the set's folder under another name.

    Raises:
        BadDataset: no such set, or its table of contents cannot be read either.
    """
    folder = folder_of(name, settings)
    with lock_dataset(folder):
        set_log_aside(folder)
        return read_state(folder)


def edits_are_damaged(name: str, settings: Settings) -> bool:
    """Whether it is the edits of a stored set that cannot be read."""
    folder = folder_of(name, settings)
    try:
        read_log(folder)
    except BadDataset:
        return True
    return False


@explained_os_errors(UNSAVED)
def _do(
    name: str, settings: Settings, words: str, changes: Callable[[DatasetState], Iterable[Change]]
) -> DatasetState:
    folder = folder_of(name, settings)
    with lock_dataset(folder):
        state = read_state(folder)
        edit = Edit.now(words, changes(state))
        _check_known(state, edit)
        if edit.changes:
            write_log(folder, [*state.edits, edit])
        return read_state(folder)


def _of_class(state: DatasetState, label: str) -> tuple[str, ...]:
    """Keys of a class, excluded ones as well: they would come back under their old name."""
    keys = tuple(item.key for item in state.items if item.label == label)
    if not keys:
        raise BadDataset(
            f"Expected a class of {state.name!r} ({', '.join(state.counts)}). Received {label!r}."
        )
    return keys


def _check_known(state: DatasetState, edit: Edit) -> None:
    unknown = [key for change in edit.changes for key in change.keys if key not in state.by_key]
    if unknown:
        raise BadDataset(
            f"Expected images of {state.name!r}. Received {len(unknown)} that it does not have. "
            "Reload the page: the set has changed."
        )


def _check_label(label: str) -> None:
    if not is_label(label):
        raise BadDataset(
            "Expected a class name of at most 60 characters that a folder could have, and not "
            f"the name of a part like train or test. Received {label!r}."
        )


def _images(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"
