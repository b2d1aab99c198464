"""File locks that say who is alive and whose turn it is.

``flock`` belongs to the open file, is inherited by a child that keeps it open, and is free the
moment its last holder is gone, however it went: no process id has to be trusted.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL = 0.5  # s between two looks while waiting for a turn
GLANCE = 0.2  # s within which whoever only looks whether a lock is held has let go of it


def hold(path: Path, *, patience: float = 0.0) -> int:
    """Create and lock a file; return its descriptor, which holds the lock until closed.

    Args:
        path: in a folder that is there.
        patience: seconds to try again in.

    Raises:
        BlockingIOError: another process holds it.
        FileNotFoundError: the folder is gone.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end:
                time.sleep(GLANCE / 10)
                continue
            os.close(descriptor)
            raise
        return descriptor


def held(path: Path) -> bool:
    """Whether some process holds the lock on that file; False where it cannot be opened."""
    with suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def turn(
    folder: Path, places: int, *, may_go: Callable[[], bool], given_up: Callable[[], bool]
) -> Iterator[bool]:
    """Wait until one of ``places`` is free and ``may_go()`` holds; keep the place meanwhile.

    Yields:
        Whether there is a place: False once ``given_up()`` holds before the turn came.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = None
    while descriptor is None and not given_up():
        if may_go():
            descriptor = _free_place(folder, places)
        if descriptor is None:
            time.sleep(POLL)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _free_place(folder: Path, places: int) -> int | None:
    for place in range(places):
        with suppress(BlockingIOError):
            return hold(folder / f"{place}.lock")
    return None
