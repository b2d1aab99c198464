"""A folder of class folders as a data set, read in place: nothing is copied or decoded."""

from __future__ import annotations

from pathlib import Path

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.formats import has_image_ending
from tlcore.datasets.layout import EXPECTED_LAYOUT, read_layout
from tlcore.datasets.sources import files_below
from tlcore.errors import BadDataset


def read_folder(path: Path) -> Dataset:
    """The pictures below a folder, known by their endings, each in the class its folder names.

    Args:
        path: holds class folders, or train/, val/ and test/ with class folders.

    Returns:
        A data set named like the folder; its samples have no sha256 yet.

    Raises:
        BadDataset: no folder, or no class folder with a picture in it.
    """
    path = path.expanduser().resolve()
    labelled, _ = _sorted_out(path)
    samples = tuple(Sample(file, path / file, "", label, split) for file, label, split in labelled)
    if not samples:
        raise BadDataset(f"Expected {EXPECTED_LAYOUT}. Received {str(path)!r} without any.")
    return Dataset(path.name, samples)


def unused_files(path: Path) -> tuple[str, ...]:
    """Files below a folder that `read_folder` leaves out: other endings, or in no class folder."""
    return tuple(_sorted_out(path.expanduser().resolve())[1])


def _sorted_out(path: Path) -> tuple[list[tuple[str, str, str | None]], list[str]]:
    files = files_below(path)
    labelled: list[tuple[str, str, str | None]] = []
    unused: list[str] = []
    for file, place in read_layout(files).items():
        if place.label is not None and has_image_ending(file):
            labelled.append((file, place.label, place.split))
        else:
            unused.append(file)
    return labelled, unused
