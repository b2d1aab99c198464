"""Import of files into a stored dataset: each is decoded once to check it, its bytes are stored.

A dataset appears whole or not at all: it is put together in a hidden work folder and renamed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tlcore.datasets.dataset import UNLABELLED, Dataset, Incoming, Refusal
from tlcore.datasets.decoding import decode_in_order
from tlcore.datasets.image_facts import ImageFacts, append_facts, measure_image
from tlcore.datasets.image_io import FORMATS, check_size, content_id, decode_image_with_header
from tlcore.datasets.layout import (
    EXPECTED_LAYOUT,
    Layout,
    LayoutChoices,
    Placement,
    normal_name,
    read_layout,
)
from tlcore.datasets.manifest import Entry, Manifest, read_manifest, write_manifest
from tlcore.datasets.sources import list_incoming
from tlcore.datasets.store import (
    check_free_name,
    dataset_folder,
    load_state,
    lock_dataset,
    name_taken_error,
    read_state,
)
from tlcore.errors import BadDataset, BadImage
from tlcore.settings import Settings
from tlcore.storage import (
    explained_os_errors,
    publish_folder,
    remove_leftovers,
    sync_files,
    work_folder,
    write_file,
)
from tlcore.text import images_are, natural_key

Progress = Callable[[int, int | None], None]  # files done, files in all if that is known

_REASONS_SHOWN = 3


@dataclass(frozen=True)
class ImportReport:
    """What became of the files that were offered."""

    dataset: Dataset  # the whole dataset as it is now
    refused: tuple[Refusal, ...]  # in the order in which they came
    seconds: float
    added: int  # images that were not in the dataset before
    layout: Layout  # of the files that were offered: what was left out, and what it was taken for


@explained_os_errors("The images could not be stored; nothing of them was kept")
def import_dataset(
    name: str,
    incoming: Iterable[Incoming],
    settings: Settings,
    *,
    choices: LayoutChoices | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Make a new dataset of files.

    Args:
        name: letters, digits, spaces, hyphens, underscores and dots, up to 60.
        incoming: the files; ``read_layout`` says which become images, of which class and split.
        settings: the folder of the datasets, and the limits.
        choices: how a person wants the files to be read; None leaves all to the rules.
        progress: called in this thread after each file that is not left out.

    Raises:
        BadDataset: the name is taken or not allowed, or not one file is a usable image.
        StorageError: the disk is full or may not be written.
    """
    started = time.monotonic()
    name = check_free_name(name, settings)
    remove_leftovers(settings.datasets)
    folder = settings.datasets / name
    with work_folder(settings.datasets) as work:
        offered = list(incoming)  # names only, no image is read yet
        layout = read_layout(list_incoming(offered), choices)
        entries, refusals = _store_all(name, offered, layout, work, settings, progress)
        manifest = Manifest.of(entries, refused=refusals)
        write_manifest(work, manifest)
        if not publish_folder(work, folder):  # another import was first
            raise name_taken_error(name)
    return _report(folder, refusals, started, len(manifest.entries), layout)


