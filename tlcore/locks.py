"""File locks, and work folders that show by them whether they are in use.

The kernel frees a lock (``flock``) when the last process that has its file open ends, however it
ends, and a child process can inherit it: no process id has to be trusted. A work folder whose lock
is free was left behind by a process that is gone. So that no other process sees a work folder
before it is locked, folders are created, renamed and swept under one lock of their parent folder.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from tlcore.storage import explained_os_errors, sync_folder

_POLL = 0.02  # s between two attempts
_LOCK = "lock"  # the lock file of a work folder or a dataset
_WORK, _TRASH = ".import-", ".trash-"


def acquire_lock(path: Path, *, timeout: float | None = 0.0) -> int:
    """Lock a file for this process.

    Args:
        path: created where it is missing; its folder is not.
        timeout: seconds to wait for another process to release it; None waits without limit.

    Returns:
        The file descriptor that holds the lock until it is closed, here and in every process that
        has inherited it.

    Raises:
        BlockingIOError: another process still holds the lock.
        OSError: the file cannot be created, for example FileNotFoundError without its folder.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _flock(descriptor, timeout)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def lock_file(path: Path, *, timeout: float | None = None) -> Iterator[bool]:
    """Lock a file while the block runs, as ``acquire_lock`` does.

    Yields:
        Whether this process holds the lock: always True without a timeout.
    """
    try:
        descriptor = acquire_lock(path, timeout=timeout)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock of a file; False where it cannot be opened."""
    with suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _flock(descriptor: int, timeout: float | None) -> None:
    if timeout is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
        time.sleep(_POLL)


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """Create a hidden, locked folder in ``parent`` and remove it after the block.

    A folder that is renamed within the block (``publish_folder``) stays under its new name.

    Raises:
        StorageError: nothing can be written there.
    """
    folder = parent / f"{_WORK}{secrets.token_hex(8)}"
    with ExitStack() as stack:
        with explained_os_errors(f"Nothing can be written below {str(parent)!r}"):
            parent.mkdir(parents=True, exist_ok=True)
            with _lock_folder(parent):
                folder.mkdir()
                stack.enter_context(lock_file(folder / _LOCK))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish_folder(folder: Path, new: Path) -> bool:
    """Rename a folder to a sibling name that is free; the rename survives a power cut.

    Returns:
        False, and nothing is changed, where something has that name already.

    Raises:
        OSError: the system refuses.
    """
    with _lock_folder(new.parent):
        if new.exists():
            return False
        folder.rename(new)
    sync_folder(new.parent)
    return True


def discard_folder(folder: Path) -> None:
    """Remove a folder: it disappears at once; its files now, or with ``remove_leftovers``."""
    trash = folder.with_name(f"{_TRASH}{secrets.token_hex(8)}")
    folder.rename(trash)
    sync_folder(folder.parent)
    shutil.rmtree(trash, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove the work folders that ended processes left in ``parent``."""
    if not parent.is_dir():
        return
    with _lock_folder(parent):
        for folder in [p for p in parent.iterdir() if p.name.startswith((_WORK, _TRASH))]:
            with suppress(OSError), lock_file(folder / _LOCK, timeout=0) as is_abandoned:
                if is_abandoned:
                    shutil.rmtree(folder, ignore_errors=True)


def _lock_folder(parent: Path) -> AbstractContextManager[bool]:
    return lock_file(parent / ".lock")
