"""The states of a run and how it ended, derived from the files in its folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from tlcore.files import read_json, write_json
from tlcore.runs.locks import held

QUEUED, RUNNING, FINISHED, STOPPED, FAILED = "queued", "running", "finished", "stopped", "failed"
ACTIVE = (QUEUED, RUNNING)


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
    write_json(folder / "outcome.json", asdict(outcome))


def outcome_of(folder: Path, *, ended: bool = False) -> Outcome | None:
    """Return how the run ended, or None while its process lives.

    Args:
        folder: the run's.
        ended: the caller holds the run's lock, so its process is known to be gone.
    """
    alive = not ended and held(
        folder / "run.lock"
    )  # first: an outcome is written before the lock goes
    written = read_json(folder / "outcome.json")
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
        "ran out of memory. The log below has its last lines. Resume it, or start it again; a "
        "smaller batch or image size needs less memory.",
    )


def living_state(folder: Path) -> str:
    """Return whether a run whose process lives is at work or waits for its turn."""
    return QUEUED if waits(folder) else RUNNING


def waits(folder: Path) -> bool:
    """Whether its turn has not come: it has not begun, or has been resumed and not gone on."""
    return (folder / "waiting").exists() or not (folder / "events.jsonl").exists()


def _last_sign(folder: Path) -> float:
    return max(path.stat().st_mtime for path in folder.iterdir())
