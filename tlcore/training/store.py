"""Runs on disk: list them, load one, compare several. ``status`` has the files of a run."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tlcore.errors import DamagedFile, RunError, UnsafePath
from tlcore.settings import Settings
from tlcore.storage import child_path, holds_any, write_file
from tlcore.text import csv_text, shorten
from tlcore.training import provenance
from tlcore.training import status as files
from tlcore.training.config import read_config
from tlcore.training.history import Event, count_damaged_lines, read_events
from tlcore.training.run import Listed, Notes, Run, RunInfo, read_notes, read_parent_run
from tlcore.training.status import Damage, DamagedRun, read_or_record_damage

LOG_TAIL = 40  # lines of the log shown with a failure
# Files that a run's line depends on, the one of runs that have ended first.
_LISTED = (files.STATUS, files.NOTES, files.CONFIG, files.PROVENANCE, files.SPLIT, files.MODEL)
_OF_A_RUN = (*files.WORKER_FILES, *_LISTED)  # a folder with one of these is a run
_ABSENT = (0, 0)  # instead of the time and size of a file


def list_runs(settings: Settings) -> list[RunInfo]:
    """Return the runs whose options can be read, newest first."""
    return [run for run in scan_runs(settings) if isinstance(run, RunInfo)]


def scan_runs(settings: Settings) -> list[Listed]:
    """Return all runs, newest first, also those that can only be listed.

    A folder that is no run is passed over, also one that is being deleted.
    """
    if not settings.runs.is_dir():
        return []
    names = sorted(os.listdir(settings.runs), reverse=True)  # noqa: PTH208 - see _load_any
    runs = (_load_any(f"{settings.runs}/{name}") for name in names if not name.startswith("."))
    return [run for run in runs if run is not None]


def load_run_info(run: str, settings: Settings) -> RunInfo:
    """Return one run without its events.

    Raises:
        RunError: there is none of that id, or its options cannot be read.
    """
    info = _load_any(str(find_run_folder(run, settings)))
    if isinstance(info, RunInfo):
        return info
    if info is not None:
        raise RunError(f"The run {run} cannot be used: {info.damage.description}")
    raise unknown_run_error(run, settings)  # deleted in this moment


def load_run(run: str, settings: Settings) -> Run:
    """Return one run with its events. Raises as ``load_run_info`` does."""
    info = load_run_info(run, settings)  # first: a run with a status has all its events on disk
    damage = list(info.damage)
    splits = read_or_record_damage(provenance.read_splits, info.folder, provenance.NO_SPLITS, [])
    events = _load_events(info, damage)
    for read in (files.read_previous_status, read_parent_run, files.read_process_group):
        read_or_record_damage(read, info.folder, None, damage)
    return Run(info, events, splits.classes, tuple(damage))


def _load_events(info: RunInfo, damage: list[Damage]) -> tuple[Event, ...]:
    path, reason = info.folder / files.EVENTS, ""
    events = read_or_record_damage(read_events, path, None, damage)
    if events is None:
        return ()
    if not path.exists():
        reason = files.MISSING if info.epochs else ""
    elif lines := count_damaged_lines(path, ended=not info.active):
        reason = f"{'a line' if lines == 1 else f'{lines:,} lines'} cannot be read"
    elif info.epochs and not events:
        reason = "it is empty"
    if reason:
        damage.append(Damage(files.EVENTS, reason))
    return tuple(events)


def read_log_tail(folder: Path, lines: int = LOG_TAIL) -> str:
    """Return the last lines that a run's process printed."""
    try:
        text = (folder / files.LOG).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{files.LOG} cannot be read: {error.strerror}."
    return "\n".join(text.splitlines()[-lines:])


def evaluation_job(run: str, settings: Settings) -> Path:
    """Return the folder of the job that computes behind a run what its views need."""
    return settings.jobs / f"{run}-evaluate"


