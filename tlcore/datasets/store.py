"""Stored datasets: names, list, load, open, rename, delete.

Every dataset is a folder below ``Settings.datasets``, see ``manifest``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from tlcore import storage
from tlcore.datasets import manifest as files
from tlcore.datasets.dataset import Dataset, Refusal, Sample, sample_key
from tlcore.datasets.image_facts import facts_state, read_facts
from tlcore.datasets.image_io import content_id
from tlcore.datasets.recordings import GROUPING, find_groups
from tlcore.datasets.sources import read_folder
from tlcore.datasets.thumbnails import delete_thumbnails
from tlcore.errors import BadDataset, DamagedFile, StorageError
from tlcore.settings import Settings
from tlcore.storage import acquire_lock, discard_folder, publish_folder
from tlcore.text import composed, shorten

_LONGEST = 60  # characters of a name; at most 240 bytes, which every file system takes
_MARKS = " -_."


@dataclass(frozen=True)
class DatasetState:
    """A stored dataset as it stands, with the excluded images and all edits."""

    folder: Path
    created: datetime  # with time zone
    samples: tuple[Sample, ...]  # sorted by file, excluded ones too
    edits: tuple[files.Edit, ...]  # oldest first
    refused: tuple[Refusal, ...]  # files that were offered and not taken

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def included(self) -> tuple[Sample, ...]:
        """The samples that are not excluded."""
        return tuple(sample for sample in self.samples if not sample.excluded)

    @cached_property
    def by_key(self) -> Mapping[str, Sample]:
        return {sample.key: sample for sample in self.samples}

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset that everything else uses: without the excluded images."""
        return Dataset(self.name, self.included)

    @property
    def counts(self) -> Mapping[str, int]:
        """Images of each class, see ``Dataset.counts``."""
        return self.dataset.counts


@dataclass(frozen=True)
class DamagedDataset:
    """A stored dataset whose files cannot be read."""

    name: str
    folder: Path
    message: str  # what is wrong with it and what can be done


def scan_datasets(settings: Settings) -> tuple[list[DatasetState], list[DamagedDataset]]:
    """List the stored datasets: those that can be read, newest first; damaged ones, by name.

    A folder that has no file of a dataset is passed over.
    """
    states, damaged = [], []
    for name in dataset_names(settings):
        folder = settings.datasets / name
        try:
            states.append(read_state(folder))
        except BadDataset as error:
            if storage.holds_any(folder, (files.MANIFEST, files.EDITS, "images")):
                damaged.append(DamagedDataset(name, folder, str(error)))
    return sorted(states, key=lambda state: state.created, reverse=True), damaged


def open_dataset(reference: str, settings: Settings) -> Dataset:
    """Open a stored dataset by its name, or a folder in place by its absolute path.

    Raises:
        BadDataset: there is none, or it is damaged.
    """
    path = Path(reference)
    return read_folder(path) if path.is_absolute() else load_dataset(reference, settings)


def load_dataset(name: str, settings: Settings) -> Dataset:
    """Load a stored dataset with all edits applied, without the excluded images.

    Its samples name their group (near duplicates, one recording), as far as they were scanned.

    Raises:
        BadDataset: there is no such dataset, or it is damaged.
    """
    folder = dataset_folder(name, settings)
    return _load(folder, dataset_state(folder), facts_state(folder))


@lru_cache(maxsize=8)  # values are frozen, and the states are part of the key
def _load(folder: Path, state: storage.FileState, facts: storage.FileState) -> Dataset:
    groups = read_groups(folder)
    samples = (
        replace(sample, group=groups[sample.sha256]) if sample.sha256 in groups else sample
        for sample in read_state(folder).included
    )
    return Dataset(folder.name, tuple(samples))


def read_groups(folder: Path) -> Mapping[str, str]:
    """Return the groups of a stored dataset's images, see ``recordings.find_groups``."""
    return _read_groups(folder, storage.file_state(folder / files.MANIFEST), facts_state(folder))


@lru_cache(maxsize=8)  # edits do not change it
def _read_groups(
    folder: Path, state: storage.FileState, facts: storage.FileState
) -> Mapping[str, str]:
    samples, table = read_state(folder).samples, read_facts(folder)
    if any(sample.sha256 not in table.by_sha256 for sample in samples):
        return table.groups  # the rest, a millisecond an image, when all are scanned
    names = "\n".join(f"{sample.sha256} {sample.file}" for sample in samples)
    key = f"{GROUPING} {content_id(names.encode('utf-8', 'surrogatepass'))}"
    path = folder / files.GROUPS
    with suppress(FileNotFoundError, DamagedFile):
        stored = storage.read_json(path, _Groups)
        if stored.key == key:
            return stored.groups
    groups = find_groups(samples, table)
    with suppress(OSError):  # it only saves work
        content = {"key": key, "groups": groups}
        storage.write_file(path, json.dumps(content, separators=(",", ":")).encode("ascii"))
    return groups


@dataclass(frozen=True)
class _Groups:
    key: str  # of the images
    groups: dict[str, str]


def load_state(name: str, settings: Settings) -> DatasetState:
    """Load a stored dataset with its excluded images and edits; raises as ``load_dataset``."""
    return read_state(dataset_folder(name, settings))


def read_state(folder: Path) -> DatasetState:
    """Read a stored dataset; from disk only if one of its files has changed.

    Raises:
        BadDataset: there is no dataset, or a damaged one.
    """
    return _read(folder, dataset_state(folder))


