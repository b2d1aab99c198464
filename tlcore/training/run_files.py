"""The files of a run's folder: what each holds, and what is lost when it is damaged.

A run is a folder of plain files below ``TLCORE_HOME/runs``. A damaged file costs only what it alone
holds; everything else of the run keeps working. Beside the files of the table there are
``worker.log`` (output of the process), ``run.lock`` (held by the process as long as it lives),
``stop`` and ``queued`` (empty: the run is asked to stop; it was resumed and waits for its turn),
``stage_predictions-STAGE.npz`` and ``predictions-SPLIT.npz``, ``report.html`` and ``bundle.zip``.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from tlcore.errors import DamagedFile

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
PARENT_RUN = "parent_run.json"  # the run whose mistakes were corrected for it
PROCESS = "process.json"  # process group of its worker
LOG, LOCK, STOP, QUEUED_MARK = "worker.log", "run.lock", "stop", "queued"
MISSING = "it is missing"

# file → what is lost without it, what still works, and what can be done
CONSEQUENCES: Mapping[str, str] = MappingProxyType(
    {
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
)
SMALL = 2**18  # bytes of a split.json that every list reads: about a thousand images


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


def is_large_json(path: Path) -> bool:
    """Whether a file is larger than SMALL, and begins and ends as a JSON object does."""
    try:
        with path.open("rb") as file:
            start, size = file.read(1), file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            return size > SMALL and start + file.read(1) == b"{}"
    except OSError:  # reading it gives the reason
        return False
