"""Runs on disk. A run is a folder, and its state is derived from what lies in it:

==============  ===============================================================
config.json     what was asked (RunConfig)
split.json      classes and the images of each part, once known
provenance.json      data hash, counts, versions, machine
notes.json      name, note and tags that a person gave it
events.jsonl    what happened so far (events)
status.json    how it ended; absent while it works
previous_status.json    how it had ended before it was resumed
checkpoint.npz  weights and optimizer at the end of an epoch
model.keras     the trained network, preprocessed pixels → probabilities
worker.log      all that the process printed
stage_predictions-*.npz  the classes predicted at the end of each training stage
predictions-*.npz what it says of each part, once somebody reviews it
parent_run.json      the run whose mistakes led to it, where there is one
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
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tlcore.datasets.dataset import SPLITS, Sample, dataset_hash
from tlcore.errors import DamagedFile, RunError, UnsafePath
from tlcore.settings import Settings
from tlcore.storage import child_path, holds_any
from tlcore.text import csv_text, shorten
from tlcore.training.config import list_differences, read_config
from tlcore.training.history import Event, damaged_lines, read_events
from tlcore.training.records import (
    CONFIG,
    EMPTY_SPLIT,
    EVENTS,
    MISSING,
    MODEL,
    NOTES,
    PROVENANCE,
    SPLIT,
    STATUS,
    Damage,
    DamagedRun,
    Provenance,
    find_model_damage,
    find_split_damage,
    read_after,
    read_or_record_damage,
    read_process,
    read_provenance,
    read_split,
)
from tlcore.training.run import Notes, Run, RunInfo, read_notes
from tlcore.training.status import (
    DAMAGED,
    FINISHED,
    SIGNS,
    FinalStatus,
    derive_active_status,
    read_final_status,
    read_previous_status,
)

LOG_TAIL = 40  # lines of the log shown with a failure
_LISTED = (STATUS, NOTES, CONFIG, PROVENANCE, SPLIT, MODEL)  # files that a run's line depends on
_OF_A_RUN = (*SIGNS, *_LISTED)  # a folder with one of these is a run
_ABSENT = (0, 0)  # instead of the time and size of a file


def list_runs(settings: Settings) -> list[RunInfo]:
    """Return all runs whose settings can be read, newest first. See ``scan_runs``."""
    return scan_runs(settings)[0]


def scan_runs(settings: Settings) -> tuple[list[RunInfo], list[DamagedRun]]:
    """Return all runs, newest first: those that can be used, and those that can only be listed.

    A folder that is no run is passed over, also one that is deleted meanwhile.
    """
    runs: list[RunInfo] = []
    damaged: list[DamagedRun] = []
    if not settings.runs.is_dir():
        return runs, damaged
    for name in sorted(os.listdir(settings.runs), reverse=True):  # noqa: PTH208 - see _info
        if not name.startswith("."):
            read = _read_any(f"{settings.runs}/{name}")
            if isinstance(read, RunInfo):
                runs.append(read)
            elif read is not None:
                damaged.append(read)
    return runs, damaged


def sort_newest_first(
    runs: Iterable[RunInfo], damaged: Iterable[DamagedRun]
) -> list[RunInfo | DamagedRun]:
    """Return the runs of ``scan_runs`` as one list."""
    return sorted((*runs, *damaged), key=lambda run: run.id, reverse=True)


def load_run_info(run: str, settings: Settings) -> RunInfo:
    """Return one run without its events.

    Raises:
        RunError: there is none of that id, or its settings cannot be read.
    """
    read = _read_any(str(find_run_folder(run, settings)))
    if isinstance(read, RunInfo):
        return read
    if read is not None:
        raise RunError(f"The run {run} cannot be used: {read.damage.words}")
    raise unknown_run_error(run, settings)  # deleted in this moment


def load_run(run: str, settings: Settings) -> Run:
    """Return one run with its events. Raises as ``load_run_info`` does."""
    info = load_run_info(
        run, settings
    )  # before the events: an outcome seen has all its events on disk
    damage = list(info.damage)
    of_split = None if info.active else find_split_damage(info.folder, whole=True)
    if of_split and of_split not in damage:
        damage.append(of_split)
        info = replace(info, status=DAMAGED, damage=tuple(damage))
    split = read_or_record_damage(read_split, info.folder, EMPTY_SPLIT, [])
    events = _events(info, damage)
    for read in (read_previous_status, read_after, read_process):
        read_or_record_damage(read, info.folder, None, damage)
    return Run(info, events, split.classes, info.images, tuple(damage))


def _events(info: RunInfo, damage: list[Damage]) -> tuple[Event, ...]:
    path, reason = info.folder / EVENTS, ""
    events = read_or_record_damage(read_events, path, None, damage)
    if events is None:
        return ()
    if not path.exists():
        reason = MISSING if info.epochs else ""
    elif bad := damaged_lines(path, ended=not info.active):
        reason = f"{'a line' if bad == 1 else f'{bad:,} lines'} cannot be read"
    elif info.epochs and not events:
        reason = "it is empty"
    if reason:
        damage.append(Damage(EVENTS, reason))
    return tuple(events)


def read_log_tail(folder: Path, lines: int = LOG_TAIL) -> str:
    """Return the last lines that a run's process printed."""
    try:
        text = (folder / "worker.log").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"worker.log cannot be read: {error.strerror}."
    return "\n".join(text.splitlines()[-lines:])


