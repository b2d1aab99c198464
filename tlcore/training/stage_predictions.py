"""The classes that a run predicted for its validation images at the end of each training stage.

``stage_predictions-STAGE.npz`` in the run's folder. With it the head alone is compared with the
fine-tuned model, and run with run, image by image and without asking a network; two accuracies
alone cannot tell a change from chance.
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

Predictions = Mapping[str, tuple[int, int]]  # sha256 → index of the label, of the predicted class


def save_stage_predictions(folder: Path, learner: Learner, part: SplitData) -> None:
    """Predict the images of a part that knows their hashes, and keep the classes."""
    size = evaluation_batch_size(part.source.image_bytes)
    batches = part.source.batches(np.arange(len(part)), size, 0)
    predicted = np.concatenate([_classes(learner.logits(inputs)) for inputs in batches])
    file = io.BytesIO()
    np.savez(file, sha256=np.array(part.sha256), labels=part.labels, predicted=predicted)
    write_file(_path(folder, learner.stage), file.getvalue())


def load_stage_predictions(folder: Path, stage: str) -> Predictions:
    """Return what a stage predicted; empty where it was not kept or cannot be read."""
    try:
        with np.load(_path(folder, stage), allow_pickle=False) as file:
            columns = [file[name].tolist() for name in ("sha256", "labels", "predicted")]
        return {sha256: (label, answer) for sha256, label, answer in zip(*columns, strict=True)}
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile):
        return {}


def load_model_predictions(folder: Path) -> Predictions:
    """Return what the model that a run has kept predicted; empty as above."""
    return load_stage_predictions(folder, "fine-tune") or load_stage_predictions(folder, "head")


def _path(folder: Path, stage: str) -> Path:
    return folder / f"stage_predictions-{stage}.npz"


def _classes(logits: Floats) -> np.ndarray:
    """Return (n,) classes; a single logit above 0 is the second class."""
    return (logits[:, 0] > 0).astype(np.int64) if logits.shape[1] == 1 else logits.argmax(axis=1)
