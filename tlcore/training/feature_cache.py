"""The feature cache: segment files that are written once, memory-mapped and evicted oldest first.

A folder holds the features of one backbone, layer and geometry (``FeatureKey``). A segment is two
files of one name: ``.npy`` with float32 rows, and ``.json`` with the id of each row and the CRC-32
of the rows. Both are renamed into place, the second one last, so that a segment is whole or absent.
Nothing is locked: segments never change, a row that two processes compute is stored twice, and a
segment that is evicted stays readable for those that have mapped it. A damaged segment is deleted,
with a line in the log, and its rows are computed again.

Values stay float32: half the bytes would cost the equality with a training without cache.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import secrets
import time
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tlcore.errors import DamagedFile
from tlcore.models.predictions import Floats
from tlcore.storage import read_json, write_json

Rows = npt.NDArray[np.int64]

ARITHMETIC = 4  # counted up when the same network's values change by as much as their rounding
ENGINES = ("litert", "keras")
MISSING = -1  # the row of an id that is not in the cache
ENTRY = 80  # bytes at most of a row's id in the .json
_LEFTOVER = 3600.0  # s after which a file without its final name is one of a killed process
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureKey:
    """The network, the layer and the geometry that all features of one folder share."""

    backbone: str
    weights: str  # hash_network, or "random": those are the same every time
    layer: str  # whose output it is; "pooling-avg" for pooled bottleneck features
    size: int  # side of the network's input, pixels
    fit: str  # geometry
    engine: str = "litert"  # what has computed them, one of ENGINES: the last digits differ

    @property
    def name(self) -> str:
        """The name of the folder: readable first, then a hash of all fields."""
        text = json.dumps(asdict(self) | {"arithmetic": ARITHMETIC}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return f"{self.backbone}-{self.size}-{self.layer}-{digest}".replace("/", "_")


@dataclass(frozen=True)
class _Index:
    """The content of a segment's .json."""

    shape: tuple[int, ...]  # of one row
    crc32: int  # of all rows
    ids: tuple[str, ...]  # of each row


@dataclass(eq=False)
class _Segment:
    """A segment; its rows are mapped and checked when one of them is first wanted."""

    path: Path  # without suffix
    index: _Index
    rows: Floats | None = None  # (n, *shape) once it is open

    def open(self, path: Path) -> None:
        """Map the rows of a file. Raises OSError, or ValueError where they are not the index's."""
        mapped = np.load(path, mmap_mode="r")
        if mapped.shape != (len(self.index.ids), *self.index.shape):
            raise ValueError("it has another shape")
        if zlib.crc32(mapped) != self.index.crc32:
            raise ValueError("it has another checksum")
        self.rows = np.asarray(mapped)


