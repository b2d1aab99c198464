"""One shelf of the feature cache: float32 values of one shape, found by row id, on disk.

A shelf is a folder with three files. ``values`` holds the rows one behind the other and is
memory-mapped, so that a set larger than memory can be trained on; ``ids`` holds the id of each
row, in the same order; ``key.json`` says what they are. Rows are appended: first the values, then,
once these are on disk, the ids. Whatever ends the process in between leaves values without an id,
which the next writer writes over; a half entry cannot be found. One lock lets one writer in at a
time, another says that somebody reads: rows are taken out (``room``) only where nobody else does.

Values stay float32: half the bytes would cost the equality with an uncached training.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tlcore.models.answers import Floats as Floats
from tlcore.storage import write_json
from tlcore.training.cache.keys import ROW_ID, ShelfKey
from tlcore.training.cache.room import make_room as make_room
from tlcore.training.cache.room import share
from tlcore.training.cache.room import size_of as size_of

MISSING = -1  # the row of an id that is not here
MOVED = 16 * 2**20  # bytes of values moved at a time
PATIENCE = 2.0  # s to wait for somebody who only looks something up
RESIDENT = 256 * 2**20  # bytes gathered before the pages read so far are let go of


class Shelf:
    """An open shelf. Values that another process adds meanwhile are seen after ``refresh``."""

    def __init__(self, root: Path, key: ShelfKey, shape: tuple[int, ...]) -> None:
        """Open or make the shelf of ``key`` below ``root``, for values of ``shape``."""
        self.folder = root / key.name
        self.shape = shape
        self.row_bytes = int(np.prod(shape)) * 4  # of one value
        self._in_use = share(self.folder)
        if shape_of(root, key) != shape:
            about = {"key": json.loads(key.text), "shape": shape}
            write_json(self.folder / "key.json", about, durable=False)
        self._rows: dict[bytes, int] = {}  # in the order of the file: the oldest first
        self._values: Floats = np.zeros((0, *shape), np.float32)
        self._map: mmap.mmap | None = None
        self._gathered = 0
        self.refresh()

    def __len__(self) -> int:
        return len(self._rows)

    def bytes_of(self, count: int) -> int:
        """Return what so many values take on disk, with their ids."""
        return count * (self.row_bytes + ROW_ID)

    def refresh(self) -> None:
        """Take notice of what has been added since."""
        added = _read_from(self.folder / "ids", len(self._values) * ROW_ID)
        count = len(self._values) + len(added) // ROW_ID  # a torn last id does not count
        if count == len(self._values):
            return
        for row in range(len(self._values), count):
            at = (row - len(self._values)) * ROW_ID
            self._rows.setdefault(added[at : at + ROW_ID], row)
        with (self.folder / "values").open("rb") as file:
            self._map = mmap.mmap(file.fileno(), count * self.row_bytes, prot=mmap.PROT_READ)
        self._values = np.frombuffer(self._map, np.float32).reshape(count, *self.shape)

    def find(self, ids: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """Return the row of each id, MISSING where there is none."""
        return np.array([self._rows.get(each, MISSING) for each in ids], np.int64)

    def gather(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Return a copy of these rows, (n, *shape)."""
        here(rows)
        return self.take(rows)

    def take(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Do what ``gather`` does, for rows that have been looked at (``here``)."""
        values = self._values.take(rows, axis=0)
        self._gathered += values.nbytes
        if self._gathered > RESIDENT and self._values.nbytes > RESIDENT and self._map:
            self._gathered = 0
            self._map.madvise(mmap.MADV_DONTNEED)  # they stay in the system's cache, not in ours
        return values

    def append(self, ids: Sequence[bytes], values: Floats) -> None:
        """Keep these values, float32 (n, *shape); those whose id is here stay as they are."""
        if values.shape != (len(ids), *self.shape):
            raise ValueError(f"Expected {(len(ids), *self.shape)}. Received {values.shape}.")
        with _writing(self.folder):
            self.refresh()
            new = [place for place, each in enumerate(ids) if each not in self._rows]
            if new:
                behind = len(self._values)
                _write(
                    self.folder / "values",
                    behind * self.row_bytes,
                    np.ascontiguousarray(values[new]).data,
                )
                joined = b"".join(ids[place] for place in new)
                _write(self.folder / "ids", behind * ROW_ID, joined)
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
        _write(self.folder / "ids", 0, b"".join(each for each, _ in staying))
        self._rows, self._values = {}, self._values[:0].copy()
        self.refresh()

    def _move_up(self, rows: Sequence[int]) -> None:
        """Put these rows, in rising order, one behind the other at the front of the file."""
        step = max(1, MOVED // self.row_bytes)
        for first in range(0, len(rows), step):
            moved = self._values[rows[first : first + step]]  # a copy
            _write(self.folder / "values", first * self.row_bytes, moved.data, last=False)
        os.truncate(self.folder / "values", len(rows) * self.row_bytes)
        _write(self.folder / "values", len(rows) * self.row_bytes, b"")


def here(rows: npt.NDArray[np.int64]) -> None:
    """Refuse a missing row: NumPy would count from the end, to another picture's values."""
    if rows.size and rows.min() < 0:
        raise ValueError("Expected rows that are here. Received a missing one.")


def shape_of(root: Path, key: ShelfKey) -> tuple[int, ...] | None:
    """Return the shape of a shelf's values, or None where there is no such shelf."""
    try:
        about = json.loads((root / key.name / "key.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # or half written: its maker is about to tell
        return None
    return tuple(about["shape"])


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
