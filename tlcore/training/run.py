"""A run as it is read from its folder: its line in a list, its history, and its label."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tlcore.datasets.sample_dataset import dataset_title
from tlcore.models.predictions import ModelRef
from tlcore.percentages import percent
from tlcore.storage import read_json_or, write_json
from tlcore.text import name_download
from tlcore.training import history
from tlcore.training import status as files
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, Event, Progress, Skipped, Stage, find_best_epoch
from tlcore.training.status import ACTIVE, FAILED, STOPPED, Damage, DamagedRun

MAX_NAME, MAX_NOTE = 80, 2000  # characters
MAX_TAGS = 12
RISE = 0.05  # share of the lowest validation loss by which the last one has clearly risen


@dataclass(frozen=True)
class Notes:
    """What a person wrote about a run; nothing depends on it."""

    name: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()


def read_notes(folder: Path) -> Notes:
    """Return the notes of a run, empty ones where there are none.

    Raises:
        DamagedFile: notes.json cannot be read.
    """
    return read_json_or(folder / files.NOTES, Notes, Notes(), newest=1)


def write_notes(folder: Path, name: str, note: str, tags: Iterable[str]) -> Notes:
    """Store the notes of a run, without surrounding blanks and cut to the longest allowed."""
    different = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))[:MAX_TAGS]
    notes = Notes(name.strip()[:MAX_NAME], note.strip()[:MAX_NOTE], different)
    write_json(folder / files.NOTES, asdict(notes))
    return notes


def read_parent_run(folder: Path) -> str:
    """Return the id of the run whose labels were corrected for a run; "" for most.

    Raises:
        DamagedFile: parent_run.json cannot be read.
    """
    return str(read_json_or(folder / files.PARENT_RUN, dict[str, Any], {}, newest=1).get("run", ""))


def write_parent_run(folder: Path, parent: str) -> None:
    """Store the id of the run whose labels were corrected for this one."""
    write_json(folder / files.PARENT_RUN, {"run": parent})


@dataclass(frozen=True)
class RunInfo:
    """One line of the list of runs; read without the events."""

    id: str
    folder: Path
    status: str  # one of those in `status`
    config: RunConfig
    created: float  # s since 1970
    seconds: float | None  # from start to end; None while it is active
    val_accuracy: float | None  # of the saved model, 0…1
    error: str
    val_loss: float | None = None  # of the saved model
    epochs: int = 0  # that have ended
    best_epoch: int = 0  # 1-based, whose weights the model has; 0 where that is not recorded
    data_hash: str = ""  # of all images of its dataset and their labels; "" before it has begun
    images: dict[str, int] = field(default_factory=dict)  # by split; empty before it has begun
    notes: Notes = field(default_factory=Notes)
    damage: tuple[Damage, ...] = ()  # files of it that cannot be read

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.status in ACTIVE

    @property
    def resumable(self) -> bool:
        """Whether it ended early, or its end or model is lost, so that it can continue."""
        if self._is_damaged(files.SPLIT):
            return False
        return self.status in (STOPPED, FAILED) or self._is_damaged(files.STATUS, files.MODEL)

    @property
    def keeps_best(self) -> bool:
        """Whether the model has the weights of the best epoch. Early versions of the program kept
        those of the last one, unless early stopping was on."""
        return bool(self.best_epoch or self.active or self.config.patience)

    @property
    def model(self) -> Path | None:
        """The file of the trained model, where there is one that can predict."""
        path = self.folder / files.MODEL
        return path if path.exists() and not self._is_damaged(files.MODEL, files.SPLIT) else None

    @property
    def corrects(self) -> bool:
        """Whether it repeats another run on corrected labels."""
        return (self.folder / files.PARENT_RUN).exists()

    @property
    def ref(self) -> ModelRef:
        """The trained model as it is now: another one once a resumed run has written it again."""
        written = str(self.model.stat().st_mtime_ns) if self.model else ""
        return ModelRef(run=self.id, weights=written)

    def _is_damaged(self, *files: str) -> bool:
        return any(damage.file in files for damage in self.damage)


@dataclass(frozen=True)
class Run:
    """A run with everything that has happened in it so far."""

    info: RunInfo
    events: tuple[Event, ...]
    classes: tuple[str, ...]  # in the order of the output units; empty before it has begun
    damage: tuple[Damage, ...] = ()  # of all its files; those of ``info`` are among them

    @property
    def history(self) -> tuple[Epoch, ...]:
        return history.list_epochs(self.events)

    @property
    def stage(self) -> Stage | None:
        """The stage it is in, or was in last."""
        return next((event for event in reversed(self.events) if isinstance(event, Stage)), None)

    @property
    def progress(self) -> Progress | None:
        """The last progress of that stage."""
        name = self.stage.stage if self.stage else ""
        steps = (event for event in reversed(self.events) if isinstance(event, Progress))
        return next((event for event in steps if event.stage == name), None)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The files that could not be used, each once: a resumed run reports them again."""
        by_file = {event.file: event for event in self.events if isinstance(event, Skipped)}
        return tuple(by_file.values())

    @property
    def model_epoch(self) -> Epoch | None:
        """The epoch whose weights the model has; of an active run, as it stands.

        None before the first, and where its line of the history is damaged.
        """
        number = self.info.best_epoch
        if number:
            return next((epoch for epoch in self.history if epoch.epoch == number), None)
        if self.info.keeps_best:
            return find_best_epoch(self.history)
        return self.history[-1] if self.history else None

    @property
    def unfrozen_from(self) -> str:
        """The first backbone layer that the model's weights were fine-tuned from; "" for none."""
        epoch = self.model_epoch
        return self.info.config.unfreeze_from if epoch and epoch.stage == "fine-tune" else ""


