"""The history of a run: events.jsonl, one JSON object a line, appended by the run's process.

A reader may come at any moment: a last line without its end is being written, not damaged.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from tlcore.errors import DamagedFile
from tlcore.storage import FileState, file_state

StageName = Literal["features", "head", "fine-tune"]
STAGES: Mapping[StageName, str] = {
    "features": "Computing bottleneck features",
    "head": "Training the head",
    "fine-tune": "Fine-tuning the top blocks",
}
PROGRESS_INTERVAL = 0.5  # s between two progress events
STOP_INTERVAL = 0.02  # s between two checks whether the run is asked to stop


# Structs instead of dataclasses: msgspec decodes their union in one pass, thirty times as fast.


class Stage(msgspec.Struct, frozen=True, tag_field="kind", tag="stage"):
    """A stage begins."""

    stage: StageName
    steps: int  # of this stage: images for "features", batches for the others
    time: float = msgspec.field(default_factory=time.time)  # s since 1970


class Progress(msgspec.Struct, frozen=True, tag_field="kind", tag="progress"):
    """How far the running stage is."""

    stage: StageName
    done: int  # steps
    time: float = msgspec.field(default_factory=time.time)


class Epoch(msgspec.Struct, frozen=True, tag_field="kind", tag="epoch"):
    """An epoch ended."""

    epoch: int  # 1-based, counted through both training stages
    stage: StageName
    loss: float
    accuracy: float  # 0…1
    val_loss: float
    val_accuracy: float  # 0…1
    seconds: float
    time: float = msgspec.field(default_factory=time.time)


class Skipped(msgspec.Struct, frozen=True, tag_field="kind", tag="skipped"):
    """A file of the dataset that could not be used."""

    file: str
    reason: str
    time: float = msgspec.field(default_factory=time.time)


Event = Stage | Progress | Epoch | Skipped
_KINDS = ("stage", "progress", "epoch", "skipped")
_DECODER = msgspec.json.Decoder(Event)


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
    return list(_read(path)[0])


def count_damaged_lines(path: Path, *, ended: bool) -> int:
    """Return how many lines of a file ``read_events`` skips; where nothing is written any more
    (``ended``), a last line without its end is one of them."""
    _, damaged, is_torn = _read(path)
    return damaged + (ended and is_torn)


def trim_events(path: Path, epochs: int) -> None:
    """Remove the epochs after the first ``epochs`` from a file, atomically."""
    if not path.exists():
        return
    events = read_events(path)
    lines = [_encode(e) for e in events if not isinstance(e, Epoch) or e.epoch <= epochs]
    temporary = path.with_name(f".{path.name}")
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(path)


def _read(path: Path) -> tuple[list[Event], int, bool]:
    """Return the events, the number of damaged lines, and whether the last line has no end."""
    try:
        return _read_version(path, file_state(path))
    except FileNotFoundError:
        return [], 0, False
    except OSError as error:
        raise DamagedFile(path, error.strerror or str(error)) from error


@lru_cache(maxsize=8)  # a page that shows a run reads it once a second
def _read_version(path: Path, state: FileState) -> tuple[list[Event], int, bool]:
    whole, _, torn = path.read_bytes().rpartition(b"\n")
    try:
        return _DECODER.decode_lines(whole), 0, bool(torn)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        lines = [_decode(line) for line in whole.splitlines()]
    events = [line for line in lines if isinstance(line, Event)]
    return events, lines.count(None), bool(torn)


def _decode(line: bytes) -> Event | str | None:
    """Return the event of a line, the name of a kind of a later version, or None for damage."""
    try:
        fields = json.loads(line)  # reads NaN, which msgspec does not
        kind = fields["kind"]
        return msgspec.convert(fields, Event) if kind in _KINDS else str(kind)
    except (ValueError, TypeError, KeyError, RecursionError):  # also msgspec.ValidationError
        return None


def _encode(event: Event) -> str:
    return json.dumps(msgspec.to_builtins(event)) + "\n"


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
