"""Files on disk: atomic and durable writes, typed JSON, safe paths, and what a full disk means.

Every JSON file of a workspace is read by ``read_json``, which checks it against a dataclass. A file
that is damaged, unreadable or written by a newer version raises ``DamagedFile``, which names the
file and what is wrong with it; callers decide what still works without it.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tlcore.errors import DamagedFile, StorageError, UnsafePath
from tlcore.text import shorten

_SYNCED_AT_ONCE = 16  # files
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
        sync_folder(Path(folder))


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


def sync_folder(folder: Path) -> None:
    """Make names in a folder (files created, renamed, removed) survive a power cut."""
    sync_file(folder)


def sync_files(folder: Path, names: Iterable[str]) -> None:
    """Make files of a folder, and their names, survive a power cut.

    Many at once: the disk gathers them, a thousand take a tenth of the time of one after another.
    """
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(sync_file, (folder / name for name in names)))
    sync_folder(folder)


def sync_file(path: Path) -> None:
    """Make the content of a file survive a power cut."""
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
    return decode_json(_read_bytes(path), kind, path, newest=newest)


def read_json_or(path: Path, kind: type[T], default: D, *, newest: int | None = None) -> T | D:
    """Do what ``read_json`` does; return the default where there is no file."""
    try:
        return read_json(path, kind, newest=newest)
    except FileNotFoundError:
        return default


def decode_json(data: bytes, kind: type[T], path: Path, *, newest: int | None = None) -> T:
    """Decode JSON that was read from a file. See ``read_json``."""
    try:
        data.decode()  # msgspec does not look at the names of keys that it ignores
        if newest is not None and b'"version"' in data:  # most files have none: parsed once
            _check_version(data, newest, path)
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


class _Versioned(msgspec.Struct):
    version: int = 1


def _check_version(data: bytes, newest: int, path: Path) -> None:
    version = _decode(data, _Versioned).version
    if version > newest:
        raise DamagedFile(
            path,
            f"it has version {version}, and this program reads up to version {newest}. Update "
            "the program",
        )


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedFile(path, error.strerror or str(error)) from error


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
