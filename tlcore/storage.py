"""Files on disk: atomic writes, typed JSON, safe paths, locks, work folders, errors of the disk.

Every JSON file of a workspace is read by ``read_json``, which checks it against a dataclass. A file
that is damaged, unreadable or written by a newer version raises ``DamagedFile``, which names the
file and what is wrong with it; callers decide what still works without it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tlcore.errors import DamagedFile, StorageError, UnsafePath
from tlcore.text import shorten

_SYNCED_AT_ONCE = 16  # files
_POLL = 0.02  # s between two attempts to lock a file
_LOCK, _LOCKED = "lock", ".lock"  # the lock files of a work folder or a dataset, and of its parent
_WORK, _TRASH = ".import-", ".trash-"
T = TypeVar("T")
D = TypeVar("D")

_CAUSES = {
    errno.ENOSPC: "The disk is full. Free some space and try again",
    errno.EDQUOT: "The disk quota is used up. Free some space and try again",
    errno.EFBIG: "The file is larger than this disk, or a limit of the system, allows. Write it "
    "elsewhere or raise the limit",
    errno.EROFS: "The disk is read-only. Make it writable and try again",
    errno.EACCES: "Permission is denied. Allow access and try again",
    errno.EPERM: "Permission is denied. Allow access and try again",
    errno.EIO: "The disk reports a read or write error. Check it and try again",
}


def write_file(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Replace a file in one step: a reader sees the old content or the new one.

    Args:
        path: a regular file, or nothing yet, in a folder that exists.
        data: the whole content.
        durable: survive a power cut as well (fsync of the file and its folder): for the work of
            a person, not for what can be computed again.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}")  # noqa: PTH118 - by the thousand
    try:
        with open(temporary, "wb") as file:  # noqa: PTH123
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - by the thousand
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        sync_file(Path(folder))


def write_output(path: Path, data: bytes) -> None:
    """Write a file of a person's choice, whole or not at all.

    Raises:
        StorageError: it cannot be written; what was there before is still there.
    """
    check_output(path)
    with explained_os_errors(f"{path.name} could not be written"):
        write_file(path, data)


def check_output(path: Path) -> None:
    """Refuse a place where no file of a person's choice can be written, before it is made.

    A file that is there already may be replaced; a device or a pipe must not be, and a folder
    cannot be.

    Raises:
        StorageError: it is no regular file, or its folder is not there or may not be written.
    """
    shown = shorten(repr(str(path)))
    with explained_os_errors(f"The file {shown} cannot be written"):
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "a device or a pipe"
            raise StorageError(
                f"Expected the name of a file to write. Received {shown}, which is {what}. Give "
                "the name of a file."
            )
        if not path.parent.is_dir():
            raise StorageError(
                f"Expected a file in a folder that is there. Received {shown}: there is no folder "
                f"{shorten(repr(str(path.parent)))}. Make it, or give another name."
            )
        if not os.access(path.parent, os.W_OK):
            is_read_only = os.statvfs(path.parent).f_flag & os.ST_RDONLY
            code = errno.EROFS if is_read_only else errno.EACCES
            raise OSError(code, os.strerror(code), str(path.parent))


def sync_files(folder: Path, names: Iterable[str]) -> None:
    """Make files of a folder, and their names, survive a power cut.

    Many at once: the disk gathers them, a thousand take a tenth of the time of one after another.
    """
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(sync_file, (folder / name for name in names)))
    sync_file(folder)


def sync_file(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write a JSON file as ``write_file`` does, durable by default."""
    write_file(path, json.dumps(value, indent=1).encode("ascii"), durable=durable)


def read_json(path: Path, kind: type[T], *, newest: int | None = None) -> T:
    """Read a JSON file into a type: a dataclass, or any type of msgspec.

    Keys that the type does not have are ignored.

    Args:
        path: the file.
        kind: what it holds.
        newest: the highest number of its key "version" that this code can read; None where the
            file has no such key.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFile: it cannot be read, is no JSON, has other fields, or is of a newer version.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedFile(path, error.strerror or str(error)) from error
    return decode_json(data, kind, path, newest=newest)


def read_json_or(path: Path, kind: type[T], default: D, *, newest: int | None = None) -> T | D:
    """Do what ``read_json`` does; return the default where there is no file."""
    try:
        return read_json(path, kind, newest=newest)
    except FileNotFoundError:
        return default


class _Versioned(msgspec.Struct):
    version: int = 1


def decode_json(data: bytes, kind: type[T], path: Path, *, newest: int | None = None) -> T:
    """Decode JSON that was read from a file. See ``read_json``."""
    try:
        data.decode()  # msgspec does not look at the names of keys that it ignores
        if newest is not None and b'"version"' in data:  # most files have none: parsed once
            version = _decode(data, _Versioned).version
            if version > newest:
                known = f"it has version {version}, and this program reads up to version {newest}"
                raise DamagedFile(path, f"{known}. Update the program")
        return _decode(data, kind)
    except RecursionError as error:
        raise DamagedFile(path, "it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise DamagedFile(path, "it is no UTF-8 text") from error
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        reason = "it is empty" if not data.strip() else str(error)
        raise DamagedFile(path, reason) from error


def _decode(data: bytes, kind: type[T]) -> T:
    """Decode what Python's json writes: also NaN, infinity, and half of a surrogate pair, which
    stands in the name of a file that is no UTF-8. JSON has none of them, and msgspec neither."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        try:
            value = json.loads(data)
        except ValueError:
            raise error from None
        return msgspec.convert(value, kind)


