"""How much lies in the feature cache, and what goes when it is too much.

A shelf is open as long as somebody holds its file "in-use" locked. Nothing here asks what a shelf
holds.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import mmap
import os
import shutil
import time
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tlcore.errors import DamagedFile
from tlcore.models.predictions import Floats as Floats
from tlcore.storage import read_json, write_json
from tlcore.training.feature_keys import ROW_ID, FeatureKey


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


# One shelf of the feature cache: float32 values of one shape, found by row id, on disk.
#
# A shelf is a folder with three files. ``values`` holds the rows one behind the other and is
# memory-mapped, so that a set larger than memory can be trained on; ``ids`` holds an entry for
# each row, in the same order: its id and the CRC-32 of its values; ``key.json`` says what they
# are. Rows are appended: first the values, then, once these are on disk, the entries. Whatever
# ends the process in between leaves values without an entry, which the next writer writes over; a
# half entry cannot be found. One lock lets one writer in at a time, another says that somebody
# reads: rows are taken out (``room``) only where nobody else does.
#
# Nothing here is worth a failed run. A row whose values do not have their checksum any more is
# not found, so that it is computed and appended again, and the last row of an id is the one that
# counts; what is behind the end of the shorter of the two files is written over.
#
# Values stay float32: half the bytes would cost the equality with an uncached training.


ENTRY = ROW_ID + 4  # bytes in ``ids`` for each row: its id, and the checksum of its values
MISSING = -1  # the row of an id that is not here
MOVED = 16 * 2**20  # bytes of values moved at a time
PATIENCE = 2.0  # s to wait for somebody who only looks something up
_log = logging.getLogger(__name__)
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
RESIDENT = 256 * 2**20  # bytes gathered before the pages read so far are let go of


class FeatureStore:
    """An open shelf. Values that another process adds meanwhile are seen after ``refresh``."""

    def __init__(self, root: Path, key: FeatureKey, shape: tuple[int, ...]) -> None:
        """Open or make the shelf of ``key`` below ``root``, for values of ``shape``."""
        self.folder = root / key.name
        self.shape = shape
        self.row_bytes = int(np.prod(shape)) * 4  # of one value
        self._is_damaged = False  # in what was looked at so far
        self._in_use = share(self.folder)
        self._rows: dict[bytes, int] = {}  # in the order of the file: the oldest first
        self._sums: list[int] = []  # of each row
        self._checked: set[int] = set()  # rows whose values have their checksum
        self._values: Floats = np.zeros((0, *shape), np.float32)
        self._map: mmap.mmap | None = None
        self._gathered = 0
        try:
            if shape_of(root, key) != shape:
                write_json(self.folder / "key.json", _about(key, shape), durable=False)
            self.refresh()
        except OSError as error:
            self._begin_anew(error)
            write_json(self.folder / "key.json", _about(key, shape), durable=False)

    def __len__(self) -> int:
        return len(self._rows)

    def bytes_of(self, count: int) -> int:
        """Return what so many values take on disk, with their ids."""
        return count * (self.row_bytes + ENTRY)

    def refresh(self) -> None:
        """Take notice of what has been added since."""
        before = len(self._values)
        added = _read_from(self.folder / "ids", before * ENTRY)
        entries = before + len(added) // ENTRY  # a torn last one does not count
        count = min(entries, _size_of_file(self.folder / "values") // self.row_bytes)
        if count < entries:
            self._note_damage()
        if count <= before:
            return
        for at in range(0, (count - before) * ENTRY, ENTRY):
            each = added[at : at + ROW_ID]
            self._rows.pop(each, None)  # an earlier row of this id was damaged
            self._rows[each] = len(self._sums)
            self._sums.append(int.from_bytes(added[at + ROW_ID : at + ENTRY], "little"))
        with (self.folder / "values").open("rb") as file:
            self._map = mmap.mmap(file.fileno(), count * self.row_bytes, prot=mmap.PROT_READ)
        self._values = np.frombuffer(self._map, np.float32).reshape(count, *self.shape)

    def find(self, ids: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """Return the row of each id, MISSING where there is none or its values are damaged."""
        for each in ids:
            row = self._rows.get(each, MISSING)
            if row != MISSING and row not in self._checked:
                self._check(each, row)
        return np.array([self._rows.get(each, MISSING) for each in ids], np.int64)

    def gather(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Return a copy of these rows, (n, *shape)."""
        here(rows)
        return self.take(rows)

    def take(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Do what ``gather`` does, for rows that have been looked at (``here``)."""
        values = self._values.take(rows, axis=0)
        self._let_go(values.nbytes)
        return values

    def _check(self, each: bytes, row: int) -> None:
        """Hold a row's values against their checksum; a row that fails is not found any more."""
        self._let_go(self.row_bytes)
        if zlib.crc32(self._values[row]) == self._sums[row]:
            self._checked.add(row)
        else:
            del self._rows[each]
            self._note_damage()

    def _note_damage(self) -> None:
        if not self._is_damaged:
            self._is_damaged = True
            log_damage(self.folder)

    def _let_go(self, read: int) -> None:
        """Count bytes read, and now and then give the pages behind them back to the system."""
        self._gathered += read
        if self._gathered > RESIDENT and self._values.nbytes > RESIDENT and self._map:
            self._gathered = 0
            self._map.madvise(mmap.MADV_DONTNEED)  # they stay in the system's cache, not in ours

    def append(self, ids: Sequence[bytes], values: Floats) -> None:
        """Keep these values, float32 (n, *shape); those whose id is here stay as they are."""
        if values.shape != (len(ids), *self.shape):
            raise ValueError(f"Expected {(len(ids), *self.shape)}. Received {values.shape}.")
        with _writing(self.folder):
            self.refresh()
            new = [place for place, each in enumerate(ids) if each not in self._rows]
            if new:
                behind = len(self._values)
                rows = np.ascontiguousarray(values[new])
                _write(self.folder / "values", behind * self.row_bytes, rows.data)
                sums = [zlib.crc32(row) for row in rows]
                entries = _entries([ids[place] for place in new], sums)
                _write(self.folder / "ids", behind * ENTRY, entries)
                self.refresh()

    def drop(self, size: int, keep: Collection[bytes]) -> int:
        """Take the oldest values out until ``size`` bytes are free; those of ``keep`` stay.

        What stays moves to the front within the file, so no further room is needed. The ids are
        gone meanwhile: whatever ends the process leaves an empty shelf, not a wrong one. The
        caller holds ``counting``, so that nobody clears the shelf away meanwhile.

        Returns:
            The bytes set free: 0 where another process has the shelf open, less than ``size``
            where no more may go.
        """
        try:
            if not self._alone():
                return 0
            self.refresh()
            leaving = self._oldest(size, keep)
            if leaving:
                self._rewrite([(e, row) for e, row in self._rows.items() if row not in leaving])
            return self.bytes_of(len(leaving))
        finally:  # again for reading, or for the attempt, which gave that up
            fcntl.flock(self._in_use, fcntl.LOCK_SH)

    def close(self) -> None:
        os.close(self._in_use)

    def _alone(self) -> bool:
        """Whether nobody else has the shelf open; then nobody else can open it either."""
        end = time.monotonic() + PATIENCE
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(self._in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() > end:
                return False
            time.sleep(0.1)

    def _oldest(self, size: int, keep: Collection[bytes]) -> set[int]:
        """Return the rows that may go, no more than it takes."""
        wanted = -(-size // self.bytes_of(1))
        may_go = (row for each, row in self._rows.items() if each not in keep)
        return {row for _, row in zip(range(wanted), may_go, strict=False)}

    def _rewrite(self, staying: Sequence[tuple[bytes, int]]) -> None:
        _write(self.folder / "ids", 0, b"")
        self._move_up([row for _, row in staying])
        sums = [self._sums[row] for _, row in staying]
        _write(self.folder / "ids", 0, _entries([each for each, _ in staying], sums))
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self._rows, self._sums, self._checked = {}, [], set()
        self._values = self._values[:0].copy()

    def _begin_anew(self, error: OSError) -> None:
        """Throw away files that cannot be read; raise where the disk or somebody else is why."""
        if error.errno in _OF_THE_DISK or not self._alone():
            raise error
        for name in ("ids", "values", "key.json"):
            path = self.folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
        fcntl.flock(self._in_use, fcntl.LOCK_SH)
        self._note_damage()
        self._forget()

    def _move_up(self, rows: Sequence[int]) -> None:
        """Put these rows, in rising order, one behind the other at the front of the file."""
        step = max(1, MOVED // self.row_bytes)
        for first in range(0, len(rows), step):
            moved = self._values[rows[first : first + step]]  # a copy
            _write(self.folder / "values", first * self.row_bytes, moved.data, last=False)
        os.truncate(self.folder / "values", len(rows) * self.row_bytes)
        _write(self.folder / "values", len(rows) * self.row_bytes, b"")


def log_damage(folder: Path) -> None:
    """Say in the log of the run, or of whoever else asks, that a shelf was damaged."""
    words = "The feature cache %s was damaged. What is damaged is thrown away and computed again."
    _log.warning(words, folder.name)


def here(rows: npt.NDArray[np.int64]) -> None:
    """Refuse a missing row: NumPy would count from the end, to another image's values."""
    if rows.size and rows.min() < 0:
        raise ValueError("Expected rows that are here. Received a missing one.")


@dataclass(frozen=True)
class _About:
    """What key.json holds."""

    key: dict[str, str | int]
    shape: tuple[int, ...]


def _about(key: FeatureKey, shape: tuple[int, ...]) -> dict[str, object]:
    return {"key": json.loads(key.text), "shape": shape}


def shape_of(root: Path, key: FeatureKey) -> tuple[int, ...] | None:
    """Return the shape of a shelf's values; None where there is no such shelf, or nobody can
    tell any more."""
    try:
        about = read_json(root / key.name / "key.json", _About)
    except (FileNotFoundError, DamagedFile):
        return None
    is_whole = about.key == json.loads(key.text) and all(side > 0 for side in about.shape)
    return about.shape if is_whole else None


def _entries(ids: Sequence[bytes], sums: Sequence[int]) -> bytes:
    pairs = zip(ids, sums, strict=True)
    return b"".join(each + check.to_bytes(4, "little") for each, check in pairs)


def _size_of_file(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _read_from(path: Path, at: int) -> bytes:
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(at)
        return file.read()
    return b""


def _write(path: Path, at: int, data: bytes | memoryview, *, last: bool = True) -> None:
    """Write at a place, and see to it that it is on disk; what is behind it goes if ``last``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.seek(at)
        file.write(data)
        file.flush()
        if last:
            file.truncate()
            _on_disk(file.fileno())


_on_disk = getattr(os, "fdatasync", os.fsync)  # macOS has only the second


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    with (folder / "writing").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
