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
OPTIMIZER = "o"  # prefix of what the optimizer remembers, in a learner's state
# 2: the best epoch is kept, and EfficientNetB0 has all layers that Keras builds for its weights.
VERSION = 2


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run at the end of an epoch."""

    stage: str
    epoch: int  # epochs of this stage that are behind
    event: int  # epochs of the run that are behind
    seconds: float  # worked so far
    state: State  # of the learner
    best: State  # the learner's weights at the best epoch of the run; empty where none are kept
    best_loss: float  # on validation, of what is kept
    best_accuracy: float  # likewise
    waited: int  # epochs since the best
    over: bool = False  # the stage has ended
    best_epoch: int = 0  # of the run, 1-based; 0: none yet
    version: int = 1  # of the code that began the run, see VERSION


def weights_of(state: State) -> State:
    """Return a learner's state without what its optimizer remembers: enough to answer."""
    return {name: value for name, value in state.items() if not name.startswith(OPTIMIZER)}


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
