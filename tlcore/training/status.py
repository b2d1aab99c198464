"""The states of a run and how it ended, derived from the files in its folder."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tlcore.errors import DamagedFile
from tlcore.locks import is_locked
from tlcore.storage import is_full, read_json_or, write_file, write_json
from tlcore.training.records import (
    CHECKPOINT,
    CONFIG,
    EVENTS,
    MODEL,
    PREVIOUS_STATUS,
    SPLIT,
    STATUS,
)

QUEUED, RUNNING, FINISHED, STOPPED, FAILED = "queued", "running", "finished", "stopped", "failed"
DAMAGED = "damaged"  # how it ended, or what it learned from, cannot be read
ACTIVE = (QUEUED, RUNNING)
RESERVE, RESERVED = ".reserve", 64 * 1024  # bytes that an outcome will not need
RESUME = "Resume it: it goes on from its last checkpoint."
# What its process writes; a note or a report is written later, by others.
SIGNS = (CONFIG, SPLIT, EVENTS, CHECKPOINT, MODEL, "worker.log")


@dataclass(frozen=True)
class FinalStatus:
    """How a run ended, as its own process wrote it."""

    status: str  # FINISHED, STOPPED or FAILED
    seconds: float
    val_accuracy: float | None  # of the network that is kept, 0…1
    error: str = ""  # for a person
    val_loss: float | None = None  # of the network that is kept
    epochs: int = 0  # that have ended, of all stages
    best_epoch: int = 0  # whose weights are kept, 1-based; 0 in runs that did not note it

    def __post_init__(self) -> None:
        if self.status not in (FINISHED, STOPPED, FAILED):
            raise ValueError(f"a run does not end as {self.status!r}")


def write_final_status(folder: Path, outcome: FinalStatus) -> None:
    """Write down how a run ended, also on a full disk: what was reserved for it makes room, and
    what it was about to save.

    Raises:
        OSError: the disk is read-only, or fails.
    """
    try:
        write_json(folder / STATUS, asdict(outcome))
    except OSError as error:
        if not is_full(error):
            raise
        _give_up_hidden(folder)
        write_json(folder / STATUS, asdict(outcome))
    with suppress(OSError):
        _give_up_hidden(folder)


def reserve_disk_space(folder: Path) -> None:
    """Keep room for the outcome of a run that begins, so that a disk that fills up meanwhile does
    not keep it from saying so.

    Raises:
        OSError: there is none.
    """
    write_file(folder / RESERVE, os.urandom(RESERVED), durable=True)


def _give_up_hidden(folder: Path) -> None:
    """Remove the reserve and what was being saved."""
    for name in (RESERVE, ".saving.keras", ".checkpoint.npz", ".events.jsonl"):
        (folder / name).unlink(missing_ok=True)


def set_status_aside(folder: Path, outcome: FinalStatus | None) -> None:
    """Keep how a run ended the last time, as it goes on: its network is the one that is there.

    Where that is not known, as the file is damaged, the file is kept under another name.
    """
    if outcome:
        write_json(folder / PREVIOUS_STATUS, asdict(outcome))
        (folder / STATUS).unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):
        (folder / STATUS).replace(folder / f".damaged-{STATUS}")


def add_previous_status(folder: Path, outcome: FinalStatus) -> FinalStatus:
    """Return an outcome that counts the time before a resumed run was resumed as well.

    One that has no figures of its own has those of the network that was kept then.
    """
    try:
        earlier = read_previous_status(folder)
    except DamagedFile:  # lists show it; how the run ended now must be kept
        return outcome
    if earlier is None:
        return outcome
    outcome = replace(outcome, seconds=earlier.seconds + outcome.seconds)
    if outcome.val_accuracy is not None or not (folder / MODEL).exists():
        return outcome
    return replace(
        outcome,
        val_accuracy=earlier.val_accuracy,
        val_loss=earlier.val_loss,
        epochs=earlier.epochs,
        best_epoch=earlier.best_epoch,
    )


def read_final_status(folder: Path, *, ended: bool = False) -> FinalStatus | None:
    """Return how the run ended, or None while its process lives.

    Args:
        folder: the run's.
        ended: the caller holds the run's lock, so its process is known to be gone.

    Raises:
        DamagedFile: status.json cannot be read.
    """
    alive = not ended and is_locked(folder / "run.lock")  # first: the outcome is written before
    written = _read(folder / STATUS)
    if written:
        return written
    if alive:
        return None
    return add_previous_status(folder, _without_a_word(folder))


def read_previous_status(folder: Path) -> FinalStatus | None:
    """Return how a run had ended before it was resumed; None where it was not.

    Raises:
        DamagedFile: previous_status.json cannot be read.
    """
    return _read(folder / PREVIOUS_STATUS)


def _read(path: Path) -> FinalStatus | None:
    return read_json_or(path, FinalStatus, None, newest=1)


def _without_a_word(folder: Path) -> FinalStatus:
    began = (
        folder / PREVIOUS_STATUS if (folder / PREVIOUS_STATUS).exists() else folder / CONFIG
    ).stat()
    seconds = max(0.0, _last_sign(folder) - began.st_mtime)
    if (folder / "stop").exists():
        return FinalStatus(STOPPED, seconds, None, "It was ended before it could save what it had.")
    return FinalStatus(FAILED, seconds, None, f"{_likely_cause(folder)} {RESUME}")


def _likely_cause(folder: Path) -> str:
    """Return why a run may have ended without a word, as far as that can be told afterwards."""
    disk = os.statvfs(folder)
    if disk.f_flag & os.ST_RDONLY:
        return "The disk is read-only, so that the run could not save anything. Make it writable."
    if disk.f_bavail * disk.f_frsize < RESERVED:
        return "The disk is full, so that the run could not save anything. Free some space."
    if _last_sign(folder) < _machine_started():
        return (
            "The training process ended without a word, and the machine has been restarted since: "
            "it went down, or the process had been killed before."
        )
    return (
        "The training process ended without a word: it was killed, by somebody or by the system "
        "because memory ran out. The log below has its last lines. A smaller batch or image size "
        "needs less memory."
    )


def _machine_started() -> float:
    """Return when this machine was started, s since 1970; 0 where nobody tells."""
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("btime"))
    return 0.0


def derive_active_status(folder: Path) -> str:
    """Return whether a run whose process lives is at work or waits for its turn."""
    return QUEUED if is_waiting(folder) else RUNNING


def is_waiting(folder: Path) -> bool:
    """Whether its turn has not come: it has not begun, or has been resumed and not gone on."""
    return (folder / "queued").exists() or not (folder / EVENTS).exists()


def _last_sign(folder: Path) -> float:
    there = (folder / name for name in SIGNS)
    return max(path.stat().st_mtime for path in there if path.exists())
