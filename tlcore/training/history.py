"""What a run writes down while it works: one JSON object a line, one writer.

A reader may come at any moment, so a last line without its end is "not yet", not an error.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, BinaryIO

import msgspec

from tlcore.errors import DamagedFile
from tlcore.storage import decode_json

STAGES: Mapping[str, str] = MappingProxyType(
    {
        "features": "Computing bottleneck features",
        "head": "Training the head",
        "fine-tune": "Fine-tuning the top blocks",
    }
)


@dataclass(frozen=True)
class Stage:
    """A stage begins."""

    stage: str  # a key of STAGES
    steps: int  # of this stage: images for "features", batches for the others
    time: float = field(default_factory=time.time)  # s since 1970

    def __post_init__(self) -> None:
        _check_stage(self.stage)


@dataclass(frozen=True)
class Progress:
    """Where the running stage is."""

    stage: str
    done: int  # steps
    time: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        _check_stage(self.stage)


@dataclass(frozen=True)
class Epoch:
    """An epoch ended."""

    epoch: int  # 1-based, counted through both training stages
    stage: str
    loss: float
    accuracy: float  # 0…1
    val_loss: float
    val_accuracy: float  # 0…1
    seconds: float
    time: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        _check_stage(self.stage)


@dataclass(frozen=True)
class Skipped:
    """A file of the dataset that could not be used."""

    file: str
    reason: str
    time: float = field(default_factory=time.time)


def _check_stage(stage: str) -> None:
    if stage not in STAGES:
        raise ValueError(f"{stage!r} is no stage of a run")


Event = Stage | Progress | Epoch | Skipped
_KINDS: Mapping[str, type[Event]] = MappingProxyType(
    {"stage": Stage, "progress": Progress, "epoch": Epoch, "skipped": Skipped}
)
_NAMES = {kind: name for name, kind in _KINDS.items()}


class EventLog:
    """The writing end. Each event is on disk when ``write`` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1, encoding="utf-8")

    def write(self, event: Event) -> None:
        self._file.write(_line(event))

    def close(self) -> None:
        self._file.close()


def read_events(path: Path) -> list[Event]:
    """Return the events written so far; none where the file is not there yet.

    A line that cannot be read is passed over; ``damaged_lines`` counts them.

    Raises:
        DamagedFile: the file cannot be opened.
    """
    try:
        return _reader(path).read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DamagedFile(path, error.strerror or str(error)) from error


def damaged_lines(path: Path, *, ended: bool) -> int:
    """Count the lines that the last reading passed over; none where nobody has read the file.

    Args:
        path: of the events.
        ended: nobody writes any more, so that a last line without its end is torn.
    """
    return _reader(path).damaged(ended=ended)


class EventReader:
    """The reading end. Only what was appended since the last time is parsed: every page that
    looks at a run asks once a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alone = Lock()
        self._behind = 0  # bytes read
        self._last = b""  # the last line of them
        self._events: list[Event] = []
        self._bad = 0  # lines that cannot be read
        self._torn = False  # whether a line without its end came last

    def read(self) -> list[Event]:
        """Return all events that are whole. Raises FileNotFoundError where there is no file."""
        with self._alone, self._path.open("rb") as file:
            if not self._is_longer(file):
                self._behind, self._last, self._events, self._bad = 0, b"", [], 0
            file.seek(self._behind)
            lines = file.read().splitlines(keepends=True)
            self._torn = bool(lines) and not lines[-1].endswith(b"\n")
            if self._torn:
                lines.pop()  # being written
            for line in lines:
                self._take(line)
            self._behind += sum(map(len, lines))
            self._last = lines[-1] if lines else self._last
            return list(self._events)

    def damaged(self, *, ended: bool) -> int:
        """Return how many of the lines read so far could not be understood."""
        with self._alone:
            return self._bad + (ended and self._torn)

    def _take(self, line: bytes) -> None:
        try:
            event = _parse(line, self._path)
        except DamagedFile:
            self._bad += 1
        else:
            self._events += [event] if event else []

    def _is_longer(self, file: BinaryIO) -> bool:
        """Whether it begins with what was read; a run that goes on may have lost its end."""
        file.seek(self._behind - len(self._last))
        return file.read(len(self._last)) == self._last


@lru_cache(maxsize=64)  # runs that are looked at
def _reader(path: Path) -> EventReader:
    return EventReader(path)


def _line(event: Event) -> str:
    return json.dumps({"kind": _NAMES[type(event)], **dataclasses.asdict(event)}) + "\n"


def _parse(line: bytes, path: Path) -> Event | None:
    fields = decode_json(line, dict[str, Any], path)
    kind = _KINDS.get(str(fields.get("kind")))
    if kind is None:
        return None  # a kind of a later version is passed over
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise DamagedFile(path, str(error)) from error


def list_epochs(events: Iterable[Event]) -> tuple[Epoch, ...]:
    """Return the epochs among the events, in order."""
    return tuple(event for event in events if isinstance(event, Epoch))


def trim_events(path: Path, epochs: int) -> None:
    """Take the epochs after the first ``epochs`` out of what was written down, whole or not."""
    if not path.exists():
        return
    kept = [event for event in read_events(path) if _within(event, epochs)]
    temporary = path.with_name(f".{path.name}")
    temporary.write_text("".join(_line(event) for event in kept), encoding="utf-8")
    temporary.replace(path)


def _within(event: Event, epochs: int) -> bool:
    return not isinstance(event, Epoch) or event.epoch <= epochs


# How often work looks up from itself: to say where it is, and to see whether it shall end.


BEAT = 0.5  # s between two progress events
LOOK = 0.02  # s between two looks whether to stop


class Stopped(Exception):  # not an error: somebody asked for it
    """The run was asked to stop in the middle of something that it does not keep."""


class Pace:
    """A clock for what is done again and again, at most once in so many seconds."""

    def __init__(self, seconds: float, *, at_once: bool = True) -> None:
        self._seconds = seconds
        self._next = 0.0 if at_once else time.monotonic() + seconds

    def due(self) -> bool:
        """Whether it is time again; if so the clock starts anew."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
