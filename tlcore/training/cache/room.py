"""How much lies in the feature cache, and what goes when it is too much.

A shelf is open as long as somebody holds its file "in-use" locked. Nothing here asks what a shelf
holds.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def make_room(root: Path, allowed: int) -> None:
    """Clear away the shelves used longest ago until ``allowed`` bytes hold the rest.

    A shelf that some process has open is left alone.
    """
    total = bytes_in(root)
    for folder in sorted((path.parent for path in root.glob("*/in-use")), key=_last_used):
        if total <= allowed:
            return
        size = size_of(folder)
        if _clear(folder):
            total -= size


def bytes_in(root: Path) -> int:
    """Return the bytes of all shelves."""
    return sum(size_of(path.parent) for path in root.glob("*/in-use"))


def size_of(folder: Path) -> int:
    """Return the bytes of a shelf; what somebody clears away meanwhile counts nothing."""
    total = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total


@contextmanager
def counting(root: Path) -> Iterator[None]:
    """Let one process at a time count the bytes of the shelves, take away and add to them."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".counting").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _last_used(folder: Path) -> float:
    with suppress(FileNotFoundError):
        return (folder / "in-use").stat().st_mtime
    return 0.0


def share(folder: Path) -> int:
    """Hold the shelf open, against ``make_room``; it may be cleared away while we knock.

    Returns:
        The descriptor that holds it until it is closed.
    """
    while True:
        with suppress(FileExistsError):  # exist_ok raises where it is cleared away in between
            folder.mkdir(parents=True)
        path = folder / "in-use"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if _is_lock_of(descriptor, folder):
            os.utime(descriptor)
            return descriptor
        os.close(descriptor)


def _is_lock_of(descriptor: int, folder: Path) -> bool:
    """Whether that is still the lock file of that shelf."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), (folder / "in-use").stat())
    return False


def _clear(folder: Path) -> bool:
    """Remove a shelf, unless somebody holds it open or has removed it already."""
    with suppress(FileNotFoundError), (folder / "in-use").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if not _is_lock_of(file.fileno(), folder):
            return False
        # The ids go first: what is left of a shelf without them is an empty one. The lock goes
        # last: whoever opens the shelf anew makes another, and then the folder stays.
        (folder / "ids").unlink(missing_ok=True)
        for path in folder.iterdir():
            if path.name != "in-use":
                path.unlink(missing_ok=True)
        (folder / "in-use").unlink()
        with suppress(OSError):
            folder.rmdir()
        return True
    return False
