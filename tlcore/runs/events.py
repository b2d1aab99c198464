"""What a run writes down while it works: one JSON object a line, one writer.

A reader may come at any moment, so a last line without its end is "not yet", not an error.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

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
    steps: int  # of this stage: pictures for "features", batches for the others
    time: float = field(default_factory=time.time)  # s since 1970


@dataclass(frozen=True)
class Progress:
    """Where the running stage is."""

    stage: str
    done: int  # steps
    time: float = field(default_factory=time.time)


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


@dataclass(frozen=True)
class Skipped:
    """A file of the data set that could not be used."""

    file: str
    reason: str
    time: float = field(default_factory=time.time)


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
    """Return the events written so far; none where the file is not there yet."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # the last one has no end yet
    return [event for line in lines if (event := _parse(line)) is not None]


def _line(event: Event) -> str:
    return json.dumps({"kind": _NAMES[type(event)], **dataclasses.asdict(event)}) + "\n"


def _parse(line: str) -> Event | None:
    fields: dict[str, Any] = json.loads(line)
    kind = _KINDS.get(fields.pop("kind", ""))
    return kind(**fields) if kind else None  # a kind of a later version is passed over


def history(events: Iterable[Event]) -> tuple[Epoch, ...]:
    """Return the epochs among the events, in order."""
    return tuple(event for event in events if isinstance(event, Epoch))


def trim(path: Path, epochs: int) -> None:
    """Take the epochs after the first ``epochs`` out of what was written down, whole or not."""
    if not path.exists():
        return
    kept = [event for event in read_events(path) if _within(event, epochs)]
    temporary = path.with_name(f".{path.name}")
    temporary.write_text("".join(_line(event) for event in kept), encoding="utf-8")
    temporary.replace(path)


def _within(event: Event, epochs: int) -> bool:
    return not isinstance(event, Epoch) or event.epoch <= epochs