class FeatureStore:
    """The features of one key. Rows are numbered in the order in which they were read or added;
    what another process adds meanwhile is not seen."""

    def __init__(self, root: Path, key: FeatureKey) -> None:
        """Read the index of every segment below ``root``; none where nothing was stored yet."""
        self.folder = root / key.name
        self.shape: tuple[int, ...] | None = None  # of one row; None while the store is empty
        self._places: list[tuple[_Segment, int]] = []  # segment and place of each row
        self._rows: dict[str, int] = {}  # id → row
        for path in sorted(self.folder.glob("[!.]*.json")):
            try:
                self._add(_Segment(path.with_suffix(""), read_json(path, _Index)))
            except FileNotFoundError:
                continue  # evicted in this moment
            except DamagedFile as error:
                _delete_damaged(path.with_suffix(""), error.reason)

    @property
    def segments_in_use(self) -> set[Path]:
        """The segments of which a row was wanted, without suffix."""
        return {segment.path for segment, _ in self._places if segment.rows is not None}

    def find(self, ids: Sequence[str]) -> Rows:
        """Return the row of each id, MISSING where it is not stored or its segment is damaged."""
        rows = [self._rows.get(each, MISSING) for each in ids]
        for segment in {self._places[row][0] for row in rows if row != MISSING}:
            if segment.rows is None and not self._open(segment):
                return self.find(ids)  # without that segment
        return np.array(rows, np.int64)

    def take(self, rows: Rows) -> Floats:
        """Return a copy of these rows, float32 (n, *shape).

        Raises:
            ValueError: one of them is MISSING.
        """
        if rows.size and rows.min() < 0:
            raise ValueError("Expected rows of the store. Received a missing one.")
        values = np.empty((len(rows), *(self.shape or ())), np.float32)
        for place, row in enumerate(rows.tolist()):
            segment, number = self._places[row]
            values[place] = segment.rows[number]
        return values

    def append(self, ids: Sequence[str], values: Floats) -> None:
        """Store rows, float32 (n, *shape), as a new segment."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{time.time_ns():020}-{secrets.token_hex(4)}"
        temporary = path.with_name(f".{path.name}.npy")
        values = np.ascontiguousarray(values)
        segment = _Segment(path, _Index(values.shape[1:], zlib.crc32(values.data), tuple(ids)))
        try:
            whole = io.BytesIO()  # into a file itself NumPy's errors would not say why
            np.save(whole, values)
            temporary.write_bytes(whole.getbuffer())
            segment.open(temporary)  # before another process can evict it
            temporary.replace(path.with_suffix(".npy"))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        write_json(path.with_suffix(".json"), asdict(segment.index), durable=False)
        self._add(segment)

    def _add(self, segment: _Segment) -> None:
        if self.shape not in (None, segment.index.shape):
            _delete_damaged(segment.path, "its rows have another shape")
            return
        self.shape = segment.index.shape
        for number, each in enumerate(segment.index.ids):
            self._rows[each] = len(self._places)
            self._places.append((segment, number))

    def _open(self, segment: _Segment) -> bool:
        """Open a segment, or forget it where it is damaged or was evicted meanwhile."""
        index = segment.path.with_suffix(".json")
        try:
            segment.open(segment.path.with_suffix(".npy"))
        except (OSError, ValueError, EOFError) as error:
            if index.exists():
                _delete_damaged(segment.path, str(error))
            for each in segment.index.ids:
                if self._places[self._rows.get(each, 0)][0] is segment:
                    self._rows.pop(each, None)
            self.shape = self.shape if self._rows else None
            return False
        with suppress(OSError):
            os.utime(index)  # used just now: evicted last
        return True


def bytes_of(shape: Sequence[int], count: int) -> int:
    """Return the bytes on disk of so many rows of a shape, with their ids."""
    return count * (4 * int(np.prod(shape)) + ENTRY)


def evict(root: Path, allowed: int, keep: Collection[Path] = ()) -> None:
    """Delete the segments used longest ago until ``allowed`` bytes hold the rest, and files that a
    killed process has left half written. Segments in use (``keep``, without suffix) stay.
    """
    segments: dict[Path, tuple[float, int]] = {}  # when it was last used, s since 1970, and bytes
    for path in root.glob("*/*"):
        with suppress(FileNotFoundError):
            status = path.stat()
            if not path.name.startswith("."):
                used, size = segments.get(path.with_suffix(""), (0.0, 0))
                used = max(used, status.st_mtime)
                segments[path.with_suffix("")] = used, size + status.st_size
            elif time.time() - status.st_mtime > _LEFTOVER:
                path.unlink()
    total = sum(size for _, size in segments.values())
    for segment, (_, size) in sorted(segments.items(), key=lambda item: item[1][0]):
        if total > allowed and segment not in keep:
            _delete_segment(segment)
            total -= size


def _delete_damaged(segment: Path, reason: str) -> None:
    _log.warning(
        "The segment %s of the feature cache was damaged (%s). It is deleted and computed again.",
        f"{segment.parent.name}/{segment.name}",
        reason,
    )
    _delete_segment(segment)


def _delete_segment(segment: Path) -> None:
    for suffix in (".json", ".npy"):  # without the first nobody finds the second
        with suppress(OSError):
            segment.with_suffix(suffix).unlink()
