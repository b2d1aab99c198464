"""A set as a zip of class folders, which brought in again is the same set."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from tlcore.datasets.dataset import UNLABELLED
from tlcore.datasets.edits import DatasetState, Item, read_state
from tlcore.datasets.layout import Place, read_layout
from tlcore.datasets.manifest import folder_of
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.storage import check_output, explained_os_errors

_MOMENT = (1980, 1, 1, 0, 0, 0)  # of every entry: the same set gives the same bytes
_READABLE = 0o100644 << 16


def export_dataset(
    name: str,
    target: Path,
    settings: Settings,
    *,
    progress: Callable[[int, int | None], None] | None = None,
) -> DatasetState:
    """Write the images that are used, under their labels and parts, as they came.

    Args:
        name: of a stored set.
        target: the zip to write; it appears whole or not at all.
        settings: where sets lie.
        progress: called after each image.

    Raises:
        BadDataset: no such set, or a label that no folder can have.
        StorageError: nowhere to write, or the target is a folder or a device.
    """
    check_output(target)
    state = read_state(folder_of(name, settings))
    names = _names(state)
    beside = target.with_name(f".{target.name}.part")
    try:
        with explained_os_errors(f"{target.name} could not be written"):
            with ZipFile(beside, "w", ZIP_STORED) as archive:  # images are packed already
                for done, (file, item) in enumerate(names.items(), start=1):
                    entry = ZipInfo(file, _MOMENT)
                    entry.external_attr = _READABLE
                    archive.writestr(entry, item.entry.path(state.folder).read_bytes())
                    if progress is not None:
                        progress(done, len(names))
            beside.replace(target)
    except zipfile.LargeZipFile as error:
        raise BadDataset(f"Expected a set that fits into a zip. Received: {error}.") from error
    finally:
        beside.unlink(missing_ok=True)
    return state


def _names(state: DatasetState) -> dict[str, Item]:
    """Each image's name in the zip.

    Raises:
        BadDataset: nothing to write, or a name would not be understood when it comes back.
    """
    names: dict[str, Item] = {}
    divided = any(item.split for item in state.used)
    for item in state.used:
        split = item.split or ("undivided" if divided else "")
        folders = "/".join(part for part in (split, item.label) if part)
        names[_free(f"{folders}/{item.entry.file.rpartition('/')[2]}", names)] = item
    if not names:
        raise BadDataset(f"Expected images in {state.name!r}. Received none that are used.")
    places = read_layout(names)
    for file, item in names.items():
        # Where all are unlabelled, whoever brings them may name a label: by default this one.
        place = replace(places[file], label=places[file].label or UNLABELLED)
        if place != Place(item.label, item.split):
            raise BadDataset(
                f"Expected class names that folders can have. Received {item.label!r}. Give the "
                "class another name first."
            )
    return names


def _free(file: str, taken: dict[str, Item]) -> str:
    stem, dot, ending = file.rpartition(".")
    if not dot or "/" in ending:
        stem, ending = file, ""
    number = 2
    while file in taken:
        file = f"{stem}-{number}{dot and '.'}{ending}"
        number += 1
    return file
