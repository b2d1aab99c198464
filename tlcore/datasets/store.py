"""Datasets on disk: make, add, list, load, rename, delete. The door to this room.

Every set is a folder under `settings.datasets`, described in `manifest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.dataset import Refusal as Refusal
from tlcore.datasets.edit_log import FILE as EDITS
from tlcore.datasets.edits import DatasetState, Version, read_state, version
from tlcore.datasets.importing import ImportReport as ImportReport
from tlcore.datasets.importing import add_to_dataset as add_to_dataset
from tlcore.datasets.importing import import_dataset as import_dataset
from tlcore.datasets.manifest import FILE as ENTRIES
from tlcore.datasets.manifest import check_name, dataset_names, folder_of, lock_dataset, taken
from tlcore.datasets.quality_report import memory_version, read_memory
from tlcore.datasets.sources import read_folder as read_folder
from tlcore.datasets.sources import unused_files as unused_files
from tlcore.datasets.thumbnails import forget_thumbnails
from tlcore.datasets.thumbnails import thumbnail as thumbnail
from tlcore.errors import BadDataset
from tlcore.locks import discard_folder, publish_folder
from tlcore.settings import Settings
from tlcore.storage import holds_any


@dataclass(frozen=True)
class SetInfo:
    """A stored set at a glance."""

    name: str
    images: int  # without the excluded
    classes: tuple[str, ...]  # sorted
    created: datetime  # with time zone
    folder: Path


@dataclass(frozen=True)
class DamagedDataset:
    """A stored set whose table of contents or edits cannot be read."""

    name: str
    folder: Path
    words: str  # what is wrong with it and what can be done


def list_datasets(settings: Settings) -> list[SetInfo]:
    """All stored sets that can be read, newest first. See ``scan_datasets``."""
    return scan_datasets(settings)[0]


def scan_datasets(settings: Settings) -> tuple[list[SetInfo], list[DamagedDataset]]:
    """All stored sets: those that can be read, newest first, and the damaged ones, by name.

    A folder in which nothing of a set lies is passed over.
    """
    sets: list[SetInfo] = []
    damaged: list[DamagedDataset] = []
    for name in dataset_names(settings):
        folder = settings.datasets / name
        try:
            sets.append(_info(folder, version(folder)))
        except BadDataset as error:
            if holds_any(folder, (ENTRIES, EDITS, "images")):
                damaged.append(DamagedDataset(name, folder, str(error)))
    return sorted(sets, key=lambda info: info.created, reverse=True), damaged


@lru_cache(maxsize=1024)  # small, where whole states are not: a list of many sets stays quick
def _info(folder: Path, state: Version) -> SetInfo:
    read = read_state(folder)
    return SetInfo(folder.name, len(read.used), read.dataset.classes, read.created, folder)


def load_dataset(name: str, settings: Settings) -> Dataset:
    """A stored set by its name, with all edits laid over its images, without the excluded.

    Its samples name the group of their near copies, as far as the doctor has seen them.

    Raises:
        BadDataset: no such set, with those that are there; or a damaged one.
    """
    folder = folder_of(name, settings)
    return _load(folder, version(folder), memory_version(folder))


@lru_cache(maxsize=8)  # values are frozen, and the versions say which state they are of
def _load(folder: Path, state: Version, memory: Version) -> Dataset:
    return read_memory(folder).grouped(read_state(folder).dataset)


def load_state(name: str, settings: Settings) -> DatasetState:
    """A stored set by its name, with everything that is known of it; raises as `load_set`."""
    return read_state(folder_of(name, settings))


def open_dataset(reference: str, settings: Settings) -> Dataset:
    """A stored set by its name, or a folder read in place by its absolute path; BadDataset."""
    path = Path(reference)
    return read_folder(path) if path.is_absolute() else load_dataset(reference, settings)


def delete_dataset(name: str, settings: Settings) -> None:
    """Remove a set and its images for good.

    Raises:
        BadDataset: no such set, or images are being added to it.
    """
    folder = folder_of(name, settings)
    with lock_dataset(folder, timeout=0) as is_free:
        _check_idle(name, is_free)
        forget_thumbnails(folder, settings)
        discard_folder(folder)


def rename_dataset(name: str, new_name: str, settings: Settings) -> None:
    """Give a set another name; its images stay as they are.

    Raises:
        BadDataset: no such set, the new name is taken or not allowed, or the set is being changed.
    """
    folder = folder_of(name, settings)
    check_name(new_name)
    with lock_dataset(folder, timeout=0) as is_free:
        _check_idle(name, is_free)
        if not publish_folder(folder, folder.with_name(new_name)):
            raise taken(new_name)


def _check_idle(name: str, is_free: bool) -> None:
    if not is_free:
        raise BadDataset(
            f"Expected nothing to be happening to {name!r}. Received a set that images are "
            "being added to. Try again when that is done."
        )
