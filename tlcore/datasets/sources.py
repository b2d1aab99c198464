"""A folder of class folders as a dataset, read in place: nothing is copied or decoded."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tlcore.datasets.archive import from_zip as from_zip
from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.dataset import Incoming as Incoming
from tlcore.datasets.dataset import refused as refused
from tlcore.datasets.image_io import has_image_ending, read_bytes
from tlcore.datasets.layout import EXPECTED_LAYOUT, is_litter, read_layout
from tlcore.errors import BadDataset
from tlcore.settings import Limits, Settings


def read_folder(path: Path) -> Dataset:
    """The images below a folder, known by their endings, each in the class its folder names.

    Args:
        path: holds class folders, or train/, val/ and test/ with class folders.

    Returns:
        A dataset named like the folder; its samples have no sha256 yet.

    Raises:
        BadDataset: no folder, or no class folder with an image in it.
    """
    path = path.expanduser().resolve()
    labelled, _ = _sorted_out(path)
    samples = tuple(Sample(file, path / file, "", label, split) for file, label, split in labelled)
    if not samples:
        raise BadDataset(f"Expected {EXPECTED_LAYOUT}. Received {str(path)!r} without any.")
    return Dataset(path.name, samples, str(path))


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


# Where files come from: a folder, uploads, a zip. Each gives a list of `Incoming`.
#
# Litter of the system is left out quietly; everything else is handed on, so that the import
# refuses by name what is no image.


def from_folder(path: Path, limits: Limits | None = None) -> list[Incoming]:
    """Every file below a folder, named relative to it, sorted by name.

    Raises:
        BadDataset: `path` is no folder that can be read.
    """
    limits = limits or Limits()
    return [_from_file(path / file, file, limits) for file in files_below(path)]


def from_uploads(uploads: Iterable[tuple[str, bytes]]) -> list[Incoming]:
    """Files that a person has sent: (name, bytes); a folder's upload has folders in its names."""
    return [
        Incoming(name.replace("\\", "/"), functools.partial(bytes, data), len(data))
        for name, data in uploads
        if not is_litter(name)
    ]


def files_below(path: Path) -> list[str]:
    """Names of all files below a folder, without litter, relative to it, sorted.

    Links to folders are followed, but no folder is entered twice.

    Raises:
        BadDataset: `path` is no folder that can be read.
    """
    try:
        next(path.iterdir(), None)
    except OSError as error:
        raise BadDataset(
            f"Expected a folder of images at {str(path)!r}. Received: {error.strerror}. "
            "Check the path and that this program may read it."
        ) from error
    return sorted(file for file in _walk(path) if not is_litter(file))


def _walk(path: Path) -> Iterator[str]:
    entered: set[str] = set()
    for folder, inside, files in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            inside.clear()
            continue
        entered.add(real)
        yield from ((Path(folder) / file).relative_to(path).as_posix() for file in files)


def _from_file(path: Path, file: str, limits: Limits) -> Incoming:
    said = os.fsencode(file).decode("utf-8", "replace")  # a name may hold bytes that are no text
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # a link to nowhere: reading it gives the reason
    return Incoming(said, functools.partial(read_bytes, path, said, limits), size)


# Folders on the server that may be named by their path: only those that the settings allow.


def from_server_folder(text: str, settings: Settings) -> list[Incoming]:
    """Every file below a folder that a person names.

    Args:
        text: an absolute path, or one relative to the first allowed folder.
        settings: `server_folders` are the allowed ones.

    Returns:
        The files; links that lead out of the allowed folders as refusals.

    Raises:
        BadDataset: nothing is allowed, or not this.
    """
    if not settings.server_folders:
        raise BadDataset(
            "Expected TLCORE_SERVER_FOLDERS to name folders that may be read. Received none. "
            "Set it where the server is started."
        )
    path = _resolved(settings.server_folders[0] / Path(text.strip() or ".").expanduser())
    if not _allowed(path, settings):
        allowed = ", ".join(map(str, settings.server_folders))
        raise BadDataset(f"Expected a folder inside {allowed}. Received {text.strip()!r}.")
    return [
        item
        if _allowed(_resolved(path / item.file), settings)
        else refused(item.file, "Expected a file. Received a link that leads out of the folder.")
        for item in from_folder(path, settings.limits)
    ]


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, or a zero byte
        raise BadDataset(f"Expected a path. Received: {error}.") from error


def _allowed(path: Path, settings: Settings) -> bool:
    return any(path.is_relative_to(_resolved(root)) for root in settings.server_folders)
