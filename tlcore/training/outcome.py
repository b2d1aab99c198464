"""The states of a run and how it ended, derived from the files in its folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tlcore.storage import read_json_or, write_json
from tlcore.training.locks import held

QUEUED, RUNNING, FINISHED, STOPPED, FAILED = "queued", "running", "finished", "stopped", "failed"
ACTIVE = (QUEUED, RUNNING)
FILE, EARLIER = "outcome.json", "earlier.json"  # in a run's folder
# What its process writes; a note or a report is written later, by others.
SIGNS = ("config.json", "split.json", "events.jsonl", "checkpoint.npz", "model.keras", "worker.log")


@dataclass(frozen=True)
class Outcome:
    """How a run ended, as its own process wrote it."""

    state: str  # FINISHED, STOPPED or FAILED
    seconds: float
    val_accuracy: float | None  # of the network that is kept, 0…1
    error: str = ""  # for a person
    val_loss: float | None = None  # of the network that is kept
    epochs: int = 0  # that have ended, of all stages


def write_outcome(folder: Path, outcome: Outcome) -> None:
    write_json(folder / FILE, asdict(outcome))


def set_aside(folder: Path, outcome: Outcome) -> None:
    """Keep how a run ended the last time, as it goes on: its network is the one that is there."""
    write_json(folder / EARLIER, asdict(outcome))
    (folder / FILE).unlink(missing_ok=True)


def with_earlier(folder: Path, outcome: Outcome) -> Outcome:
    """Return an outcome that counts the time before a resumed run was resumed as well.

    One that has no figures of its own has those of the network that was kept then.
    """
    row = read_json_or(folder / EARLIER, dict, {})
    if not row:
        return outcome
    earlier = Outcome(**row)
    outcome = replace(outcome, seconds=earlier.seconds + outcome.seconds)
    if outcome.val_accuracy is not None or not (folder / "model.keras").exists():
        return outcome
    return replace(
        outcome,
        val_accuracy=earlier.val_accuracy,
        val_loss=earlier.val_loss,
        epochs=earlier.epochs,
    )


def outcome_of(folder: Path, *, ended: bool = False) -> Outcome | None:
    """Return how the run ended, or None while its process lives.

    Args:
        folder: the run's.
        ended: the caller holds the run's lock, so its process is known to be gone.
    """
    alive = not ended and held(
        folder / "run.lock"
    )  # first: an outcome is written before the lock goes
    written = read_json_or(folder / FILE, dict, {})
    if written:
        return Outcome(**written)
    if alive:
        return None
    return with_earlier(folder, _without_a_word(folder))


def _without_a_word(folder: Path) -> Outcome:
    began = (folder / EARLIER if (folder / EARLIER).exists() else folder / "config.json").stat()
    seconds = max(0.0, _last_sign(folder) - began.st_mtime)
    if (folder / "stop").exists():
        return Outcome(STOPPED, seconds, None, "It was ended before it could save what it had.")
    return Outcome(
        FAILED,
        seconds,
        None,
        "The training process ended without a word: it was killed, or the machine went down or "
        "ran out of memory or disk. The log below has its last lines. Resume it, or start it "
        "again; a smaller batch or image size needs less memory.",
    )


def living_state(folder: Path) -> str:
    """Return whether a run whose process lives is at work or waits for its turn."""
    return QUEUED if waits(folder) else RUNNING


def waits(folder: Path) -> bool:
    """Whether its turn has not come: it has not begun, or has been resumed and not gone on."""
    return (folder / "waiting").exists() or not (folder / "events.jsonl").exists()


def _last_sign(folder: Path) -> float:
    there = (folder / name for name in SIGNS)
    return max(path.stat().st_mtime for path in there if path.exists())
