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
validation-*.npz  the classes predicted at the end of each training stage
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

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from tlcore.errors import RunError, TLCoreError
from tlcore.settings import Settings
from tlcore.storage import read_json_or
from tlcore.training.config import RunConfig
from tlcore.training.events import read_events
from tlcore.training.notes import read_notes
from tlcore.training.outcome import living_state, outcome_of
from tlcore.training.run import Run, RunInfo

LOG_TAIL = 40  # lines of the log shown with a failure


def list_runs(settings: Settings) -> list[RunInfo]:
    """Return all runs, newest first.

    A folder that is no run is passed over, also one whose configuration nobody can read (any
    more) and one that is deleted meanwhile.
    """
    if not settings.runs.is_dir():
        return []
    found = []
    for name in sorted(os.listdir(settings.runs), reverse=True):  # noqa: PTH208 - see _info
        if not name.startswith("."):
            with suppress(TLCoreError, FileNotFoundError, NotADirectoryError):
                found.append(_info(f"{settings.runs}/{name}"))
    return found


def run_info(run: str, settings: Settings) -> RunInfo:
    """Return one run without its events.

    Raises:
        RunError: there is none of that id.
        BadConfig, UnknownName: its configuration cannot be read (any more).
    """
    folder = folder_of(run, settings)
    try:
        return _info(str(folder))
    except FileNotFoundError as error:  # deleted in this moment
        raise unknown(run, settings) from error


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
    return read_json_or(path, dict, {})


def log_tail(folder: Path, lines: int = LOG_TAIL) -> str:
    """Return the last lines that a run's process printed."""
    log = folder / "worker.log"
    if not log.exists():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def folder_of(run: str, settings: Settings) -> Path:
    folder = settings.runs / run
    if not run or folder.parent != settings.runs or not (folder / "config.json").exists():
        raise unknown(run, settings)
    return folder


def unknown(run: str, settings: Settings) -> RunError:
    known = ", ".join(info.id for info in list_runs(settings)[:3]) or "there is none yet"
    return RunError(
        f"Expected the id of a run that is here (the newest: {known}). Received {run!r}: there is "
        "none of that id, or it has been deleted. Choose another, or start a new one."
    )


def _info(folder: str) -> RunInfo:
    """Return a run's line; what has ended is read once for each state of its files.

    A string, as pages ask for hundreds of them several times: a Path takes three times as long.
    """
    ended = _written(f"{folder}/outcome.json")
    if not ended:
        return _read_info(Path(folder))
    return _ended_info(folder, ended, _written(f"{folder}/notes.json"))


def _written(path: str) -> int:
    """Return when a file was written, ns; 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - see _info
    except FileNotFoundError:
        return 0


@lru_cache(maxsize=4096)
def _ended_info(folder: str, ended: int, noted: int) -> RunInfo:
    return _read_info(Path(folder))


def _read_info(folder: Path) -> RunInfo:
    config = RunConfig.from_json((folder / "config.json").read_text(encoding="utf-8"))
    outcome = outcome_of(folder)
    facts = read_json_or(folder / "facts.json", dict, {})
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