def find_run_folder(run: str, settings: Settings) -> Path:
    """Return the folder of a run, damaged ones too.

    Raises:
        RunError: there is none of that id.
    """
    try:
        folder = child_path(settings.runs, run)
    except UnsafePath as error:
        raise unknown_run_error(run, settings) from error
    if not holds_any(folder, _OF_A_RUN):
        raise unknown_run_error(run, settings)
    return folder


def unknown_run_error(run: str, settings: Settings) -> RunError:
    """Return the error of an id that no run has."""
    newest = ", ".join(info.id for info in list_runs(settings)[:3]) or "there is none yet"
    return RunError(
        f"Expected the id of a run that is here (the newest: {newest}). Received "
        f"{shorten(repr(run))}: there is none of that id, or it has been deleted. Choose another, "
        "or start a new one."
    )


def _read_any(folder: str) -> RunInfo | DamagedRun | None:
    """Return a run, one that can only be listed, or None for a folder that is none."""
    try:
        return _info(folder)
    except FileNotFoundError:
        damage = Damage(CONFIG, MISSING)
    except DamagedFile as error:
        damage = Damage(error.path.name, error.reason)
    path = Path(folder)
    if not holds_any(path, _OF_A_RUN):
        return None
    try:
        return DamagedRun(path.name, path, path.stat().st_mtime, damage)
    except FileNotFoundError:  # deleted in this moment
        return None


def _info(folder: str) -> RunInfo:
    """Return a run's line; what has ended is read once for each state of its files.

    A string, as pages ask for hundreds of them several times: a Path takes three times as long.
    """
    states = tuple(_written(f"{folder}/{name}") for name in _LISTED)
    if states[0] == _ABSENT:
        return _read_info(Path(folder))
    return _ended_info(folder, states)


def _written(path: str) -> tuple[int, int]:
    """Return when a file was written, ns, and its bytes."""
    try:
        status = os.stat(path)  # noqa: PTH116 - see _info
    except OSError:
        return _ABSENT
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4096)
def _ended_info(folder: str, states: tuple[tuple[int, int], ...]) -> RunInfo:
    return _read_info(Path(folder))


