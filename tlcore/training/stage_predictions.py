"""The classes that a run predicted for its validation images at the end of each training stage.

They lie in the run's folder as ``stage_predictions-STAGE.npz``. With them the head alone is
compared with the fine-tuned model, and run with run, image by image and without a model.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tlcore.models.predictions import Floats
from tlcore.storage import write_file
from tlcore.training.batches import SplitData
from tlcore.training.loop import Learner, evaluation_batch_size
from tlcore.training.run import RunInfo

Predictions = Mapping[str, tuple[int, int]]  # sha256 → index of the label, of the predicted class


def save_stage_predictions(folder: Path, learner: Learner, split: SplitData, epoch: int) -> None:
    """Predict the validation split at the end of a stage and store the classes.

    Args:
        folder: the run's.
        learner: with the weights that the stage ends with: those of the run's best epoch so far,
            which may be one of the stage before.
        split: with the hashes of its images.
        epoch: the best epoch, 1-based.
    """
    size = evaluation_batch_size(split.source.image_bytes)
    batches = split.source.batches(np.arange(len(split)), size, 0)
    predicted = np.concatenate([_to_classes(learner.logits(inputs)) for inputs in batches])
    file = io.BytesIO()
    hashes = np.array(split.sha256)
    np.savez(file, sha256=hashes, labels=split.labels, predicted=predicted, epoch=np.array(epoch))
    write_file(_path(folder, learner.stage), file.getvalue())


def load_stage_predictions(folder: Path, stage: str, *, epoch: int = 0) -> Predictions:
    """Return what a stage predicted; empty where it was not stored or cannot be read.

    Args:
        folder: the run's.
        stage: "head" or "fine-tune".
        epoch: only predictions with the weights of this epoch; 0: of any.
    """
    try:
        with np.load(_path(folder, stage), allow_pickle=False) as file:
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


def _path(folder: Path, stage: str) -> Path:
    return folder / f"stage_predictions-{stage}.npz"


def _to_classes(logits: Floats) -> np.ndarray:
    """Return (n,) classes; a single logit above 0 is the second class."""
    return (logits[:, 0] > 0).astype(np.int64) if logits.shape[1] == 1 else logits.argmax(axis=1)
