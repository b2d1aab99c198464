"""Where files come from: a folder, uploads, a folder on the server. A zip is in ``archive``.

Each source gives a list of ``Incoming``, of every file that is there: ``layout`` counts what is
left out. Names are composed (NFC), whatever the system that wrote them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from tlcore.datasets.archive import (
    incoming_from_one_of_several,
    is_archive,
    put_loose_in_folder,
)
from tlcore.datasets.dataset import UNLABELLED, Dataset, Incoming, Sample
from tlcore.datasets.image_io import has_image_ending, read_bytes
from tlcore.datasets.layout import (
    EXPECTED_LAYOUT,
    Layout,
    ListedFile,
    normal_name,
    read_layout,
)
from tlcore.datasets.layout_tables import TABLE_BYTES, has_table_ending
from tlcore.errors import BadDataset, BadImage
from tlcore.settings import Limits, Settings


def read_folder(path: Path) -> Dataset:
    """Read a folder of class folders as a dataset in place; nothing is copied or decoded.

    Args:
        path: holds class folders, or train/, val/ and test/ with class folders.

    Returns:
        A dataset named like the folder; its samples have no sha256 yet.

    Raises:
        BadDataset: no folder, or no image with an image's ending in it has a label.
    """
    path = path.expanduser().resolve()
    layout = read_folder_layout(path)
    samples = tuple(
        Sample(normal_name(file.name), path / file.name, "", place.label, place.split)
        for file, place in zip(layout.files, layout.placements, strict=True)
        if not place.left_out and has_image_ending(file.name)
    )
    if all(sample.label == UNLABELLED for sample in samples):
        others = [f" Imported as a dataset: {other.title}" for other in layout.alternatives[:1]]
        raise BadDataset(
            f"Expected {EXPECTED_LAYOUT}. Received {str(path)!r} without any.{''.join(others)}"
        )
    return Dataset(path.name, samples, str(path))


def read_folder_layout(path: Path) -> Layout:
    """Read the layout of a folder in place, as ``read_folder`` uses it.

    Raises:
        BadDataset: ``path`` is no folder that can be read.
    """
    limits = Limits()
    return read_layout(
        ListedFile(file, _table_content(_from_file(path / file, file, limits)))
        if has_table_ending(file)
        else ListedFile(file)
        for file in list_files(path)
    )


def unused_files(path: Path) -> list[str]:
    """List the files that may be images and that ``read_folder`` leaves out for their ending."""
    layout = read_folder_layout(path.expanduser().resolve())
    return [
        normal_name(file.name)
        for file, place in zip(layout.files, layout.placements, strict=True)
        if not (place.left_out or has_image_ending(file.name))
    ]


def list_incoming(incoming: Iterable[Incoming]) -> list[ListedFile]:
    """List incoming files for ``read_layout``; of them only small tables are read."""
    return [ListedFile(item.file, _table_content(item)) for item in incoming]


def _table_content(item: Incoming) -> bytes | None:
    if not has_table_ending(item.file) or item.size > TABLE_BYTES:
        return None
    try:
        return item.read()
    except (BadImage, OSError):
        return None  # it is left out as any other file


def incoming_from_folder(path: Path, limits: Limits | None = None) -> list[Incoming]:
    """Return every file below a folder, named relative to it, sorted by name.

    Archives in it are opened, as those in an archive are; one that cannot be read is refused.

    Raises:
        BadDataset: ``path`` is no folder that can be read.
    """
    limits = limits or Limits()
    return [item for file in list_files(path) for item in _open_file(path / file, file, limits)]


def _open_file(path: Path, file: str, limits: Limits) -> list[Incoming]:
    """Return a file of a folder, or those of an archive."""
    if not is_archive(file):
        return [_from_file(path, file, limits)]
    try:
        return incoming_from_one_of_several(path, normal_name(file), limits)
    except BadDataset as error:
        reason = str(error).removeprefix(f"{path.name}: ")
        return [Incoming.refused(normal_name(file), reason, path.stat().st_size)]


def incoming_from_uploads(uploads: Iterable[tuple[str, bytes]]) -> list[Incoming]:
    """Return files that a person has sent: (name, bytes); an upload of a folder names folders."""
    return [Incoming(normal_name(name), partial(bytes, data), len(data)) for name, data in uploads]


def incoming_from_server_folder(text: str, settings: Settings) -> list[Incoming]:
    """Return every file below a folder of this machine that a person names.

    Args:
        text: an absolute path, or one relative to the first allowed folder.
        settings: ``server_folders`` are the allowed ones.

    Returns:
        The files; links that lead out of the allowed folders as refusals.

    Raises:
        BadDataset: no folder is allowed, or not this one.
    """
    if not settings.server_folders:
        raise BadDataset(
            "No folder of the server may be read. Set TLCORE_SERVER_FOLDERS where the server is "
            "started."
        )
    path = _resolve(settings.server_folders[0] / Path(text.strip() or ".").expanduser())
    if not _is_allowed(path, settings):
        allowed = ", ".join(map(str, settings.server_folders))
        raise BadDataset(f"Expected a folder inside {allowed}. Received {text.strip()!r}.")
    reason = "Expected a file. Received a link that leads out of the folder."
    incoming = [
        item
        if _is_allowed(_resolve(path / item.file), settings)
        else Incoming.refused(item.file, reason)
        for item in incoming_from_folder(path, settings.limits)
    ]
    return put_loose_in_folder(incoming, path.name)


def list_files(path: Path) -> list[str]:
    """List the names of all files below a folder, relative to it, sorted.

    Links to folders are followed, but no folder is entered twice.

    Raises:
        BadDataset: ``path`` is no folder that can be read.
    """
    try:
        next(path.iterdir(), None)
    except OSError as error:
        raise BadDataset(
            f"Expected a folder of images at {str(path)!r}. Received: {error.strerror}. "
            "Check the path and that this program may read it."
        ) from error
    return sorted(_files_below(path))


def _files_below(path: Path) -> Iterator[str]:
    entered: set[str] = set()
    for folder, inside, files in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            inside.clear()
            continue
        entered.add(real)
        yield from ((Path(folder) / file).relative_to(path).as_posix() for file in files)


def _from_file(path: Path, file: str, limits: Limits) -> Incoming:
    text = os.fsencode(file).decode("utf-8", "replace")  # a name may hold bytes that are no text
    name = normal_name(text)
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # a link to nowhere: reading it gives the reason
    return Incoming(name, partial(read_bytes, path, name, limits), size)


def _resolve(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, or a zero byte
        raise BadDataset(f"Expected a path. Received: {error}.") from error


def _is_allowed(path: Path, settings: Settings) -> bool:
    return any(path.is_relative_to(_resolve(root)) for root in settings.server_folders)
