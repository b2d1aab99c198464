"""Runs on disk. A run is a folder, and its state is derived from what lies in it:

==============  ===============================================================
config.json     what was asked (RunConfig)
split.json      classes and the pictures of each part, once known
facts.json      data hash, counts, versions, machine
notes.json      name, note and tags that a person gave it
events.jsonl    what happened so far (events)
outcome.json    how it ended; absent while it works
earlier.json    how it had ended before it was resumed
checkpoint.npz  weights and optimizer at the end of an epoch
model.keras     the trained network, preprocessed pixels → probabilities
worker.log      all that the process printed
answers-*.npz   what it says of each part, once somebody reviews it
after.json      the run whose mistakes led to it, where there is one
run.lock        locked by the process while it lives
stop            present once somebody asked it to stop
waiting         present while a resumed run waits for its turn
process.json    the process group of its worker, where it has one of its own
report.html     what was written about it, once somebody asked for it
bundle.zip      the network for other programs, likewise
==============  ===============================================================
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from tlcore.errors import RunError, TLCoreError
from tlcore.files import read_json
from tlcore.networks.answers import Trained
from tlcore.runs.config import RunConfig
from tlcore.runs.events import Epoch, Event, Progress, Skipped, Stage, history, read_events, trim
from tlcore.runs.locks import GLANCE, held, hold
from tlcore.runs.notes import Notes, read_notes
from tlcore.runs.outcome import ACTIVE as ACTIVE
from tlcore.runs.outcome import FAILED as FAILED
from tlcore.runs.outcome import FINISHED as FINISHED
from tlcore.runs.outcome import QUEUED as QUEUED
from tlcore.runs.outcome import RUNNING as RUNNING
from tlcore.runs.outcome import STOPPED as STOPPED
from tlcore.runs.outcome import Outcome as Outcome
from tlcore.runs.outcome import living_state, outcome_of, set_aside
from tlcore.runs.outcome import write_outcome as write_outcome
from tlcore.runs.training import checkpoint
from tlcore.settings import Settings

LOG_TAIL = 40  # lines of the log shown with a failure


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
    data_hash: str = ""  # of pictures and labels; "" until known
    pictures: dict[str, int] = field(default_factory=dict)  # by part; empty until known
    notes: Notes = field(default_factory=Notes)

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def resumable(self) -> bool:
        """Whether it ended before its time, so that it can go on."""
        return self.state in (STOPPED, FAILED)

    @property
    def model(self) -> Path | None:
        """The trained network, where there is one."""
        path = self.folder / "model.keras"
        return path if path.exists() else None

    @property
    def ref(self) -> Trained:
        """The trained network as it is now, to ask it and to keep its answers under."""
        return Trained(self.id, self.model.stat().st_mtime_ns if self.model else 0)


@dataclass(frozen=True)
class Run:
    """A run with all that happened in it so far."""

    info: RunInfo
    events: tuple[Event, ...]
    classes: tuple[str, ...]  # in the order of the output units; empty until known
    pictures: dict[str, int]  # by part

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


def create_run(config: RunConfig, settings: Settings) -> tuple[Path, int]:
    """Make a run's folder, locked from its first moment.

    Returns:
        The folder and the descriptor that holds its lock. Whoever works on the run keeps it open.
    """
    settings.runs.mkdir(parents=True, exist_ok=True)
    name = f"{datetime.now():%Y%m%d-%H%M%S-%f}"  # sorts by time: the queue goes by it
    making = settings.runs / f".{name}"
    making.mkdir()
    (making / "config.json").write_text(json.dumps(config.to_json(), indent=1), encoding="utf-8")
    lock = hold(making / "run.lock")
    folder = settings.runs / name
    with _let_go_on_error(lock):
        making.rename(folder)
    return folder, lock


def reopen_run(run: str, settings: Settings) -> tuple[Path, int]:
    """Make a run that ended before its time ready to go on from its last checkpoint.

    What was written down after that checkpoint is taken out of its history: these epochs are
    gone through again, and are the same ones.

    Returns:
        As ``create_run``.

    Raises:
        RunError: no such run, or it is at work, or has finished.
    """
    folder = _folder(run, settings)
    lock = _hold(folder, settings)
    with _let_go_on_error(lock):
        outcome = outcome_of(folder, ended=True)
        if outcome and outcome.state == FINISHED:
            raise RunError(
                f"Expected a run that was stopped or has failed. Received {run}, which has "
                "finished. Run it again with more epochs."
            )
        (folder / "waiting").touch()  # first: without an outcome it must not look like one at work
        reached = checkpoint.load(folder / checkpoint.FILE)
        trim(folder / "events.jsonl", reached.event if reached else 0)
        if outcome:
            set_aside(folder, outcome)
        for name in ("stop", "process.json"):
            (folder / name).unlink(missing_ok=True)
    return folder, lock


def _hold(folder: Path, settings: Settings) -> int:
    """Take the lock of a run that has ended.

    Raises:
        RunError: it is at work, or has been deleted in this moment.
    """
    try:
        return hold(folder / "run.lock", patience=GLANCE)
    except BlockingIOError as error:
        raise RunError(
            f"Expected a run that has ended. Received {folder.name}, which is at work. Stop it "
            "first."
        ) from error
    except FileNotFoundError as error:
        raise _unknown(folder.name, settings) from error


@contextmanager
def _let_go_on_error(lock: int) -> Iterator[None]:
    """Close a lock if what follows fails: the run must not count as alive for ever."""
    try:
        yield
    except BaseException:
        os.close(lock)
        raise


def list_runs(settings: Settings) -> list[RunInfo]:
    """Return all runs, newest first.

    A folder that is no run is passed over, also one whose configuration nobody can read (any
    more) and one that is deleted meanwhile.
    """
    if not settings.runs.is_dir():
        return []
    found = []
    for path in sorted(settings.runs.glob("[!.]*/config.json"), reverse=True):
        with suppress(TLCoreError, FileNotFoundError):
            found.append(_info(path.parent))
    return found


def run_info(run: str, settings: Settings) -> RunInfo:
    """Return one run without its events.

    Raises:
        RunError: there is none of that id.
        BadConfig, UnknownName: its configuration cannot be read (any more).
    """
    folder = _folder(run, settings)
    try:
        return _info(folder)
    except FileNotFoundError as error:  # deleted in this moment
        raise _unknown(run, settings) from error


def load_run(run: str, settings: Settings) -> Run:
    """Return one run with its events. Raises as ``run_info`` does."""
    info = run_info(run, settings)  # before the events: an outcome seen has all its events on disk
    folder = info.folder
    return Run(
        info=info,
        events=tuple(read_events(folder / "events.jsonl")),
        classes=tuple(split_of(folder).get("classes", ())),
        pictures=info.pictures,
    )


def split_of(folder: Path) -> Mapping[str, Any]:
    """Return what a run has noted of its pictures: "classes" and, by part, the pictures as rows.

    Not to be changed: all who ask share it. Empty where the run has not begun.
    """
    path = folder / "split.json"
    try:
        return _split(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}


@lru_cache(maxsize=8)  # every page that looks at a run asks once a second
def _split(path: Path, written: int) -> Mapping[str, Any]:
    return read_json(path)


def stop_run(run: str, settings: Settings) -> None:
    """Ask a run to stop after its current batch. It keeps what it has learned."""
    (_folder(run, settings) / "stop").touch()


def kill_run(run: str, settings: Settings) -> None:
    """End a run's process at once; what it has not saved is lost.

    Raises:
        RunError: no such run, or it lives without a process group of its own.
    """
    folder = _folder(run, settings)
    if not held(folder / "run.lock"):
        return
    process = read_json(folder / "process.json")  # written by whoever holds the lock now
    if not process:
        raise RunError(
            f"Expected a run with a process of its own. Received {run}, which is just beginning, "
            "or works in a terminal. Try again in a moment, or press Ctrl-C twice there."
        )
    with suppress(ProcessLookupError):
        os.killpg(process["group"], signal.SIGKILL)


def delete_run(run: str, settings: Settings) -> None:
    """Remove a run's folder.

    Raises:
        RunError: no such run, or it is still working.
    """
    folder = _folder(run, settings)
    lock = _hold(folder, settings)  # nobody resumes it meanwhile
    with _let_go_on_error(lock):
        gone = folder.with_name(f".gone-{folder.name}")
        folder.rename(gone)
        shutil.rmtree(gone)
    os.close(lock)


def log_tail(folder: Path, lines: int = LOG_TAIL) -> str:
    """Return the last lines that a run's process printed."""
    log = folder / "worker.log"
    if not log.exists():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _folder(run: str, settings: Settings) -> Path:
    folder = settings.runs / run
    if not run or folder.parent != settings.runs or not (folder / "config.json").exists():
        raise _unknown(run, settings)
    return folder


