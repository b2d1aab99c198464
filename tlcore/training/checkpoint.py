"""What a stage needs to go on: one npz file, written whole or not at all, without pickles."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

State = dict[str, Any]  # name → array
FILE = "checkpoint.npz"  # in a run's folder
BEST = "best-"  # prefix of the best weights' names in the file


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run at the end of an epoch."""

    stage: str
    epoch: int  # epochs of this stage that are behind
    event: int  # epochs of the run that are behind
    seconds: float  # worked so far
    state: State  # of the learner
    best: State  # of the learner at its best epoch; empty without early stopping
    best_loss: float  # on validation
    best_accuracy: float  # the validation accuracy of what is kept
    waited: int  # epochs since the best
    over: bool = False  # the stage has ended


def save(path: Path, checkpoint: Checkpoint) -> None:
    meta = json.dumps(asdict(replace(checkpoint, state={}, best={})))
    arrays = checkpoint.state | {BEST + name: value for name, value in checkpoint.best.items()}
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        np.savez(file, meta=np.array(meta), **arrays)
    temporary.replace(path)


def load(path: Path) -> Checkpoint | None:
    """Return the last checkpoint, or None where there is none that can be read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name != "meta"}
            meta = json.loads(str(stored["meta"]))
        best = {name.removeprefix(BEST): value for name, value in arrays.items() if BEST in name}
        state = {name: value for name, value in arrays.items() if BEST not in name}
        return Checkpoint(**(meta | {"state": state, "best": best}))
    except (FileNotFoundError, zipfile.BadZipFile, ValueError, TypeError):  # another version's
        return None
