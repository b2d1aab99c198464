"""Files into a dataset on disk: each decoded once to be sure of it, its bytes kept as they came.

A set appears whole or not at all: it is made in a hidden folder beside its place and renamed.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tlcore.datasets.dataset import UNLABELLED, Dataset, Incoming, Refusal
from tlcore.datasets.decoding import decode_in_order
from tlcore.datasets.edits import read_state
from tlcore.datasets.image_io import FORMATS, check_size, content_id, decode_with_header
from tlcore.datasets.layout import EXPECTED_LAYOUT, Place, read_layout
from tlcore.datasets.manifest import (
    Entry,
    Manifest,
    check_free,
    folder_of,
    lock_dataset,
    read_manifest,
    taken,
    write_manifest,
)
from tlcore.datasets.quality import Facts, measure
from tlcore.datasets.quality_report import remember
from tlcore.errors import BadDataset, BadImage
from tlcore.locks import publish_folder, remove_leftovers, work_folder
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors, sync_files, write_file

Progress = Callable[[int, int | None], None]  # files done, files in all if known

_REASONS_SHOWN = 3


@dataclass(frozen=True)
class ImportReport:
    """What became of the files that were offered."""

    dataset: Dataset  # the whole set as it is now
    refused: tuple[Refusal, ...]  # in the order they came
    seconds: float
    added: int  # entries that were not in the set before


@dataclass(frozen=True)
class Taken:
    """A file that is stored, and what was seen when it was decoded."""

    entry: Entry
    facts: Facts


@explained_os_errors("The images could not be stored; nothing of them was kept")
def import_dataset(
    name: str,
    incoming: Iterable[Incoming],
    settings: Settings,
    *,
    default_label: str = UNLABELLED,
    progress: Progress | None = None,
) -> ImportReport:
    """Make a new dataset of files.

    Args:
        name: letters, digits, spaces, hyphens, underscores and dots, up to 60.
        incoming: the files; their folders name class and split.
        settings: where sets lie, and the limits.
        default_label: the class of files whose folders name none.
        progress: called in this thread after each file.

    Raises:
        BadDataset: the name is taken or not allowed, or not one file is a usable image.
    """
    started = time.monotonic()
    check_free(name, settings)
    remove_leftovers(settings.datasets)
    with work_folder(settings.datasets) as place:
        entries, refusals = _take_all(incoming, place, settings, default_label, progress)
        if not entries:
            raise _nothing_usable(name, refusals)
        manifest = Manifest.of(entries, refused=refusals)
        write_manifest(place, manifest)
        folder = settings.datasets / name
        if not publish_folder(place, folder):  # another import was first
            raise taken(name)
    return ImportReport(
        read_state(folder).dataset,
        tuple(refusals),
        time.monotonic() - started,
        len(manifest.entries),
    )


@explained_os_errors("The images could not be added; the dataset is as it was")
def add_to_dataset(
    name: str,
    incoming: Iterable[Incoming],
    settings: Settings,
    *,
    default_label: str = UNLABELLED,
    progress: Progress | None = None,
) -> ImportReport:
    """Add files to a dataset; a file that is there already, name and content, changes nothing.

    Takes what `import_set` takes. Waits while another process adds to the same set.

    Raises:
        BadDataset: no such set, or not one file is a usable image.
    """
    started = time.monotonic()
    folder = folder_of(name, settings)
    with lock_dataset(folder):
        before = read_manifest(folder)
        entries, refusals = _take_all(incoming, folder, settings, default_label, progress)
        if not entries:
            raise _nothing_usable(name, refusals)
        manifest = Manifest.of(
            (*before.entries, *entries), before.created, (*before.refused, *refusals)
        )
        write_manifest(folder, manifest)
    return ImportReport(
        read_state(folder).dataset,
        tuple(refusals),
        time.monotonic() - started,
        len(manifest.entries) - len(before.entries),
    )


def _take_all(
    incoming: Iterable[Incoming],
    folder: Path,
    settings: Settings,
    default_label: str,
    progress: Progress | None,
) -> tuple[list[Entry], list[Refusal]]:
    offered = list(incoming)  # names only, nothing is read yet
    (folder / "images").mkdir(exist_ok=True)
    places = read_layout(item.file for item in offered)
    take = functools.partial(
        _take, folder=folder, settings=settings, places=places, default_label=default_label
    )
    taken_in: list[Taken] = []
    refusals: list[Refusal] = []
    with contextlib.closing(decode_in_order(take, offered)) as results:
        for done, result in enumerate(results, start=1):
            taken_in.append(result) if isinstance(result, Taken) else refusals.append(result)
            if progress is not None:
                progress(done, len(offered))
    remember(folder, {one.facts.sha256: one.facts for one in taken_in}.values())
    sync_files(folder / "images", {one.entry.path(folder).name for one in taken_in})
    return [one.entry for one in taken_in], refusals


def _take(
    item: Incoming,
    *,
    folder: Path,
    settings: Settings,
    places: Mapping[str, Place],
    default_label: str,
) -> Taken | Refusal:
    """Read, check, look at and store one file, decoding it once."""
    try:
        check_size(item.size, item.file, settings.limits)
        data = item.read()
        image, header = decode_with_header(data, item.file, settings.limits)
    except (BadImage, OSError) as error:
        return Refusal.of(item.file, error)
    sha256, ending = content_id(data), FORMATS[header.format].ending
    place = places[item.file]
    label = place.label or default_label
    entry = Entry(item.file, sha256, ending, label, place.split, *image.size)
    stored = entry.path(folder)
    if not stored.exists():
        write_file(stored, data)
    return Taken(entry, measure(image, header, sha256))


def _nothing_usable(name: str, refusals: list[Refusal]) -> BadDataset:
    if not refusals:
        return BadDataset(
            f"Expected images for {name!r}. Received no files. Choose {EXPECTED_LAYOUT}."
        )
    first = " ".join(f"{no.file}: {no.reason}" for no in refusals[:_REASONS_SHOWN])
    more = len(refusals) - _REASONS_SHOWN
    rest = f" And {more} more." if more > 0 else ""
    return BadDataset(
        f"Expected at least one usable image for {name!r}. Received {len(refusals)} that are "
        f"not. {first}{rest}"
    )
