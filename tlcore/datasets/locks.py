"""Folders that one process at a time works in, told alive from dead by a file lock.

The kernel frees a lock when its process ends in whatever way, so that a folder whose lock is free
belongs to nobody. Between making a folder and locking it nobody may judge it: both the making and
the judging happen under a second lock, of the folder that surrounds them, held for an instant.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from tlcore.errors import BadDataset, StorageError
from tlcore.storage import explain_os_error, explained_os_errors, is_disk_error, sync_folder

_LOCK = "lock"
_WORK, _TRASH = ".import-", ".trash-"


@contextlib.contextmanager
def hold(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file at `path`; gives False, without waiting, if `wait` is off and it is held.

    The file is made where it is missing, its folder is not.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield _locked(handle, wait)
    finally:
        os.close(handle)  # which frees the lock


@contextlib.contextmanager
def lock_dataset(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a stored set, to change it.

    Raises:
        BadDataset: it has just been deleted or renamed.
        StorageError: it may not be written, or there is no room.
    """
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(hold(folder / _LOCK, wait=wait))
        except OSError as error:
            if is_disk_error(error):
                raise StorageError(
                    f"The dataset {folder.name!r} cannot be changed. {explain_os_error(error)}"
                ) from error
            raise BadDataset(
                f"Expected a dataset {folder.name!r} that can be changed. Received: "
                f"{error.strerror}. Reload the list of sets."
            ) from error
        yield held


@contextlib.contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A new hidden folder inside `parent`, held while the block runs and removed after it.

    Renamed within the block, it stays under its new name.

    Raises:
        StorageError: nothing can be written there.
    """
    place = parent / f"{_WORK}{secrets.token_hex(8)}"
    with contextlib.ExitStack() as stack:
        with _writing(parent), _judging(parent):
            place.mkdir()
            stack.enter_context(hold(place / _LOCK))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def alone(parent: Path, what: str) -> Iterator[None]:
    """Wait until nobody else is within a block for the same `what` below `parent`.

    Raises:
        StorageError: nothing can be written there.
    """
    with contextlib.ExitStack() as stack:
        with _writing(parent):
            stack.enter_context(hold(parent / f".{what}.lock"))
        yield


def publish(folder: Path, new: Path) -> bool:
    """Give a folder another name beside it, unless something has that name; say whether it did.

    Nobody else who publishes comes between the looking and the renaming, and the new name
    survives a power cut.

    Raises:
        OSError: the system refuses.
    """
    with _judging(new.parent):
        if new.exists():
            return False
        folder.rename(new)
    sync_folder(new.parent)
    return True


def discard(folder: Path) -> None:
    """Remove a folder: gone from sight at once, and from disk now or by a later `sweep`."""
    trash = folder.with_name(f"{_TRASH}{secrets.token_hex(8)}")
    folder.rename(trash)
    sync_folder(folder.parent)
    shutil.rmtree(trash, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove what dead processes left behind in `parent`; what is alive is not touched."""
    if not parent.is_dir():
        return
    with _judging(parent):
        places = [p for p in parent.iterdir() if p.name.startswith((_WORK, _TRASH))]
        for place in places:
            with contextlib.suppress(OSError), hold(place / _LOCK, wait=False) as is_dead:
                if is_dead:
                    shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _writing(parent: Path) -> Iterator[None]:
    """Make the folder; errors of the system become one that says where writing failed."""
    with explained_os_errors(f"Nothing can be written below {str(parent)!r}"):
        parent.mkdir(parents=True, exist_ok=True)
        yield


def _judging(parent: Path) -> contextlib.AbstractContextManager[bool]:
    return hold(parent / ".lock")


def _locked(handle: int, wait: bool) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