def _read_info(folder: Path) -> RunInfo:
    """Read a run's line; what a damaged file alone tells is left out and noted."""
    config = read_config(folder / CONFIG)
    damage: list[Damage] = []
    facts = read_or_record_damage(read_provenance, folder, Provenance(), damage)
    notes = read_or_record_damage(read_notes, folder, Notes(), damage)
    outcome = read_or_record_damage(read_final_status, folder, None, damage)
    ended = outcome is not None or bool(damage and damage[-1].file == STATUS)
    if ended:
        finished = outcome is None or outcome.status == FINISHED
        checks = (find_split_damage(folder), find_model_damage(folder, finished=finished))
        damage += filter(None, checks)
    return RunInfo(
        id=folder.name,
        folder=folder,
        status=_status(folder, outcome, damage),
        config=config,
        created=(folder / CONFIG).stat().st_mtime,
        seconds=outcome.seconds if outcome else None,
        val_accuracy=outcome.val_accuracy if outcome else None,
        error=outcome.error if outcome else "",
        val_loss=outcome.val_loss if outcome else None,
        epochs=outcome.epochs if outcome else 0,
        best_epoch=outcome.best_epoch if outcome else 0,
        data_hash=facts.dataset_hash or _earlier_hash(folder, facts),
        images=facts.images or _images(folder),
        notes=notes,
        damage=tuple(damage),
    )


def _status(folder: Path, outcome: FinalStatus | None, damage: Sequence[Damage]) -> str:
    if any(each.file in (STATUS, SPLIT) and each.reason != MISSING for each in damage):
        return DAMAGED
    return outcome.status if outcome else derive_active_status(folder)


def _earlier_hash(folder: Path, facts: Provenance) -> str:
    """Return the dataset's hash for a run that noted another one, of two parts only."""
    split = (
        read_or_record_damage(read_split, folder, EMPTY_SPLIT, [])
        if facts.data_hash
        else EMPTY_SPLIT
    )
    rows = [row for part in SPLITS for row in split.rows(part)]
    samples = [Sample(row.file, folder, row.sha256, row.label, None) for row in rows]
    return dataset_hash(samples) if samples else facts.data_hash


def _images(folder: Path) -> dict[str, int]:
    """Count the images of a run whose facts do not."""
    split = read_or_record_damage(read_split, folder, EMPTY_SPLIT, [])
    return {part: len(split.rows(part)) for part in ("train", "val") if split.rows(part)}


# Runs beside each other: what was asked differently, and what came of it.


# name → of RunInfo; "epochs" is a setting, of which fewer may have been done
FIGURES = {
    "status": "status",
    "val_accuracy": "val_accuracy",
    "val_loss": "val_loss",
    "epochs_done": "epochs",
    "seconds": "seconds",
}


def compare_configurations(runs: Sequence[Run]) -> dict[str, tuple[Any, ...]]:
    """Return a row for every setting that differs, then one for each figure; a value a run."""
    infos = [run.info for run in runs]
    rows: dict[str, tuple[Any, ...]] = {
        name: tuple(_plain(value) for value in values)
        for name, values in list_differences(info.config for info in infos).items()
    }
    if len({info.data_hash for info in infos}) > 1:
        rows["data_hash"] = tuple(info.data_hash[:12] for info in infos)
    figures = {
        name: tuple(getattr(info, field) for info in infos) for name, field in FIGURES.items()
    }
    return rows | figures


def tabulate_runs(infos: Sequence[RunInfo]) -> list[dict[str, Any]]:
    """Return runs as rows of plain values, for CSV and JSON."""
    return [
        {
            "id": info.id,
            "name": info.notes.name,
            "tags": " ".join(info.notes.tags),
            "note": info.notes.note,
            "created": info.created,
            "data_hash": info.data_hash,
            **{name: getattr(info, field) for name, field in FIGURES.items()},
            **{name: _plain(value) for name, value in info.config.to_json().items()},
        }
        for info in infos
    ]


def format_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows of the same names as comma-separated values with a header."""
    names = list(rows[0]) if rows else []
    return csv_text([names, *([row[name] for name in names] for row in rows)])


def _plain(value: Any) -> Any:
    return " ".join(str(part) for part in value) if isinstance(value, list | tuple) else value
