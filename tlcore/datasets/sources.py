"""Where files come from: a folder, uploads, a zip. Each gives a list of `Incoming`.

Litter of the system is left out quietly; everything else is handed on, so that the import refuses
by name what is no picture.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tlcore.datasets.decode import read_bytes
from tlcore.datasets.incoming import Incoming as Incoming
from tlcore.datasets.incoming import refused as refused
from tlcore.datasets.layout import is_litter
from tlcore.datasets.zips import from_zip as from_zip
from tlcore.errors import BadDataset
from tlcore.settings import Limits


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
            f"Expected a folder of pictures at {str(path)!r}. Received: {error.strerror}. "
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