@explained_os_errors("The images could not be added; the dataset is as it was")
def add_to_dataset(
    name: str,
    incoming: Iterable[Incoming],
    settings: Settings,
    *,
    choices: LayoutChoices | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Add files to a dataset; a file that it has already, name and content, changes nothing.

    Takes what ``import_dataset`` takes. Waits while another process adds to the same dataset.

    Raises:
        BadDataset: there is no such dataset, or not one file is a usable image.
        StorageError: the disk is full or may not be written.
    """
    started = time.monotonic()
    folder = dataset_folder(name, settings)
    with lock_dataset(folder):
        old = read_manifest(folder)
        offered = list(incoming)
        layout = read_layout(list_incoming(offered), choices)
        entries, refusals = _store_all(name, offered, layout, folder, settings, progress)
        new = Manifest.of((*old.entries, *entries), old.created, (*old.refused, *refusals))
        write_manifest(folder, new)
    return _report(folder, refusals, started, len(new.entries) - len(old.entries), layout)


@dataclass(frozen=True)
class Addition:
    """What adding files to a dataset would change; the files have not been decoded yet."""

    new: Mapping[str, int]  # images by label that it does not have
    present: int  # images that it has already, by name and content
    new_classes: tuple[str, ...]

    def describe(self) -> str:
        """Return a sentence: "12 images are new (cats 8, dogs 4), 3 are there already."."""
        counts = ", ".join(f"{label} {number:,}" for label, number in self.new.items())
        classes = f" New: {', '.join(self.new_classes)}." if self.new_classes else ""
        number = sum(self.new.values())
        are = f"{images_are(number)} new" + (f" ({counts})" if counts else "")
        return f"{are}, {self.present:,} there already.{classes}"


def preview_addition(
    name: str, incoming: Sequence[Incoming], layout: Layout, settings: Settings
) -> Addition:
    """Compare files with a dataset that they may be added to; only those of known names are read.

    Args:
        name: of the dataset.
        incoming: the files that ``layout`` was read from.
        layout: how they are read.
        settings: the folder of the datasets.

    Raises:
        BadDataset: there is no such dataset, or it is damaged.
    """
    state = load_state(name, settings)
    stored: dict[str, set[str]] = {}
    for sample in state.samples:
        stored.setdefault(sample.file, set()).add(sample.sha256)
    new: Counter[str] = Counter()
    present = 0
    for item, place in zip(incoming, layout.placements, strict=True):
        if not place.left_out:
            if _is_present(item, stored.get(normal_name(item.file), set())):
                present += 1
            else:
                new[place.label] += 1
    labels = sorted(new, key=natural_key)
    added = tuple(x for x in labels if x not in state.dataset.counts and x != UNLABELLED)
    return Addition({label: new[label] for label in labels}, present, added)


def _is_present(item: Incoming, hashes: set[str]) -> bool:
    try:
        return bool(hashes) and content_id(item.read()) in hashes
    except (BadImage, OSError):
        return False


def _report(
    folder: Path, refusals: list[Refusal], started: float, added: int, layout: Layout
) -> ImportReport:
    seconds = time.monotonic() - started
    return ImportReport(read_state(folder).dataset, tuple(refusals), seconds, added, layout)


def _store_all(
    name: str,
    offered: Sequence[Incoming],
    layout: Layout,
    folder: Path,
    settings: Settings,
    progress: Progress | None,
) -> tuple[list[Entry], list[Refusal]]:
    """Store the files that are usable images; BadDataset where none is."""
    (folder / "images").mkdir(exist_ok=True)
    images = [
        (item, place)
        for item, place in zip(offered, layout.placements, strict=True)
        if not place.left_out
    ]
    store = partial(_store, folder=folder, settings=settings)
    entries: list[Entry] = []
    facts: dict[str, ImageFacts] = {}
    refusals: list[Refusal] = []
    with closing(decode_in_order(store, images)) as results:
        for done, result in enumerate(results, start=1):
            if isinstance(result, Refusal):
                refusals.append(result)
            else:
                entries.append(result[0])
                facts[result[0].sha256] = result[1]
            if progress is not None:
                progress(done, len(images))
    append_facts(folder, facts.values())
    sync_files(folder / "images", {entry.path(folder).name for entry in entries})
    if not entries:
        raise _nothing_usable(name, refusals)
    return entries, refusals


def _store(
    image_and_place: tuple[Incoming, Placement], *, folder: Path, settings: Settings
) -> tuple[Entry, ImageFacts] | Refusal:
    """Read, check, measure and store one file, decoding it once."""
    item, place = image_and_place
    file = normal_name(item.file)
    try:
        check_size(item.size, item.file, settings.limits)
        data = item.read()
        image, header = decode_image_with_header(data, item.file, settings.limits)
    except (BadImage, OSError) as error:
        return replace(Refusal.of(item.file, error), file=file)
    sha256, ending = content_id(data), FORMATS[header.format].ending
    entry = Entry(file, sha256, ending, place.label, place.split, *image.size)
    stored = entry.path(folder)
    if not stored.exists():
        write_file(stored, data)
    return entry, measure_image(image, header, sha256)


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