def find_run_folder(run: str, settings: Settings) -> Path:
    """Return the folder of a run, also of a damaged one.

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
        f"Expected the id of a run (the newest: {newest}). Received {shorten(repr(run))}: there is "
        "none of that id, or it has been deleted. Choose another, or start a new one."
    )


def _load_any(folder: str) -> Listed | None:
    """Return a run, one that can only be listed, or None for a folder that is none.

    A run that has ended is read once for each version of its files. ``folder`` is a string, as
    pages ask for hundreds of them: a Path takes three times as long.
    """
    versions = tuple(_version(f"{folder}/{name}") for name in _LISTED)
    has_ended = versions[0] != _ABSENT
    try:
        return _ended_info(folder, versions) if has_ended else _read_info(Path(folder))
    except FileNotFoundError:
        damage = Damage(files.CONFIG, files.MISSING)
    except DamagedFile as error:
        damage = Damage(error.path.name, error.reason)
    path = Path(folder)
    if not holds_any(path, _OF_A_RUN):
        return None
    try:
        return DamagedRun(path.name, path, path.stat().st_mtime, damage)
    except FileNotFoundError:  # deleted in this moment
        return None


def _version(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - see _load_any
    except OSError:
        return _ABSENT
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4096)
def _ended_info(folder: str, versions: tuple[tuple[int, int], ...]) -> RunInfo:
    return _read_info(Path(folder))


def _read_info(folder: Path) -> RunInfo:
    """Read a run's line; what a damaged file alone holds is left out and recorded."""
    config = read_config(folder / files.CONFIG)
    damage: list[Damage] = []
    unknown = provenance.Provenance()
    facts = read_or_record_damage(provenance.read_provenance, folder, unknown, damage)
    notes = read_or_record_damage(read_notes, folder, Notes(), damage)
    final = read_or_record_damage(files.read_final_status, folder, None, damage)
    if final or any(each.file == files.STATUS for each in damage):
        finished = final is None or final.status == files.FINISHED
        model = files.find_model_damage(folder, finished=finished)
        damage += filter(None, (provenance.find_split_damage(folder), model))
    status = files.QUEUED if files.is_waiting(folder) else files.RUNNING
    ended = asdict(final) if final else {"seconds": None, "val_accuracy": None, "error": ""}
    ended = {"status": status} | ended
    if any(d.file in (files.STATUS, files.SPLIT) and d.reason != files.MISSING for d in damage):
        ended["status"] = files.DAMAGED
    return RunInfo(
        id=folder.name,
        folder=folder,
        config=config,
        created=(folder / files.CONFIG).stat().st_mtime,
        data_hash=facts.dataset_hash,
        images=facts.images,
        notes=notes,
        damage=tuple(damage),
        **ended,
    )


Predictions = Mapping[str, tuple[int, int]]  # sha256 → index of the label, of the predicted class


def save_stage_predictions(
    folder: Path,
    stage: str,
    epoch: int,
    sha256: Sequence[str],
    labels: np.ndarray,
    predicted: np.ndarray,
) -> None:
    """Store the classes that a stage predicted for the validation split at its end.

    With them the head alone is compared with the fine-tuned model, and run with run, image by image
    and without a model. ``sha256``, labels and predicted classes are (n,); ``epoch`` (1-based)
    is the one whose weights predicted, which may be one of the stage before.
    """
    file = io.BytesIO()
    np.savez(file, sha256=sha256, labels=labels, predicted=predicted, epoch=epoch)
    write_file(folder / files.STAGE_PREDICTIONS.format(stage), file.getvalue())


def load_stage_predictions(folder: Path, stage: str, *, epoch: int = 0) -> Predictions:
    """Return what a stage ("head" or "fine-tune") predicted with the weights of an epoch (0: of
    any); empty where that was not stored or cannot be read.
    """
    try:
        with np.load(folder / files.STAGE_PREDICTIONS.format(stage), allow_pickle=False) as file:
            if epoch and "epoch" in file and int(file["epoch"]) != epoch:
                return {}
            columns = [file[name].tolist() for name in ("sha256", "labels", "predicted")]
        return {sha256: (label, answer) for sha256, label, answer in zip(*columns, strict=True)}
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile):
        return {}


def load_model_predictions(info: RunInfo) -> Predictions:
    """Return what the saved model of a run predicted; empty as above.

    A resumed run that was killed may have newer predictions than its model: these are left out.
    """
    stages = ("fine-tune", "head")  # the later one ends with the best weights of both
    stored = (load_stage_predictions(info.folder, each, epoch=info.best_epoch) for each in stages)
    return next((predictions for predictions in stored if predictions), {})


# name in tables → field of RunInfo; "epochs" is an option, of which fewer may have been done
RESULTS = {
    "status": "status",
    "val_accuracy": "val_accuracy",
    "val_loss": "val_loss",
    "epochs_done": "epochs",
    "seconds": "seconds",
}


def compare_configurations(runs: Iterable[Run]) -> dict[str, tuple[Any, ...]]:
    """Return a row for every option that differs, then one for each result; a value for each run,
    in their order."""
    infos = [run.info for run in runs]
    options = [info.config.to_json() for info in infos]
    names = options[0] if options else ()
    rows = {name: tuple(_to_cell(each[name]) for each in options) for name in names}
    rows = {name: values for name, values in rows.items() if len(set(values)) > 1}
    if len({info.data_hash for info in infos}) > 1:
        rows["data_hash"] = tuple(info.data_hash[:12] for info in infos)
    results = {name: tuple(getattr(i, field) for i in infos) for name, field in RESULTS.items()}
    return rows | results


def tabulate_runs(infos: Iterable[RunInfo]) -> list[dict[str, Any]]:
    """Return runs as rows of plain values, for CSV and JSON."""
    return [
        {
            "id": info.id,
            "name": info.notes.name,
            "tags": " ".join(info.notes.tags),
            "note": info.notes.note,
            "created": info.created,
            "data_hash": info.data_hash,
            **{name: getattr(info, field) for name, field in RESULTS.items()},
            **{name: _to_cell(value) for name, value in info.config.to_json().items()},
        }
        for info in infos
    ]


def format_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows with the same keys as comma-separated values with a header."""
    names = list(rows[0]) if rows else []
    return csv_text([names, *([row[name] for name in names] for row in rows)])


def _to_cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value
