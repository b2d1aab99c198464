"""A run as it stands, read from its folder: its line in the list, and all that happened in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tlcore.models.answers import Trained
from tlcore.training.config import RunConfig
from tlcore.training.events import Epoch, Event, Progress, Skipped, Stage, history
from tlcore.training.notes import Notes
from tlcore.training.outcome import ACTIVE, FAILED, STOPPED
from tlcore.training.records import AFTER, MODEL, OUTCOME, SPLIT, Damage


@dataclass(frozen=True)
class RunInfo:
    """One line of the list of runs; read without its events."""

    id: str
    folder: Path
    state: str
    config: RunConfig
    created: float  # s since 1970
    seconds: float | None  # from start to end; None while it works
    val_accuracy: float | None  # of the network that is kept, 0…1
    error: str
    val_loss: float | None = None
    epochs: int = 0  # that have ended
    kept_epoch: int = 0  # whose weights are kept; 0 where it is not known
    data_hash: str = ""  # of all pictures of its data set and their labels; "" until known
    pictures: dict[str, int] = field(default_factory=dict)  # by part; empty until known
    notes: Notes = field(default_factory=Notes)
    damage: tuple[Damage, ...] = ()  # files of it that cannot be read

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def resumable(self) -> bool:
        """Whether it ended before its time, or its end is lost, so that it can go on."""
        if self._lost(SPLIT):
            return False
        return self.state in (STOPPED, FAILED) or self._lost(OUTCOME, MODEL)

    @property
    def model(self) -> Path | None:
        """The trained network, where there is one that can answer."""
        path = self.folder / MODEL
        return path if path.exists() and not self._lost(MODEL, SPLIT) else None

    @property
    def corrects(self) -> bool:
        """Whether it repeats another run on corrected labels."""
        return (self.folder / AFTER).exists()

    @property
    def ref(self) -> Trained:
        """The trained network as it is now, to ask it and to keep its answers under."""
        return Trained(self.id, self.model.stat().st_mtime_ns if self.model else 0)

    def _lost(self, *files: str) -> bool:
        return any(damage.file in files for damage in self.damage)


@dataclass(frozen=True)
class Run:
    """A run with all that happened in it so far."""

    info: RunInfo
    events: tuple[Event, ...]
    classes: tuple[str, ...]  # in the order of the output units; empty until known
    pictures: dict[str, int]  # by part
    damage: tuple[Damage, ...] = ()  # of all its files; those of ``info`` are among them

    @property
    def history(self) -> tuple[Epoch, ...]:
        return history(self.events)

    @property
    def stage(self) -> Stage | None:
        """The stage it is in, or was in last."""
        return next((event for event in reversed(self.events) if isinstance(event, Stage)), None)

    @property
    def progress(self) -> Progress | None:
        """The last progress of that stage."""
        stage = self.stage
        return next(
            (
                event
                for event in reversed(self.events)
                if isinstance(event, Progress) and stage and event.stage == stage.stage
            ),
            None,
        )

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The files that could not be used, each once: a resumed run names them again."""
        named = {event.file: event for event in self.events if isinstance(event, Skipped)}
        return tuple(named.values())
