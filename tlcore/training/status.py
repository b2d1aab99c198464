"""The status of a run, derived from the files in its folder.

A run is queued or running while its process holds ``run.lock``. A process that ends writes
``status.json``; where it could not, the status and its likely cause are derived from what is left.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tlcore.errors import DamagedFile
from tlcore.locks import is_locked
from tlcore.storage import is_full, read_json_or, write_file, write_json
from tlcore.training import run_files as files

QUEUED, RUNNING, FINISHED, STOPPED, FAILED = "queued", "running", "finished", "stopped", "failed"
DAMAGED = "damaged"  # how it ended, or what it was trained on, cannot be read
ACTIVE = (QUEUED, RUNNING)
RESERVE, RESERVED = ".reserve", 64 * 1024  # file and bytes that a status.json fits into
RESUME = "Resume it: it continues from its last checkpoint."
WORKER_FILES = (
    files.CONFIG,
    files.SPLIT,
    files.EVENTS,
    files.CHECKPOINT,
    files.MODEL,
    files.LOG,
)  # written by the run's process


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
        write_json(folder / files.STATUS, asdict(status))
    except OSError as error:
        if not is_full(error):
            raise
        _remove_hidden_files(folder)
        write_json(folder / files.STATUS, asdict(status))
    with suppress(OSError):
        _remove_hidden_files(folder)


def reserve_disk_space(folder: Path) -> None:
    """Reserve room for the status.json of a run that begins, for when the disk fills up.

    Raises:
        OSError: there is none.
    """
    write_file(folder / RESERVE, os.urandom(RESERVED), durable=True)


def _remove_hidden_files(folder: Path) -> None:
    """Remove the reserve and files that were being saved."""
    for name in (RESERVE, ".saving.keras", f".{files.CHECKPOINT}", f".{files.EVENTS}"):
        (folder / name).unlink(missing_ok=True)


def set_status_aside(folder: Path, status: FinalStatus | None) -> None:
    """Turn the status of a run into its previous one, as it is resumed; its model stays.

    A damaged status.json (``status`` is None) is kept under another name.
    """
    if status:
        write_json(folder / files.PREVIOUS_STATUS, asdict(status))
        (folder / files.STATUS).unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):
        (folder / files.STATUS).replace(folder / f".damaged-{files.STATUS}")


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
    if status.val_accuracy is not None or not (folder / files.MODEL).exists():
        return replace(status, seconds=seconds)
    return replace(previous, status=status.status, seconds=seconds, error=status.error)


def read_final_status(folder: Path, *, ended: bool = False) -> FinalStatus | None:
    """Return how a run ended, or None while its process is alive.

    Args:
        folder: the run's.
        ended: the caller holds the run's lock, so that its process is known to have ended.

    Raises:
        DamagedFile: status.json cannot be read.
    """
    # The lock before the file: a process writes its status before it releases the lock.
    alive = not ended and is_locked(folder / files.LOCK)
    status = read_json_or(folder / files.STATUS, FinalStatus, None, newest=1)
    if status or alive:
        return status
    return add_previous_status(folder, _derive_final_status(folder))


def read_previous_status(folder: Path) -> FinalStatus | None:
    """Return how a run had ended before it was resumed; None where it was not.

    Raises:
        DamagedFile: previous_status.json cannot be read.
    """
    return read_json_or(folder / files.PREVIOUS_STATUS, FinalStatus, None, newest=1)


def read_process_group(folder: Path) -> int | None:
    """Return the process group of a run's worker; None where it has none of its own.

    Raises:
        DamagedFile: process.json cannot be read.
    """
    group = read_json_or(folder / files.PROCESS, dict[str, int], {}, newest=1).get("group")
    if group is not None and group < 2:
        raise DamagedFile(folder / files.PROCESS, f"{group} is no process group of a run")
    return group


def write_process_group(folder: Path) -> None:
    """Store the group of this process, so that the run can be killed."""
    write_json(folder / files.PROCESS, {"group": os.getpgid(0)}, durable=False)


def derive_active_status(folder: Path) -> str:
    """Return QUEUED or RUNNING for a run whose process is alive."""
    return QUEUED if is_waiting(folder) else RUNNING


def is_waiting(folder: Path) -> bool:
    """Whether a run has not begun, or has been resumed and not continued yet."""
    return (folder / files.QUEUED_MARK).exists() or not (folder / files.EVENTS).exists()


def _derive_final_status(folder: Path) -> FinalStatus:
    """Return how a run ended whose process was gone before it could write that."""
    previous = folder / files.PREVIOUS_STATUS
    began = (previous if previous.exists() else folder / files.CONFIG).stat().st_mtime
    seconds = max(0.0, _find_last_write(folder) - began)
    if (folder / files.STOP).exists():
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
        "by a restart of the machine. "
        "The log below has its last lines. A smaller batch or image size needs less memory."
    )


def _find_last_write(folder: Path) -> float:
    files = (folder / name for name in WORKER_FILES)
    return max(path.stat().st_mtime for path in files if path.exists())
