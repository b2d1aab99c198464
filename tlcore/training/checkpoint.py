"""A run at the end of an epoch, on disk: a stopped run goes on from there."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tlcore.errors import DamagedFile
from tlcore.text import shorten
from tlcore.training.config import RunConfig

State = dict[str, Any]  # of a learner: name → array, weights and the optimizer's variables
BEST = "best-"  # prefix of the best weights' names in a checkpoint's file
# 2: the best epoch is kept, and EfficientNetB0 has all layers that Keras builds for its weights.
VERSION = 2


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run at the end of an epoch."""

    stage: str
    epoch: int  # epochs of this stage that have ended
    event: int  # epochs of the run that have ended
    seconds: float  # of all epochs
    state: State  # of the learner
    best: State  # the learner's weights at the best epoch of the run; empty where none are kept
    best_loss: float  # validation loss of the best epoch
    best_accuracy: float  # its validation accuracy
    waited: int  # epochs since the best
    over: bool = False  # the stage has ended
    best_epoch: int = 0  # of the run, 1-based; 0: none yet
    version: int = 1  # of the code that began the run, see VERSION

    @property
    def best_or_last(self) -> State:
        """The weights that the run keeps."""
        return self.best or self.state


def initial_checkpoint(config: RunConfig) -> Checkpoint:
    """Return the checkpoint before a run's first epoch."""
    over = not config.epochs
    return Checkpoint("head", 0, 0, 0.0, {}, {}, math.inf, 0.0, 0, over, version=VERSION)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of a run in one step."""
    meta = json.dumps(asdict(replace(checkpoint, state={}, best={})))
    arrays = checkpoint.state | {BEST + name: value for name, value in checkpoint.best.items()}
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        np.savez(file, meta=np.array(meta), **arrays)
    temporary.replace(path)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Return the last checkpoint, or None where there is none.

    Raises:
        DamagedFile: it cannot be read, or is another version's.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name != "meta"}
            meta = json.loads(str(stored["meta"]))
        best = {name.removeprefix(BEST): value for name, value in arrays.items() if BEST in name}
        state = {name: value for name, value in arrays.items() if BEST not in name}
        return Checkpoint(**(meta | {"state": state, "best": best}))
    except FileNotFoundError:
        return None
    except Exception as error:  # NumPy, zipfile, zlib and json raise all kinds for a damaged file
        is_empty = path.is_file() and not path.stat().st_size
        reason = "it is empty" if is_empty else shorten(str(error))
        raise DamagedFile(
            path,
            f"{reason}. The run cannot go on from it; its curves and what it has saved stay. Run "
            "it again with the same settings",
        ) from error
