"""Files into a data set on disk: each decoded once to be sure of it, its bytes kept as they came.

A set appears whole or not at all: it is made in a hidden folder beside its place and renamed.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tlcore.errors import BadDataset, BadImage
from tlcore.images.dataset import Dataset
from tlcore.images.decode import check_size, content_id, decode
from tlcore.images.formats import format_of
from tlcore.images.incoming import Incoming, Refusal
from tlcore.images.layout import EXPECTED_LAYOUT, label_and_split, outer_folder
from tlcore.images.locks import hold_set, sweep, workplace
from tlcore.images.manifest import Entry, Manifest, read_manifest, write_manifest, write_whole
from tlcore.images.names import check_free, check_name, folder_of
from tlcore.settings import Limits, Settings

Progress = Callable[[int, int | None], None]  # files done, files in all if known

DEFAULT_LABEL = "unlabelled"
_THREADS = min(4, os.cpu_count() or 1)  # Pillow decodes without holding Python's lock
_REASONS_SHOWN = 3


@dataclass(frozen=True)
class ImportReport:
    """What became of the files that were offered."""

    dataset: Dataset  # the whole set as it is now
    refused: tuple[Refusal, ...]  # in the order they came
    seconds: float
    added: int  # entries that were not in the set before


def import_set(
    name: str,
    incoming: Iterable[Incoming],
    settings: Settings,
    *,
    default_label: str = DEFAULT_LABEL,
    progress: Progress | None = None,
) -> ImportReport:
    """Make a new data set of files.

    Args:
        name: letters, digits, spaces, hyphens, underscores and dots, up to 60.
        incoming: the files; their folders name class and split.
        settings: where sets lie, and the limits.
        default_label: the class of files in no folder.
        progress: called in this thread after each file.

    Raises:
        BadDataset: the name is taken or not allowed, or not one file is a usable picture.
    """
    started = time.monotonic()
    check_free(name, settings)
    sweep(settings.datasets)
    with workplace(settings.datasets) as place:
        entries, refusals = _take_all(incoming, place, settings.limits, default_label, progress)
        if not entries:
            raise _nothing_usable(name, refusals)
        manifest = Manifest.of(entries)
        write_manifest(place, manifest)
        folder = _publish(place, name, settings)
    return ImportReport(
        manifest.dataset(folder),
        tuple(refusals),
        time.monotonic() - started,
        len(manifest.entries),
    )


def add_to_set(
    name: str,
    incoming: Iterable[Incoming],
    settings: Settings,
    *,
    default_label: str = DEFAULT_LABEL,
    progress: Progress | None = None,
) -> ImportReport:
    """Add files to a data set; a file that is there already, name and content, changes nothing.

    Takes what `import_set` takes. Waits while another process adds to the same set.

    Raises:
        BadDataset: no such set, or not one file is a usable picture.
    """
    started = time.monotonic()
    folder = folder_of(name, settings)
    with hold_set(folder, wait=True):
        before = read_manifest(folder)
        entries, refusals = _take_all(incoming, folder, settings.limits, default_label, progress)
        if not entries:
            raise _nothing_usable(name, refusals)
        manifest = Manifest.of((*before.entries, *entries), before.created)
        write_manifest(folder, manifest)
    return ImportReport(
        manifest.dataset(folder),
        tuple(refusals),
        time.monotonic() - started,
        len(manifest.entries) - len(before.entries),
    )


def _take_all(
    incoming: Iterable[Incoming],
    folder: Path,
    limits: Limits,
    default_label: str,
    progress: Progress | None,
) -> tuple[list[Entry], list[Refusal]]:
    offered = list(incoming)  # names only, nothing is read yet
    (folder / "images").mkdir(exist_ok=True)
    outer = outer_folder(item.file for item in offered)
    take = functools.partial(
        _take, folder=folder, limits=limits, outer=outer, default_label=default_label
    )
    entries: list[Entry] = []
    refusals: list[Refusal] = []
    with contextlib.closing(_in_threads(take, offered)) as results:
        for done, result in enumerate(results, start=1):
            entries.append(result) if isinstance(result, Entry) else refusals.append(result)
            if progress is not None:
                progress(done, len(offered))
    return entries, refusals


def _take(
    item: Incoming, *, folder: Path, limits: Limits, outer: str, default_label: str
) -> Entry | Refusal:
    """Read, check and store one file."""
    try:
        check_size(item.size, item.file, limits)
        data = item.read()
        image = decode(data, item.file, limits)
    except (BadImage, OSError) as error:
        return Refusal.of(item.file, error)
    form = format_of(data)
    assert form is not None  # decode has accepted it
    label, split = label_and_split(item.file, outer)
    entry = Entry(
        item.file, content_id(data), form.ending, label or default_label, split, *image.size
    )
    if not entry.path(folder).exists():
        write_whole(entry.path(folder), data)
    return entry


def _in_threads(
    take: Callable[[Incoming], Entry | Refusal], items: Iterable[Incoming]
) -> Generator[Entry | Refusal, None, None]:
    """Results in order; few files are under way at once, so that memory stays bounded."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="import") as pool:
        waiting: collections.deque[Future[Entry | Refusal]] = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(take, item))
                if len(waiting) > 2 * _THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _publish(place: Path, name: str, settings: Settings) -> Path:
    folder = settings.datasets / check_name(name)
    try:
        return place.rename(folder)
    except OSError as error:
        check_free(name, settings)  # another import was first
        raise BadDataset(
            f"Expected to be able to write {str(folder)!r}. Received: {error.strerror}."
        ) from error


def _nothing_usable(name: str, refusals: list[Refusal]) -> BadDataset:
    if not refusals:
        return BadDataset(
            f"Expected pictures for {name!r}. Received no files. Choose {EXPECTED_LAYOUT}."
        )
    first = " ".join(f"{no.file}: {no.reason}" for no in refusals[:_REASONS_SHOWN])
    more = len(refusals) - _REASONS_SHOWN
    rest = f" And {more} more." if more > 0 else ""
    return BadDataset(
        f"Expected at least one usable picture for {name!r}. Received {len(refusals)} that are "
        f"not. {first}{rest}"
    )
