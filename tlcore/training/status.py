"""The files of a run's folder, what is lost when one is damaged, and the status derived from them.

A run is a folder of plain files below ``TLCORE_HOME/runs``. A damaged file costs only what it alone
holds; everything else of the run keeps working. Beside the files named below there are
``predictions-SPLIT.npz``, ``report.html`` and ``bundle.zip``.

A run is queued or running while its process holds ``run.lock``. A process that ends writes
``status.json``; where it could not, the status and its likely cause are derived from what is left.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from tlcore.errors import DamagedFile
from tlcore.storage import is_full, is_locked, read_json_or, write_file, write_json

T = TypeVar("T")
D = TypeVar("D")

CONFIG = "config.json"  # the options, see RunConfig
SPLIT = "split.json"  # classes, and the images of each split with their hashes
PROVENANCE = "provenance.json"  # dataset hash, counts, versions, machine
NOTES = "notes.json"  # name, note and tags
EVENTS = "events.jsonl"  # what has happened so far, see history
STATUS = "status.json"  # how it ended; missing while it is active
PREVIOUS_STATUS = "previous_status.json"  # how it had ended before it was resumed
CHECKPOINT = "checkpoint.npz"  # weights and optimizer at the end of an epoch
MODEL = "model.keras"  # the trained model, preprocessed pixels → probabilities
STAGE_PREDICTIONS = "stage_predictions-{}.npz"  # classes of the validation images, by stage
PARENT_RUN = "parent_run.json"  # the run whose mistakes were corrected for it
PROCESS = "process.json"  # process group of its worker
LOG = "worker.log"  # output of its process
LOCK = "run.lock"  # held by the process as long as it lives
STOP, QUEUED_MARK = "stop", "queued"  # empty: asked to stop; resumed, and waits for its turn
WORKER_FILES = (CONFIG, SPLIT, EVENTS, CHECKPOINT, MODEL, LOG)  # written by the run's process
MISSING = "it is missing"

# file → what is lost without it, what still works, and what can be done
CONSEQUENCES: Mapping[str, str] = {
    CONFIG: "Its options are lost, so it cannot be used. Restore a copy of the file, or "
    "delete the run.",
    SPLIT: "Its classes and images are lost, so its model cannot predict. Its curves are "
    "still here. Restore a copy of the file, run it again, or delete it.",
    PROVENANCE: "The versions, the machine and the hash of its dataset are lost. Everything "
    "else works.",
    NOTES: "Its name, note and tags are lost. Everything else works; enter them again.",
    EVENTS: "That part of its curves is lost. Everything else works.",
    STATUS: "How it ended is lost. Its curves and its model still work; Resume finishes it "
    "from its last checkpoint.",
    PREVIOUS_STATUS: "How long it ran before it was resumed is lost. Everything else works.",
    MODEL: "It cannot predict. Resume writes the model again from the last checkpoint; or run "
    "it again.",
    PARENT_RUN: "Which run it corrects is lost. Everything else works.",
    PROCESS: "Its process cannot be killed from here. Everything else works.",
}

QUEUED, RUNNING, FINISHED, STOPPED, FAILED = "queued", "running", "finished", "stopped", "failed"
DAMAGED = "damaged"  # how it ended, or what it was trained on, cannot be read
ACTIVE = (QUEUED, RUNNING)
RESERVE, RESERVED = ".reserve", 64 * 1024  # file and bytes that a status.json fits into
RESUME = "Resume it: it continues from its last checkpoint."


@dataclass(frozen=True)
class Damage:
    """A file of a run that cannot be read."""

    file: str  # its name, a key of CONSEQUENCES
    reason: str  # part of a sentence: "it is empty"

    @property
    def description(self) -> str:
        """What is damaged, what is lost and what can still be done."""
        damaged = "missing" if self.reason == MISSING else f"damaged ({self.reason})"
        return f"{self.file} is {damaged}. {CONSEQUENCES[self.file]}"


@dataclass(frozen=True)
class DamagedRun:
    """A run whose options cannot be read: it can only be listed and deleted."""

    id: str
    folder: Path
    created: float  # s since 1970, of the folder
    damage: Damage


def read_or_record_damage(
    read: Callable[[Path], T], path: Path, default: D, damage: list[Damage]
) -> T | D:
    """Return ``read(path)``; where the file is damaged, record that and return the default."""
    try:
        return read(path)
    except DamagedFile as error:
        damage.append(Damage(error.path.name, error.reason))
        return default


def find_model_damage(folder: Path, *, finished: bool) -> Damage | None:
    """Return what is wrong with a trained model, as far as it shows without loading it."""
    path = folder / MODEL
    if not path.exists():
        is_lost = finished and (folder / CHECKPOINT).exists()
        return Damage(MODEL, MISSING) if is_lost else None
    if zipfile.is_zipfile(path):
        return None
    is_empty = path.is_file() and not path.stat().st_size
    return Damage(MODEL, "it is empty" if is_empty else "it is not a whole Keras file")


@dataclass(frozen=True)
class FinalStatus:
    """How a run ended, as its own process wrote it."""

    status: str  # FINISHED, STOPPED or FAILED
    seconds: float
    val_accuracy: float | None  # of the saved model, 0…1
    error: str = ""  # for a person
    val_loss: float | None = None  # of the saved model
    epochs: int = 0  # that have ended, of all stages
    best_epoch: int = 0  # 1-based, whose weights are saved; 0 in runs of early versions

    def __post_init__(self) -> None:
        if self.status not in (FINISHED, STOPPED, FAILED):
            raise ValueError(f"a run does not end as {self.status!r}")


def write_final_status(folder: Path, status: FinalStatus) -> None:
    """Write how a run ended, also on a full disk: its reserve and unfinished files make room.

    Raises:
        OSError: the disk is read-only, or fails.
    """
    try:
        write_json(folder / STATUS, asdict(status))
    except OSError as error:
        if not is_full(error):
            raise
        _remove_hidden_files(folder)
        write_json(folder / STATUS, asdict(status))
    with suppress(OSError):
        _remove_hidden_files(folder)


def reserve_disk_space(folder: Path) -> None:
    """Reserve room for the status.json of a run that begins, for when the disk fills up.

    Raises:
        OSError: there is none.
    """
    write_file(folder / RESERVE, os.urandom(RESERVED), durable=True)


def _remove_hidden_files(folder: Path) -> None:
    for name in (RESERVE, ".saving.keras", f".{CHECKPOINT}", f".{EVENTS}"):
        (folder / name).unlink(missing_ok=True)


def set_status_aside(folder: Path, status: FinalStatus | None) -> None:
    """Turn the status of a run into its previous one, as it is resumed; its model stays.

    A damaged status.json (``status`` is None) is kept under another name.
    """
    if status:
        write_json(folder / PREVIOUS_STATUS, asdict(status))
        (folder / STATUS).unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):
        (folder / STATUS).replace(folder / f".damaged-{STATUS}")


def add_previous_status(folder: Path, status: FinalStatus) -> FinalStatus:
    """Return the status of a resumed run with the time before it was resumed added.

    Without figures of its own it has those of the model that is still saved from before.
    """
    try:
        previous = read_previous_status(folder)
    except DamagedFile:  # lists show it; how the run ended now must be written
        return status
    if previous is None:
        return status
    seconds = previous.seconds + status.seconds
    if status.val_accuracy is not None or not (folder / MODEL).exists():
        return replace(status, seconds=seconds)
    return replace(previous, status=status.status, seconds=seconds, error=status.error)


def read_final_status(folder: Path, *, ended: bool = False) -> FinalStatus | None:
    """Return how a run ended, or None while its process is alive.

    ``ended``: the caller holds the run's lock, so that its process is known to have ended.

    Raises:
        DamagedFile: status.json cannot be read.
    """
    # The lock before the file: a process writes its status before it releases the lock.
    alive = not ended and is_locked(folder / LOCK)
    status = read_json_or(folder / STATUS, FinalStatus, None, newest=1)
    if status or alive:
        return status
    return add_previous_status(folder, _derive_final_status(folder))


def read_previous_status(folder: Path) -> FinalStatus | None:
    """Return how a run had ended before it was resumed; None where it was not.

    Raises:
        DamagedFile: previous_status.json cannot be read.
    """
    return read_json_or(folder / PREVIOUS_STATUS, FinalStatus, None, newest=1)


def read_process_group(folder: Path) -> int | None:
    """Return the process group of a run's worker; None where it has none of its own.

    Raises:
        DamagedFile: process.json cannot be read.
    """
    group = read_json_or(folder / PROCESS, dict[str, int], {}, newest=1).get("group")
    if group is not None and group < 2:
        raise DamagedFile(folder / PROCESS, f"{group} is no process group of a run")
    return group


def write_process_group(folder: Path) -> None:
    """Store the group of this process, so that the run can be killed."""
    write_json(folder / PROCESS, {"group": os.getpgid(0)}, durable=False)


def is_waiting(folder: Path) -> bool:
    """Whether a run has not begun, or has been resumed and not continued yet."""
    return (folder / QUEUED_MARK).exists() or not (folder / EVENTS).exists()


def _derive_final_status(folder: Path) -> FinalStatus:
    """Return how a run ended whose process was gone before it could write that."""
    previous = folder / PREVIOUS_STATUS
    began = (previous if previous.exists() else folder / CONFIG).stat().st_mtime
    written = [path.stat().st_mtime for name in WORKER_FILES if (path := folder / name).exists()]
    seconds = max(0.0, max(written) - began)
    if (folder / STOP).exists():
        return FinalStatus(STOPPED, seconds, None, "It was killed before it could save anything.")
    return FinalStatus(FAILED, seconds, None, f"{_guess_cause(folder)} {RESUME}")


def _guess_cause(folder: Path) -> str:
    """Return why a process may have ended without writing a status."""
    disk = os.statvfs(folder)
    if disk.f_flag & os.ST_RDONLY:
        return "The disk is read-only, so that the run could not save anything. Make it writable."
    if disk.f_bavail * disk.f_frsize < RESERVED:
        return "The disk is full, so that the run could not save anything. Free some space."
    return (
        "The training process was killed: by a person, by the system because memory ran out, or "
        "by a restart of the machine. The log below has its last lines. A smaller batch or image "
        "size needs less memory."
    )
