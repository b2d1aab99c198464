"""Export of a dataset as a zip of class folders, which imported again is the same dataset."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Container
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from tlcore.datasets.dataset import Sample
from tlcore.datasets.layout import ListedFile, Placement, normal_name, read_layout
from tlcore.datasets.store import DatasetState, load_state
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.storage import check_output, explained_os_errors

_MOMENT = (1980, 1, 1, 0, 0, 0)  # of every entry: the same dataset gives the same bytes
_READABLE = 0o100644 << 16


def export_dataset(
    name: str,
    target: Path,
    settings: Settings,
    *,
    progress: Callable[[int, int | None], None] | None = None,
) -> DatasetState:
    """Write the images of a dataset, without the excluded, under their labels and splits.

    Args:
        name: of a stored dataset.
        target: the zip to write; it appears whole or not at all.
        settings: the folder of the datasets.
        progress: called after each image.

    Raises:
        BadDataset: there is no such dataset, or a label that no folder can have.
        StorageError: the target cannot be written, or is a folder or a device.
    """
    check_output(target)
    state = load_state(name, settings)
    names = _names(state)
    partial = target.with_name(f".{target.name}.part")
    try:
        with explained_os_errors(f"{target.name} could not be written"):
            with ZipFile(partial, "w", ZIP_STORED) as archive:  # images are compressed already
                for done, (file, sample) in enumerate(names.items(), start=1):
                    entry = ZipInfo(file, _MOMENT)
                    entry.external_attr = _READABLE
                    archive.writestr(entry, sample.path.read_bytes())
                    if progress is not None:
                        progress(done, len(names))
            partial.replace(target)
    except zipfile.LargeZipFile as error:
        raise BadDataset(f"Expected a dataset that fits into a zip. Received: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return state


def _names(state: DatasetState) -> dict[str, Sample]:
    """Return each image's name in the zip.

    Raises:
        BadDataset: nothing to write, or a name that would be understood otherwise on import.
    """
    names: dict[str, Sample] = {}
    has_splits = any(sample.split for sample in state.included)
    for sample in state.included:
        split = sample.split or ("undivided" if has_splits else "")
        folders = "/".join(part for part in (split, sample.label) if part)
        names[_free_name(f"{folders}/{sample.file.rpartition('/')[2]}", names)] = sample
    if not names:
        raise BadDataset(f"Expected images in {state.name!r}. Received none that are used.")
    layout = read_layout(map(ListedFile, names))
    for place, sample in zip(layout.placements, names.values(), strict=True):
        if place != Placement(normal_name(sample.label), sample.split):
            raise BadDataset(
                f"Expected class names that folders can have. Received {sample.label!r}. Rename "
                "the class first."
            )
    return names


def _free_name(file: str, taken: Container[str]) -> str:
    path = Path(file)
    number, free = 2, file
    while free in taken:
        free = path.with_stem(f"{path.stem}-{number}").as_posix()
        number += 1
    return free