FileState = tuple[int, ...]


def file_state(path: Path) -> FileState:
    """Return a value that changes whenever a file is replaced: inode, time and size; cheap."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_ino, status.st_mtime_ns, status.st_size


def child_path(parent: Path, name: str) -> Path:
    """Return the path of a direct, visible child of a folder.

    Args:
        parent: the folder.
        name: from an address, an option or a file; never trusted.

    Raises:
        UnsafePath: the name is empty, hidden, too long, or leads somewhere else.
    """
    unsafe = not name or name.startswith(".") or "\0" in name or Path(name).name != name
    if unsafe or len(name.encode("utf-8", "surrogatepass")) > 255:
        raise UnsafePath(
            f"Expected the name of a folder in {parent.name}. Received {shorten(repr(name))}."
        )
    return parent / name


def holds_any(folder: Path, names: Iterable[str]) -> bool:
    """Whether a folder has one of these files; True for a folder that may not be read."""
    try:
        return any((folder / name).exists() for name in names)
    except PermissionError:
        return True


def is_full(error: OSError) -> bool:
    """Whether the disk, or the share of it that may be used, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_disk_error(error: OSError) -> bool:
    """Whether the disk (full, read-only, failing, not allowed) is the cause of an error."""
    return error.errno in _CAUSES


def explain_os_error(error: OSError) -> str:
    """Return what an error of the system means and what to do, in words for a person."""
    cause = _CAUSES.get(error.errno or 0, f"The system reports: {error.strerror or error}")
    where = f" ({error.filename})" if error.filename else ""
    return f"{cause}{where}."


@contextmanager
def explained_os_errors(what: str) -> Iterator[None]:
    """Turn OSError of a full, read-only or failing disk into ``StorageError``.

    Args:
        what: the beginning of the message: "The dataset could not be saved".
    """
    try:
        yield
    except OSError as error:
        raise StorageError(f"{what}. {explain_os_error(error)}") from error


def acquire_lock(path: Path, *, timeout: float | None = 0.0) -> int:
    """Lock a file for this process.

    The kernel frees the lock (``flock``) when the last process that has the file open ends, however
    it ends, and a child process can inherit it: no process id has to be trusted.

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
    end = time.monotonic() + (timeout or 0)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if timeout is None else fcntl.LOCK_NB))
                return descriptor
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise
            time.sleep(_POLL)
    except BaseException:
        os.close(descriptor)
        raise


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


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """Create a hidden, locked folder in ``parent`` and remove it after the block.

    A folder whose lock is free was left behind by a process that is gone. So that no other process
    sees a work folder before it is locked, folders are created, renamed and swept under one lock
    of their parent folder. A folder that is renamed within the block (``publish_folder``) stays
    under its new name.

    Raises:
        StorageError: nothing can be written there.
    """
    folder = parent / f"{_WORK}{secrets.token_hex(8)}"
    with ExitStack() as stack:
        with explained_os_errors(f"Nothing can be written below {str(parent)!r}"):
            parent.mkdir(parents=True, exist_ok=True)
            with lock_file(parent / _LOCKED):
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
    with lock_file(new.parent / _LOCKED):
        if new.exists():
            return False
        folder.rename(new)
    sync_file(new.parent)
    return True


def discard_folder(folder: Path) -> None:
    """Remove a folder: it disappears at once; its files now, or with ``remove_leftovers``."""
    trash = folder.with_name(f"{_TRASH}{secrets.token_hex(8)}")
    folder.rename(trash)
    sync_file(folder.parent)
    shutil.rmtree(trash, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove the work folders that ended processes left in ``parent``."""
    if not parent.is_dir():
        return
    with lock_file(parent / _LOCKED):
        for folder in [p for p in parent.iterdir() if p.name.startswith((_WORK, _TRASH))]:
            with suppress(OSError), lock_file(folder / _LOCK, timeout=0) as is_abandoned:
                if is_abandoned:
                    shutil.rmtree(folder, ignore_errors=True)
