"""The history of a run: events.jsonl, one JSON object a line, appended by the run's process.

A reader may come at any moment: a last line without its end is being written, not damaged.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, BinaryIO, Literal

import msgspec

from tlcore.errors import DamagedFile
from tlcore.storage import decode_json

StageName = Literal["features", "head", "fine-tune"]
STAGES: Mapping[StageName, str] = MappingProxyType(
    {
        "features": "Computing bottleneck features",
        "head": "Training the head",
        "fine-tune": "Fine-tuning the top blocks",
    }
)
PROGRESS_INTERVAL = 0.5  # s between two progress events
STOP_INTERVAL = 0.02  # s between two checks whether the run is asked to stop


@dataclass(frozen=True)
class Stage:
    """A stage begins."""

    stage: StageName
    steps: int  # of this stage: images for "features", batches for the others
    time: float = field(default_factory=time.time)  # s since 1970


@dataclass(frozen=True)
class Progress:
    """How far the running stage is."""

    stage: StageName
    done: int  # steps
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Epoch:
    """An epoch ended."""

    epoch: int  # 1-based, counted through both training stages
    stage: StageName
    loss: float
    accuracy: float  # 0…1
    val_loss: float
    val_accuracy: float  # 0…1
    seconds: float
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Skipped:
    """A file of the dataset that could not be used."""

    file: str
    reason: str
    time: float = field(default_factory=time.time)


Event = Stage | Progress | Epoch | Skipped
_KINDS: Mapping[str, type[Event]] = MappingProxyType(
    {"stage": Stage, "progress": Progress, "epoch": Epoch, "skipped": Skipped}
)
_NAMES = {kind: name for name, kind in _KINDS.items()}


def list_epochs(events: Iterable[Event]) -> tuple[Epoch, ...]:
    """Return the epochs among the events, in order."""
    return tuple(event for event in events if isinstance(event, Epoch))


def find_best_epoch(epochs: Iterable[Epoch]) -> Epoch | None:
    """Return the first epoch with the lowest finite validation loss, as Keras'
    ``EarlyStopping(restore_best_weights=True)`` chooses it."""
    finite = [epoch for epoch in epochs if math.isfinite(epoch.val_loss)]
    return min(finite, key=lambda epoch: epoch.val_loss, default=None)


class EventLog:
    """Appends events to a file; each is on disk when ``write`` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1, encoding="utf-8")

    def write(self, event: Event) -> None:
        self._file.write(_encode(event))

    def close(self) -> None:
        self._file.close()


def read_events(path: Path) -> list[Event]:
    """Return the events written so far; none where there is no file yet.

    A line that cannot be read is skipped; ``count_damaged_lines`` counts them.

    Raises:
        DamagedFile: the file cannot be opened.
    """
    try:
        return _get_reader(path).read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DamagedFile(path, error.strerror or str(error)) from error


def count_damaged_lines(path: Path, *, ended: bool) -> int:
    """Return how many lines the last ``read_events`` of this process skipped.

    Args:
        path: of the events.
        ended: nothing is written any more, so a last line without its end is damaged as well.
    """
    return _get_reader(path).count_damaged(ended=ended)


def trim_events(path: Path, epochs: int) -> None:
    """Remove the epochs after the first ``epochs`` from a file, atomically."""
    if not path.exists():
        return
    events = read_events(path)
    lines = [_encode(e) for e in events if not isinstance(e, Epoch) or e.epoch <= epochs]
    temporary = path.with_name(f".{path.name}")
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(path)


class _EventReader:
    """Reads a growing file: only what was appended since the last time is decoded, as every page
    that shows a run reads its events once a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._reset()

    def _reset(self) -> None:
        self._offset = 0  # bytes read
        self._last_line = b""
        self._events: list[Event] = []
        self._damaged = 0  # lines
        self._is_torn = False  # a line without its end came last

    def read(self) -> list[Event]:
        with self._lock, self._path.open("rb") as file:
            if not self._has_grown(file):
                self._reset()
            file.seek(self._offset)
            lines = file.read().splitlines(keepends=True)
            self._is_torn = bool(lines) and not lines[-1].endswith(b"\n")
            for line in lines[:-1] if self._is_torn else lines:
                self._append(line)
            return list(self._events)

    def count_damaged(self, *, ended: bool) -> int:
        with self._lock:
            return self._damaged + (ended and self._is_torn)

    def _append(self, line: bytes) -> None:
        self._offset += len(line)
        self._last_line = line
        try:
            event = _decode(line, self._path)
        except DamagedFile:
            self._damaged += 1
        else:
            self._events += [event] if event else []

    def _has_grown(self, file: BinaryIO) -> bool:
        """Whether the file still begins with what was read; a resumed run has trimmed it."""
        file.seek(self._offset - len(self._last_line))
        return file.read(len(self._last_line)) == self._last_line


@lru_cache(maxsize=64)  # runs that are shown
def _get_reader(path: Path) -> _EventReader:
    return _EventReader(path)


def _encode(event: Event) -> str:
    return json.dumps({"kind": _NAMES[type(event)], **dataclasses.asdict(event)}) + "\n"


def _decode(line: bytes, path: Path) -> Event | None:
    """Return the event of a line; None for a kind of a later version."""
    fields = decode_json(line, dict[str, Any], path)
    kind = _KINDS.get(str(fields.get("kind")))
    if kind is None:
        return None
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise DamagedFile(path, str(error)) from error


class StopRequested(Exception):
    """The run was asked to stop in the middle of something that it does not keep."""


class Throttle:
    """Limits what a loop does at every step to once in so many seconds."""

    def __init__(self, seconds: float, *, at_once: bool = True) -> None:
        self._seconds = seconds
        self._next = 0.0 if at_once else time.monotonic() + seconds

    def is_due(self) -> bool:
        """Whether the time has passed; if so it starts again."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