def _unknown(run: str, settings: Settings) -> RunError:
    known = ", ".join(info.id for info in list_runs(settings)[:10]) or "none yet"
    return RunError(f"Expected the id of a run ({known}). Received {run!r}.")


def _info(folder: Path) -> RunInfo:
    """Return a run's line; what has ended is read once for each state of its files."""
    try:
        ended = (folder / "outcome.json").stat().st_mtime_ns
    except FileNotFoundError:
        return _read_info(folder)
    try:
        noted = (folder / "notes.json").stat().st_mtime_ns
    except FileNotFoundError:
        noted = 0
    return _ended_info(folder, ended, noted)


@lru_cache(maxsize=4096)
def _ended_info(folder: Path, ended: int, noted: int) -> RunInfo:
    return _read_info(folder)


def _read_info(folder: Path) -> RunInfo:
    config = RunConfig.from_json((folder / "config.json").read_text(encoding="utf-8"))
    outcome = outcome_of(folder)
    facts = read_json(folder / "facts.json")
    return RunInfo(
        id=folder.name,
        folder=folder,
        state=outcome.state if outcome else living_state(folder),
        config=config,
        created=(folder / "config.json").stat().st_mtime,
        seconds=outcome.seconds if outcome else None,
        val_accuracy=outcome.val_accuracy if outcome else None,
        error=outcome.error if outcome else "",
        val_loss=outcome.val_loss if outcome else None,
        epochs=outcome.epochs if outcome else 0,
        data_hash=facts.get("data_hash", ""),
        pictures=facts.get("pictures") or _pictures(folder),
        notes=read_notes(folder),
    )


def _pictures(folder: Path) -> dict[str, int]:
    """Count the pictures of a run made before there were facts."""
    split = split_of(folder)
    return {part: len(split[part]) for part in ("train", "val") if part in split}