def describe_overfitting(run: Run) -> str:
    """Return after which epoch the validation loss was lowest and which weights are kept.

    "" where it was lowest in the last epoch.
    """
    best = find_best_epoch(run.history)
    last = next((each for each in reversed(run.history) if math.isfinite(each.val_loss)), None)
    if best is None or last is None or best is last:
        return ""
    stage = "" if best.stage == last.stage else ", before the top blocks were trained"
    words = f"Validation loss was lowest after epoch {best.epoch} ({best.val_loss:.3g}){stage}"
    if last.val_loss > best.val_loss * (1 + RISE):
        joint = ", and" if stage else " and"
        words += f"{joint} rose after it, to {last.val_loss:.3g} after epoch {last.epoch}"
    if not run.info.keeps_best:
        return (
            f"{words}. This run kept the weights of its last epoch: run it again, and those of the "
            "best epoch are kept."
        )
    so_far = " so far" if run.info.active else ""
    return f"{words}. The weights of epoch {run.info.best_epoch or best.epoch} are kept{so_far}."


Listed = RunInfo | DamagedRun


def label_runs(infos: Iterable[Listed], *, accuracy: bool = True) -> dict[str, str]:
    """Return a label for each run by its id, unique within the list.

    "92% · ants and bees · MobileNetV2 · top blocks too". Runs with the same label get the time of
    their start as well, to the minute, the second, or in the end the id: in front, where a narrow
    menu does not cut it off.

    ``infos`` are all runs of the workspace, so that a run has the same label on every page. A
    report leaves the validation accuracy out, as it may evaluate another split.
    """
    runs = {info.id: info for info in infos}
    parts = {run: _label_parts(info, accuracy=accuracy) for run, info in runs.items()}
    labels = {run: _join([*front, *rest]) for run, (front, rest) in parts.items()}
    for form in ("%d %b %H:%M", "%d %b %H:%M:%S", ""):
        times = Counter(labels.values())
        for run in [run for run, label in labels.items() if times[label] > 1]:
            (front, rest), start = parts[run], ""
            with suppress(ValueError):  # an id begins with the start of its run
                start = datetime.strptime(run[:15], "%Y%m%d-%H%M%S").strftime(form).lstrip("0")
            labels[run] = _join([*front, start or run, *rest])
    return labels


def title_run(info: RunInfo) -> str:
    """Return a run's label without accuracy and time; several runs may have the same."""
    front, rest = _label_parts(info, accuracy=False)
    return _join([*front, *rest])


def name_file(info: RunInfo, what: str) -> str:
    """Return the name of a file that is made of a run: "ants-and-bees 2026-03-09 1417 model.keras".

    Args:
        info: the run; an id begins with the start of its run.
        what: the end of the name.
    """
    start = datetime.fromtimestamp(info.created).strftime("%Y-%m-%d %H%M")
    return name_download(dataset_title(info.config.dataset), what, start)


def _label_parts(info: Listed, *, accuracy: bool) -> tuple[list[str], list[str]]:
    """Return what stands before the time of the start, and what follows it."""
    if isinstance(info, DamagedRun):
        return [], ["damaged", info.id]
    config = info.config
    front = [info.notes.name] if info.notes.name else []
    if accuracy and info.val_accuracy is not None:
        front.append(percent(info.val_accuracy))
    rest = ["random weights"] if config.random_weights else []  # first: a menu cuts the end off
    rest += [dataset_title(config.dataset), config.backbone]
    if config.fine_tune_epochs and not 0 < info.best_epoch <= config.epochs:
        rest.append("top blocks too")  # the best epoch is not one of the head alone
    if info.corrects:
        rest.append("corrected labels")
    return front, rest


def _join(parts: Iterable[str]) -> str:
    """Join parts with dots between them; blanks are single, as a browser shows them."""
    return " · ".join(" ".join(part.split()) for part in parts)
