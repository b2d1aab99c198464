"""What a person says about a run: a name, a note, tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from tlcore.datasets.sample import dataset_title
from tlcore.models.predictions import ModelRef
from tlcore.percentages import percent
from tlcore.storage import read_json_or, write_json
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, Event, Progress, Skipped, Stage, list_epochs
from tlcore.training.records import MODEL, NOTES, PARENT_RUN, SPLIT, STATUS, Damage, DamagedRun
from tlcore.training.status import ACTIVE, FAILED, STOPPED

LONGEST_NAME = 80  # characters
LONGEST_NOTE = 2000
MOST_TAGS = 12


@dataclass(frozen=True)
class Notes:
    """Free text; nothing depends on it."""

    name: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()


def read_notes(folder: Path) -> Notes:
    """Return what is noted about a run; nothing is the beginning.

    Raises:
        DamagedFile: notes.json cannot be read.
    """
    return read_json_or(folder / NOTES, Notes, Notes(), newest=1)


def write_notes(folder: Path, name: str, note: str, tags: Iterable[str]) -> Notes:
    """Keep what a person says, without the blanks around it."""
    kept = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))[:MOST_TAGS]
    notes = Notes(name.strip()[:LONGEST_NAME], note.strip()[:LONGEST_NOTE], kept)
    write_json(folder / NOTES, asdict(notes))
    return notes


# A run as it stands, read from its folder: its line in the list, and all that happened in it.


@dataclass(frozen=True)
class RunInfo:
    """One line of the list of runs; read without its events."""

    id: str
    folder: Path
    status: str
    config: RunConfig
    created: float  # s since 1970
    seconds: float | None  # from start to end; None while it works
    val_accuracy: float | None  # of the network that is kept, 0…1
    error: str
    val_loss: float | None = None
    epochs: int = 0  # that have ended
    best_epoch: int = 0  # whose weights are kept; 0 where it is not known
    data_hash: str = ""  # of all images of its dataset and their labels; "" until known
    images: dict[str, int] = field(default_factory=dict)  # by part; empty until known
    notes: Notes = field(default_factory=Notes)
    damage: tuple[Damage, ...] = ()  # files of it that cannot be read

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @property
    def resumable(self) -> bool:
        """Whether it ended before its time, or its end is lost, so that it can go on."""
        if self._lost(SPLIT):
            return False
        return self.status in (STOPPED, FAILED) or self._lost(STATUS, MODEL)

    @property
    def model(self) -> Path | None:
        """The trained network, where there is one that can answer."""
        path = self.folder / MODEL
        return path if path.exists() and not self._lost(MODEL, SPLIT) else None

    @property
    def corrects(self) -> bool:
        """Whether it repeats another run on corrected labels."""
        return (self.folder / PARENT_RUN).exists()

    @property
    def ref(self) -> ModelRef:
        """The trained network as it is now, to ask it and to keep its answers under."""
        written = str(self.model.stat().st_mtime_ns) if self.model else ""
        return ModelRef(run=self.id, weights=written)

    def _lost(self, *files: str) -> bool:
        return any(damage.file in files for damage in self.damage)


@dataclass(frozen=True)
class Run:
    """A run with all that happened in it so far."""

    info: RunInfo
    events: tuple[Event, ...]
    classes: tuple[str, ...]  # in the order of the output units; empty until known
    images: dict[str, int]  # by part
    damage: tuple[Damage, ...] = ()  # of all its files; those of ``info`` are among them

    @property
    def history(self) -> tuple[Epoch, ...]:
        return list_epochs(self.events)

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


# The label of a run: what a person tells it apart by in every list, menu, legend and title.


Listed = RunInfo | DamagedRun


def label_runs(infos: Iterable[Listed], *, accuracy: bool = True) -> dict[str, str]:
    """Return a label for each run by its id, unique within the list.

    "92% · ants and bees · MobileNetV2 · top blocks too". Where two would read alike, each of them
    also says when it was started, to the minute or the second, or in the end its id: in front,
    where a narrow menu does not cut it off.

    Args:
        infos: all runs of the workspace, so that a run has the same label on every page.
        accuracy: whether the validation accuracy is part of it. A report leaves it out: it may
            be judged by another split.
    """
    runs = {info.id: info for info in infos}
    parts = {run: (_lead(info, accuracy=accuracy), _rest(info)) for run, info in runs.items()}
    labels = {run: _joined([*lead, *rest]) for run, (lead, rest) in parts.items()}
    for form in ("%d %b %H:%M", "%d %b %H:%M:%S", ""):
        times = Counter(labels.values())
        for run in [run for run, label in labels.items() if times[label] > 1]:
            lead, rest = parts[run]
            labels[run] = _joined([*lead, _started(run, form), *rest])
    return labels


def title_run(info: RunInfo) -> str:
    """Return what a run is called without its accuracy and time; several may be called so."""
    return _joined([*_lead(info, accuracy=False), *_rest(info)])


def _lead(info: Listed, *, accuracy: bool) -> list[str]:
    if isinstance(info, DamagedRun):
        return []
    lead = [info.notes.name] if info.notes.name else []
    if accuracy and info.val_accuracy is not None:
        lead.append(percent(info.val_accuracy))
    return lead


def _rest(info: Listed) -> list[str]:
    if isinstance(info, DamagedRun):
        return ["damaged", info.id]
    config = info.config
    rest = [dataset_title(config.dataset), config.backbone]
    if config.fine_tune_epochs and not 0 < info.best_epoch <= config.epochs:
        rest.append("top blocks too")  # the best epoch is not one of the head alone
    if info.corrects:
        rest.append("corrected labels")
    if config.random_weights:
        rest.append("random weights")
    return rest


def _joined(parts: Iterable[str]) -> str:
    """Join parts with dots between them; blanks are single, as a browser shows them."""
    return " · ".join(" ".join(part.split()) for part in parts)


def _started(run: str, form: str) -> str:
    """Return the start of a run, which its id begins with; without a form, or of another id, the
    id itself."""
    try:
        moment = datetime.strptime(run[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return run
    return moment.strftime(form).lstrip("0") or run