def dataset_state(folder: Path) -> storage.FileState:
    """Return a value that changes whenever the dataset does; cheap."""
    return storage.file_state(folder / files.MANIFEST) + storage.file_state(folder / files.EDITS)


@lru_cache(maxsize=64)  # values are frozen, and the state is part of the key
def _read(folder: Path, state: storage.FileState) -> DatasetState:
    manifest, edits = files.read_manifest(folder), files.read_edits(folder)
    given: dict[str, dict[str, Any]] = {}
    for change in (change for edit in edits for change in edit.changes):
        for key in change.keys:  # of an image of the dataset or not
            values = given.setdefault(key, {files.DISMISSED: set()})
            if change.field == files.DISMISSED:
                values[files.DISMISSED].add(change.value)
            elif change.field == files.RESTORED:
                values[files.DISMISSED].discard(change.value)
            else:
                values[change.field] = change.value
    samples = tuple(_sample(folder, entry, given) for entry in manifest.entries)
    return DatasetState(folder, manifest.created, samples, edits, manifest.refused)


def _sample(folder: Path, entry: files.Entry, given: Mapping[str, Mapping[str, Any]]) -> Sample:
    """Return an entry with its edits: key → field → value."""
    values = given.get(sample_key(entry.file, entry.sha256), {})
    return Sample(
        entry.file,
        entry.path(folder),
        entry.sha256,
        composed(values.get(files.LABEL, entry.label)),
        values.get(files.SPLIT, entry.split),
        width=entry.width,
        height=entry.height,
        excluded=values.get(files.EXCLUDED, False),
        dismissed=frozenset(values.get(files.DISMISSED, ())),
    )


def delete_dataset(name: str, settings: Settings) -> None:
    """Delete a dataset and its images for good.

    Raises:
        BadDataset: there is no such dataset, or images are being added to it.
    """
    folder = dataset_folder(name, settings)
    with lock_dataset(folder, wait=False):
        delete_thumbnails(folder, settings)
        discard_folder(folder)


def rename_dataset(name: str, new_name: str, settings: Settings) -> None:
    """Rename a dataset; its images stay as they are.

    Raises:
        BadDataset: there is no such dataset, the new name is taken or not allowed, or images are
            being added to it.
    """
    folder = dataset_folder(name, settings)
    new_name = check_name(new_name)
    with lock_dataset(folder, wait=False):
        if not publish_folder(folder, folder.with_name(new_name)):
            raise name_taken_error(new_name)


def dataset_names(settings: Settings) -> list[str]:
    """Return the names of all stored datasets, sorted; damaged ones too."""
    if not settings.datasets.is_dir():
        return []
    folders = settings.datasets.iterdir()
    return sorted(f.name for f in folders if not f.name.startswith(".") and f.is_dir())


def dataset_folder(name: str, settings: Settings) -> Path:
    """Return the folder of a stored dataset.

    Raises:
        BadDataset: no dataset has this name; the message lists those that are there.
    """
    names, name = dataset_names(settings), composed(name)
    if name not in names:
        listed = ", ".join(names) or "none yet: upload images, or use the sample"
        raise BadDataset(
            f"Expected the name of a dataset ({listed}). Received {shorten(repr(name))}."
        )
    return settings.datasets / name


def check_name(name: str) -> str:
    """Return a name composed; refuse one that is no safe name of a folder everywhere.

    Raises:
        BadDataset: a sign that is not allowed, too long or empty, or a dot or space at an end.
    """
    name = composed(name)
    is_allowed = all(sign.isalnum() or sign in _MARKS for sign in name)
    if not (is_allowed and 1 <= len(name) <= _LONGEST and name == name.strip(" .")):
        raise BadDataset(
            "Expected a name of letters, digits, spaces, hyphens, underscores and dots, at most "
            f"{_LONGEST}, with no space or dot at either end. Received {shorten(repr(name))}."
        )
    return name


def check_free_name(name: str, settings: Settings) -> str:
    """Return a name composed; BadDataset where it is not allowed or a dataset has it already.

    Only for an early answer: ``publish_folder`` decides.
    """
    name = check_name(name)
    if (settings.datasets / name).exists():
        raise name_taken_error(name)
    return name


def name_taken_error(name: str) -> BadDataset:
    """Return the error of a name that a dataset has already."""
    return BadDataset(
        f"Expected a name that no dataset has. Received {shorten(repr(name))}, which is taken. "
        "Choose another name, add to that dataset, or delete it first."
    )


@contextmanager
def lock_dataset(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Lock a stored dataset while the block changes it.

    Args:
        folder: of the dataset.
        wait: for the process that changes it now, however long that takes.

    Raises:
        BadDataset: it has just been deleted or renamed, or is being changed and ``wait`` is False.
        StorageError: it may not be written, or there is no room.
    """
    name = repr(folder.name)
    try:
        descriptor = acquire_lock(folder / "lock", timeout=None if wait else 0)
    except BlockingIOError:
        raise BadDataset(
            f"Images are being added to the dataset {name}. Try again when that is done."
        ) from None
    except OSError as error:
        if storage.is_disk_error(error):
            raise StorageError(
                f"The dataset {name} cannot be changed. {storage.explain_os_error(error)}"
            ) from error
        raise BadDataset(
            f"The dataset {name} has just been renamed or deleted. Reload the list of datasets."
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)
