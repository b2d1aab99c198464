"""Runs on disk. A run is a folder, and its state is derived from what lies in it:

============  =================================================================
config.json   what was asked (RunConfig)
split.json    classes and the pictures of each part, once known
events.jsonl  what happened so far (events)
outcome.json  how it ended; absent while it works
model.keras   the trained network, preprocessed pixels → probabilities
worker.log    all that the process printed
run.lock      locked by the process while it lives
stop          present once somebody asked it to stop
============  =================================================================
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tlcore.errors import RunError
from tlcore.runs.config import RunConfig
from tlcore.runs.events import Epoch, Event, Progress, Skipped, Stage, history, read_events
from tlcore.runs.locks import held, hold
from tlcore.settings import Settings

QUEUED, RUNNING, FINISHED, STOPPED, FAILED = "queued", "running", "finished", "stopped", "failed"
ACTIVE = (QUEUED, RUNNING)
LOG_TAIL = 40  # lines of the log shown with a failure


@dataclass(frozen=True)
class Outcome:
    """How a run ended, as its own process wrote it."""

    state: str  # FINISHED, STOPPED or FAILED
    seconds: float
    val_accuracy: float | None  # of the last epoch, 0…1
    error: str = ""  # for a person


@dataclass(frozen=True)
class RunInfo:
    """One line of the list of runs; read without its events."""

    id: str
    folder: Path
    state: str
    config: RunConfig
    created: float  # s since 1970
    seconds: float | None  # from start to end; None while it works
    val_accuracy: float | None  # 0…1
    error: str

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def model(self) -> Path | None:
        """The trained network, where there is one."""
        path = self.folder / "model.keras"
        return path if path.exists() else None


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
        return tuple(event for event in self.events if isinstance(event, Skipped))


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
    making.rename(folder)
    return folder, lock


def list_runs(settings: Settings) -> list[RunInfo]:
    """Return all runs, newest first. A folder that is no run is passed over."""
    if not settings.runs.is_dir():
        return []
    folders = sorted(settings.runs.glob("[!.]*/config.json"), reverse=True)
    return [_info(path.parent) for path in folders]


def run_info(run: str, settings: Settings) -> RunInfo:
    """Return one run without its events.

    Raises:
        RunError: there is none of that id.
    """
    return _info(_folder(run, settings))


def load_run(run: str, settings: Settings) -> Run:
    """Return one run with its events. Raises as ``run_info`` does."""
    folder = _folder(run, settings)
    info = _info(folder)  # before the events: an outcome seen has all its events on disk
    split = _read_json(folder / "split.json")
    return Run(
        info=info,
        events=tuple(read_events(folder / "events.jsonl")),
        classes=tuple(split.get("classes", ())),
        pictures={part: len(split[part]) for part in ("train", "val") if part in split},
    )


def stop_run(run: str, settings: Settings) -> None:
    """Ask a run to stop after its current batch. It keeps what it has learned."""
    (_folder(run, settings) / "stop").touch()


def kill_run(run: str, settings: Settings) -> None:
    """End a run's process at once; what it has not saved is lost."""
    folder = _folder(run, settings)
    process = _read_json(folder / "process.json")
    if process and held(folder / "run.lock"):
        os.killpg(process["group"], signal.SIGKILL)


def delete_run(run: str, settings: Settings) -> None:
    """Remove a run's folder.

    Raises:
        RunError: no such run, or it is still working.
    """
    info = run_info(run, settings)
    if info.active:
        raise RunError(
            f"Expected run {run} to have ended. Received one that is {info.state}. Stop it first."
        )
    gone = info.folder.with_name(f".gone-{info.folder.name}")
    info.folder.rename(gone)
    shutil.rmtree(gone)


def log_tail(folder: Path, lines: int = LOG_TAIL) -> str:
    """Return the last lines that a run's process printed."""
    log = folder / "worker.log"
    if not log.exists():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
    temporary.replace(path)


def write_outcome(folder: Path, outcome: Outcome) -> None:
    write_json(folder / "outcome.json", asdict(outcome))


def _folder(run: str, settings: Settings) -> Path:
    folder = settings.runs / run
    if not run or folder.parent != settings.runs or not (folder / "config.json").exists():
        known = ", ".join(info.id for info in list_runs(settings)[:10]) or "none yet"
        raise RunError(f"Expected the id of a run ({known}). Received {run!r}.")
    return folder


def _info(folder: Path) -> RunInfo:
    config = RunConfig.from_json((folder / "config.json").read_text(encoding="utf-8"))
    outcome = _outcome(folder)
    return RunInfo(
        id=folder.name,
        folder=folder,
        state=outcome.state if outcome else _living_state(folder),
        config=config,
        created=(folder / "config.json").stat().st_mtime,
        seconds=outcome.seconds if outcome else None,
        val_accuracy=outcome.val_accuracy if outcome else None,
        error=outcome.error if outcome else "",
    )


def _living_state(folder: Path) -> str:
    return RUNNING if (folder / "events.jsonl").exists() else QUEUED


def _outcome(folder: Path) -> Outcome | None:
    """Return how the run ended, or None while its process lives."""
    alive = held(folder / "run.lock")  # first: an outcome is written before the lock goes
    written = _read_json(folder / "outcome.json")
    if written:
        return Outcome(**written)
    if alive:
        return None
    seconds = _last_sign(folder) - (folder / "config.json").stat().st_mtime
    if (folder / "stop").exists():
        return Outcome(STOPPED, seconds, None, "It was ended before it could save what it had.")
    return Outcome(
        FAILED,
        seconds,
        None,
        "The training process ended without a word: it was killed, or the machine went down or "
        "ran out of memory. The log below has its last lines. Start the run again; a smaller "
        "batch or image size needs less memory.",
    )


def _last_sign(folder: Path) -> float:
    return max(path.stat().st_mtime for path in folder.iterdir())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return value
