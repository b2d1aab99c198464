"""Looking at the images that were not looked at yet, of a stored set or of a folder in place."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from tlcore.datasets.dataset import Refusal, Sample
from tlcore.datasets.decoding import decode_in_order
from tlcore.datasets.edits import DatasetState, Version, read_state, replay, version
from tlcore.datasets.image_io import FORMATS, content_id, decode_with_header, read_bytes
from tlcore.datasets.manifest import Entry, folder_of
from tlcore.datasets.quality import Facts, measure
from tlcore.datasets.quality_report import (
    Fault,
    Memory,
    QualityReport,
    Seen,
    check_quality,
    memory_version,
    read_memory,
    remember,
)
from tlcore.datasets.sources import read_folder, unused_files
from tlcore.errors import BadImage
from tlcore.settings import Limits, Settings

Progress = Callable[[int, int | None], None]  # images done, images in all

_BATCH = 64  # images after which what was seen is written down


def examine(
    name: str,
    settings: Settings,
    *,
    seconds: float | None = None,
    progress: Progress | None = None,
    again: bool = False,
) -> QualityReport:
    """Look at what was not looked at yet, and report.

    Args:
        name: of a stored set.
        settings: where sets lie, and the limits.
        seconds: stop after about so long; what is left is `Checkup.unseen`.
        progress: called after each image.
        again: look at every file anew, as the disk may have changed it.

    Raises:
        BadDataset: no such set, or a damaged one.
    """
    folder = folder_of(name, settings)
    state = read_state(folder)
    _look_at_all(state, Memory({}) if again else read_memory(folder), settings, seconds, progress)
    return check_quality(state, read_memory(folder))


def known(name: str, settings: Settings) -> QualityReport:
    """Report on what was looked at so far, at once; judged anew only if something has changed."""
    folder = folder_of(name, settings)
    return _known(folder, version(folder), memory_version(folder))


@lru_cache(maxsize=8)  # values are frozen, and the versions say which state they are of
def _known(folder: Path, state: Version, memory: Version) -> QualityReport:
    return check_quality(read_state(folder), read_memory(folder))


def examine_folder(
    path: Path, limits: Limits, *, progress: Progress | None = None
) -> QualityReport:
    """Report on a folder of class folders in place; nothing is written.

    Raises:
        BadDataset: no folder, or no class folder with an image in it.
    """
    dataset = read_folder(path)
    look = functools.partial(_look_in_place, limits=limits)
    entries: list[Entry] = []
    seen: dict[str, Seen] = {}
    refused: list[Refusal] = []
    with contextlib.closing(decode_in_order(look, dataset.samples)) as results:
        for done, (sample, result) in enumerate(zip(dataset.samples, results, strict=True), 1):
            if isinstance(result, Facts):
                seen[result.sha256] = result
                entries.append(_entry(replace(sample, sha256=result.sha256), result))
            else:
                refused.append(Refusal.of(sample.file, result))
            if progress is not None:
                progress(done, len(dataset.samples))
    other = "Expected an image in a class folder. Received a file that is not."
    refused += [Refusal(file, other) for file in unused_files(path)]
    state = DatasetState(path, datetime.now(UTC), replay(entries, ()), (), tuple(refused))
    return check_quality(state, Memory(seen))


def _look_at_all(
    state: DatasetState,
    memory: Memory,
    settings: Settings,
    seconds: float | None,
    progress: Progress | None,
) -> None:
    started = time.monotonic()
    once = {item.entry.sha256: item.entry for item in state.items}
    waiting = [entry for sha, entry in once.items() if sha not in memory.seen]
    look = functools.partial(_look, folder=state.folder, settings=settings)
    seen: list[Seen] = []
    with contextlib.closing(decode_in_order(look, waiting)) as results:
        for done, one in enumerate(results, start=len(once) - len(waiting) + 1):
            seen.append(one)
            if len(seen) == _BATCH:
                remember(state.folder, seen)
                seen.clear()
            if progress is not None:
                progress(done, len(once))
            if seconds is not None and time.monotonic() - started > seconds:
                break
    remember(state.folder, seen)


def _look(entry: Entry, *, folder: Path, settings: Settings) -> Seen:
    try:
        data = read_bytes(entry.path(folder), entry.file, settings.limits)
        image, header = decode_with_header(data, entry.file, settings.limits)
    except BadImage as error:
        refusal = Refusal.of(entry.file, error)
        return Fault(entry.sha256, refusal.kind, refusal.reason)
    return measure(image, header, entry.sha256)


def _look_in_place(sample: Sample, *, limits: Limits) -> Facts | BadImage:
    try:
        data = read_bytes(sample.path, sample.file, limits)
        image, header = decode_with_header(data, sample.file, limits)
    except BadImage as error:
        return error
    return measure(image, header, content_id(data))


def _entry(sample: Sample, facts: Facts) -> Entry:
    ending = FORMATS[facts.header.format].ending
    return Entry(
        sample.file, sample.sha256, ending, sample.label, sample.split, facts.width, facts.height
    )
