"""One shelf of the feature cache: float32 values of one shape, found by row id, on disk.

A shelf is a folder with three files. ``values`` holds the rows one behind the other and is
memory-mapped, so that a set larger than memory can be trained on; ``ids`` holds the id of each
row, in the same order; ``key.json`` says what they are. Rows are only ever appended: first the
values, then, once these are on disk, the ids. Whatever ends the process in between leaves values
without an id, which the next writer writes over; a half entry cannot be found. One lock lets one
writer in at a time, another says that somebody reads, so that nobody clears the shelf away.

Values stay float32: half the bytes would cost the equality with an uncached training.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tlcore.runs.cache.keys import ROW_ID, ShelfKey

Floats = npt.NDArray[np.float32]
MISSING = -1  # the row of an id that is not here
RESIDENT = 256 * 2**20  # bytes gathered before the pages read so far are let go of


class Shelf:
    """An open shelf. Values that another process adds meanwhile are seen after ``refresh``."""

    def __init__(self, root: Path, key: ShelfKey, shape: tuple[int, ...]) -> None:
        """Open or make the shelf of ``key`` below ``root``, for values of ``shape``."""
        self.folder = root / key.name
        self.shape = shape
        self.row_bytes = int(np.prod(shape)) * 4  # of one value
        self._in_use = _share(self.folder)
        about = json.dumps({"key": json.loads(key.text), "shape": shape})
        (self.folder / "key.json").write_text(about, encoding="utf-8")
        self._rows: dict[bytes, int] = {}
        self._values: Floats = np.zeros((0, *shape), np.float32)
        self._map: mmap.mmap | None = None
        self._gathered = 0
        self.refresh()

    def __len__(self) -> int:
        return len(self._rows)

    def bytes_of(self, count: int) -> int:
        """Return what so many values take."""
        return count * self.row_bytes

    def refresh(self) -> None:
        """Take notice of what has been added since."""
        path = self.folder / "ids"
        ids = path.read_bytes() if path.exists() else b""
        count = len(ids) // ROW_ID  # a torn last id does not count
        self._rows = {}
        for row in range(count):
            self._rows.setdefault(ids[row * ROW_ID : (row + 1) * ROW_ID], row)
        if count:
            with (self.folder / "values").open("rb") as file:
                self._map = mmap.mmap(file.fileno(), count * self.row_bytes, prot=mmap.PROT_READ)
            flat = np.frombuffer(self._map, np.float32)
            self._values = flat.reshape(count, *self.shape)

    def find(self, ids: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """Return the row of each id, MISSING where there is none."""
        return np.array([self._rows.get(each, MISSING) for each in ids], np.int64)

    def gather(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Return a copy of these rows, (n, *shape)."""
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

    def close(self) -> None:
        os.close(self._in_use)


def shape_of(root: Path, key: ShelfKey) -> tuple[int, ...] | None:
    """Return the shape of a shelf's values, or None where there is no such shelf."""
    try:
        about = json.loads((root / key.name / "key.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # or half written: its maker is about to tell
        return None
    return tuple(about["shape"])


def make_room(root: Path, allowed: int) -> None:
    """Clear away the shelves used longest ago until ``allowed`` bytes hold the rest.

    A shelf that some process has open is left alone.
    """
    shelves = sorted(
        (path for path in root.glob("*/in-use")), key=lambda path: path.stat().st_mtime
    )
    total = sum(size_of(path.parent) for path in shelves)
    for path in shelves:
        if total <= allowed:
            return
        size = size_of(path.parent)
        if _clear(path):
            total -= size


def size_of(folder: Path) -> int:
    """Return the bytes of a shelf."""
    return sum(path.stat().st_size for path in folder.iterdir())


def _write(path: Path, at: int, data: bytes | memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.seek(at)
        file.write(data)
        file.truncate()
        file.flush()
        os.fdatasync(file.fileno())


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    with (folder / "writing").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _share(folder: Path) -> int:
    """Hold the shelf open, against ``make_room``; it may be cleared away while we knock."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "in-use"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            os.utime(path)
            return descriptor
        os.close(descriptor)


def _clear(path: Path) -> bool:
    """Remove the shelf whose lock file this is, unless somebody holds it open."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # The ids go first: what is left of a shelf without them is an empty one.
        for name in ("ids", "values", "key.json", "writing", "in-use"):
            (path.parent / name).unlink(missing_ok=True)
        path.parent.rmdir()
    return True
