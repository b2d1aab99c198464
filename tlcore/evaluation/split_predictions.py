"""Predictions of a run for one of its splits, stored by image content in the run's folder.

``predictions-SPLIT.npz`` holds the logits of each image under the SHA-256 of its bytes, and beside
them a key of the model: the hash of its weights, its backbone, size and fit, and the same of
ImageNet's model. Another model makes the file outdated, another image only its own row; what a
damaged or older file lacks is computed again. Labels are not in it: they are the run's.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import SPLITS, Sample, hash_file
from tlcore.errors import (
    BadConfig,
    BadImage,
    RunError,
    StorageError,
    UnknownName,
    WeightsMissing,
)
from tlcore.models.catalog import get_backbone
from tlcore.models.predictions import ModelRef, softmax
from tlcore.models.weights import find_weights, pin_weights
from tlcore.settings import Limits, Settings
from tlcore.storage import explained_os_errors, write_file
from tlcore.training.config import RunConfig
from tlcore.training.feature_cache import hash_network, hash_weights
from tlcore.training.provenance import list_samples, read_classes
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run_info

if TYPE_CHECKING:
    from tlcore.models.loaded_model import LoadedModel  # loads TensorFlow

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
NOT_PREDICTED = -1  # ImageNet's class where its model did not predict
CHUNK = 128  # images predicted at a time
_SHA256 = 32  # bytes


@dataclass(frozen=True, eq=False)
class SplitPredictions:
    """The predictions of one run for the images of one split that could be read."""

    run: str  # its id
    split: str  # one of SPLITS
    classes: tuple[str, ...]  # in the order of the output units
    samples: tuple[Sample, ...]  # (n,) file, path, sha256 and label as the run noted them
    labels: Indices  # (n,) index of each image's class
    logits: Floats  # (n, classes); of a sigmoid unit z: (0, z)
    imagenet: Indices  # (n,) ImageNet's most probable class, or NOT_PREDICTED
    unreadable: tuple[str, ...] = ()  # files of the split that could not be read
    duplicates: int = 0  # test images left out: the same bytes are in training or validation

    def __post_init__(self) -> None:
        number, classes = len(self.samples), len(self.classes)
        shapes = (self.labels.shape, self.logits.shape, self.imagenet.shape)
        if shapes != ((number,), (number, classes), (number,)):
            raise ValueError(
                f"Expected labels, logits and ImageNet's predictions of {number} images and "
                f"{classes} classes. Received {shapes}."
            )

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def probabilities(self) -> Floats:
        """(n, classes), each row sums to 1."""
        return softmax(self.logits)

    @cached_property
    def predicted(self) -> Indices:
        """(n,) the predicted class; of two equal ones the first."""
        return self.logits.argmax(axis=1)

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the predicted class is the label."""
        return self.predicted == self.labels

    @cached_property
    def confidence(self) -> Floats:
        """(n,) the probability of the predicted class, 0…1."""
        return self.probabilities.max(axis=1)

    @property
    def has_imagenet(self) -> bool:
        """Whether ImageNet's model predicted every image."""
        return bool(len(self.imagenet)) and bool((self.imagenet != NOT_PREDICTED).all())


@dataclass(frozen=True, eq=False)
class ImagePredictions:
    """What a run's model and ImageNet's predict for some images, in their order."""

    logits: Floats  # (n, classes); a row of NaN for a file that cannot be read
    imagenet: Indices  # (n,) ImageNet's most probable class, or NOT_PREDICTED


Predictor = Callable[[Sequence[Path]], ImagePredictions]  # a run's model, wherever it is loaded
OnProgress = Callable[[int, int], None]  # (images done, images in all); may raise to interrupt
_Row = tuple[Floats, int]  # logits (classes,), ImageNet's class
_Rows = dict[str, _Row]  # by the SHA-256 of the image, hexadecimal


def load_predictor(run: str, settings: Settings) -> Predictor:
    """Return a predictor of a run that loads its models in this process when first called."""
    models: list[LoadedModel] = []

    def predict(paths: Sequence[Path]) -> ImagePredictions:
        from tlcore.models.loaded_model import load_pretrained  # loads TensorFlow
        from tlcore.training.transfer_model import load_run_model

        if not models:
            imagenet = imagenet_ref(load_run_info(run, settings).config, settings)
            models.append(load_run_model(run, settings))
            models.extend([load_pretrained(imagenet, settings)] if imagenet else [])
        return predict_images(models, paths, settings.limits)

    return predict


def predict_images(
    models: Sequence[LoadedModel], paths: Sequence[Path], limits: Limits
) -> ImagePredictions:
    """Predict image files; each file is decoded once for all models.

    Args:
        models: the run's, and ImageNet's where it can be loaded.
        paths: the files.
        limits: of files that are read.
    """
    from tlcore.models.loaded_model import compute_logits  # loads TensorFlow

    logits = np.full((len(paths), len(models[0].labels)), np.nan, np.float32)
    imagenet = np.full(len(paths), NOT_PREDICTED, np.int64)
    for place, outputs in enumerate(compute_logits(models, paths, limits)):
        if isinstance(outputs, BadImage):
            continue
        logits[place] = outputs[0]
        if len(outputs) > 1:
            imagenet[place] = outputs[1].argmax()
    return ImagePredictions(logits, imagenet)


def predict_split(
    run: str,
    split: str,
    settings: Settings,
    predict: Predictor,
    on_progress: OnProgress = lambda done, images: None,
) -> SplitPredictions:
    """Return a run's predictions for one split; only what is not stored yet is computed.

    What has been predicted is stored even where ``on_progress`` or ``predict`` raises: the next
    call continues from there.

    Raises:
        RunError: no such run, without a model, or without images in this split.
        StorageError: the file of the model cannot be read.
        UnknownName: no such split.
    """
    info = _run_with_model(run, settings)
    samples, duplicates = load_split(info, split)
    key = _model_key(info, settings)
    rows = _load_rows(info, split, key)
    contents = {sample.sha256: sample for sample in reversed(samples)}
    missing = [sample for sha256, sample in contents.items() if sha256 not in rows]
    stored, done = len(rows), len(contents) - len(missing)
    try:
        for start in range(0, len(missing), CHUNK):
            on_progress(done + start, len(contents))
            _add_rows(missing[start : start + CHUNK], predict, rows)
    finally:
        if len(rows) > stored:
            _save_rows(info, split, key, rows, settings)
    return _build(info, split, samples, duplicates, rows)


def stored_predictions(run: str, split: str, settings: Settings) -> SplitPredictions | None:
    """Return the predictions on disk; None where one is missing. Raises as ``predict_split``."""
    info = _run_with_model(run, settings)
    samples, duplicates = load_split(info, split)
    rows = _load_rows(info, split, _model_key(info, settings))
    if any(sample.sha256 not in rows and is_unchanged(sample) for sample in samples):
        return None
    return _build(info, split, samples, duplicates, rows)


def evaluated_split(run: str, settings: Settings) -> str:
    """Return the split on which a run is evaluated: "test" if it has one, else "val"."""
    samples, _ = _test_samples(load_run_info(run, settings))
    return "test" if samples else "val"


def common_split(runs: Sequence[str], settings: Settings) -> str:
    """Return the split on which runs are compared: "test" if all have one, else "val"."""
    return "test" if all(evaluated_split(run, settings) == "test" for run in runs) else "val"


def imagenet_ref(config: RunConfig, settings: Settings) -> ModelRef | None:
    """Return ImageNet's model with a run's backbone, size and fit.

    None where its weights with the 1000 classes are not here, or belong to another size.
    """
    if config.random_weights:
        return None
    try:
        get_backbone(config.backbone).check_size(config.size, top=True)
        return pin_weights(ModelRef(config.backbone, config.size, config.fit), settings)
    except (WeightsMissing, BadConfig):
        return None


def is_unchanged(sample: Sample) -> bool:
    """Whether the sample's file still has the bytes that were noted of it."""
    return hash_file(sample.path) == sample.sha256 != ""


def load_split(info: RunInfo, split: str) -> tuple[list[Sample], int]:
    """Return the images of a split, at least one, and how many test images were left out.

    A test image whose very bytes are in training or validation is left out.

    Raises:
        RunError: no images in this split.
        UnknownName: no such split.
    """
    if split not in SPLITS:
        raise UnknownName.of("split", split, SPLITS)
    if split == "test":
        samples, duplicates = _test_samples(info)
    else:
        samples, duplicates = list_samples(info, split), 0
    if not samples:
        raise RunError(
            f"Expected images in the {split} split of run {info.id}. Received none. Evaluate "
            "another split (val), or assign splits on the Upload page and train again."
        )
    return samples, duplicates


def _test_samples(info: RunInfo) -> tuple[list[Sample], int]:
    samples = list_samples(info, "test")
    used = {sample.sha256 for split in ("train", "val") for sample in list_samples(info, split)}
    unused = [sample for sample in samples if sample.sha256 not in used]
    return unused, len(samples) - len(unused)


def _run_with_model(run: str, settings: Settings) -> RunInfo:
    info = load_run_info(run, settings)
    if info.model is None or info.active:
        raise RunError(
            f"Expected a run that has ended with a model. Received {run}, which is {info.status}. "
            "Wait until it has finished, or choose another."
        )
    return info


def _add_rows(samples: Sequence[Sample], predict: Predictor, rows: _Rows) -> None:
    """Add predictions to ``rows``; a file that is gone or has other bytes gets none."""
    unchanged = [sample for sample in samples if is_unchanged(sample)]
    if not unchanged:
        return
    outputs = predict([sample.path for sample in unchanged])
    for sample, logits, imagenet in zip(
        unchanged, outputs.logits, outputs.imagenet.tolist(), strict=True
    ):
        rows[sample.sha256] = logits, imagenet


def _build(
    info: RunInfo, split: str, samples: Sequence[Sample], duplicates: int, rows: Mapping[str, _Row]
) -> SplitPredictions:
    classes = read_classes(info)
    none: _Row = (np.full(len(classes), np.nan, np.float32), NOT_PREDICTED)
    chosen = [rows.get(sample.sha256, none) for sample in samples]
    logits = np.array([row for row, _ in chosen], np.float32)
    readable = ~np.isnan(logits).any(axis=1)
    places = np.flatnonzero(readable)
    predicted = tuple(samples[place] for place in places.tolist())
    return SplitPredictions(
        run=info.id,
        split=split,
        classes=classes,
        samples=predicted,
        labels=np.array([classes.index(sample.label) for sample in predicted], np.int64),
        logits=logits[places],
        imagenet=np.array([imagenet for _, imagenet in chosen], np.int64)[places],
        unreadable=tuple(samples[place].file for place in np.flatnonzero(~readable).tolist()),
        duplicates=duplicates,
    )


def _file(info: RunInfo, split: str) -> Path:
    return info.folder / f"predictions-{split}.npz"


def _model_key(info: RunInfo, settings: Settings) -> str:
    """Return what predictions depend on beside the image. Raises StorageError."""
    assert info.model is not None
    config = info.config
    with explained_os_errors(f"The model of run {info.id} could not be read"):
        lines = [f"{config.backbone} {config.size} {config.fit} {hash_weights(info.model)}"]
    imagenet = imagenet_ref(config, settings)
    if imagenet is not None:
        row = get_backbone(imagenet.backbone)
        weights = find_weights(row, imagenet.size, settings, top=True).path
        lines.append(
            f"{imagenet.backbone} {imagenet.size} {imagenet.fit} {hash_network(row, weights)}"
        )
    return "\n".join(lines)


def _load_rows(info: RunInfo, split: str, key: str) -> _Rows:
    """Return the rows of a file; none of a missing, damaged or other model's file."""
    classes = len(read_classes(info))
    try:
        with _file(info, split).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return {}
            ids, logits, imagenet = file["sha256"], file["logits"], file["imagenet"]
        if ids.shape != (len(logits), _SHA256) or logits.shape[1:] != (classes,):
            return {}
        rows = zip(ids, logits.astype(np.float32), imagenet.tolist(), strict=True)
        return {sha256.tobytes().hex(): (row, first) for sha256, row, first in rows}
    except Exception:  # NumPy, zipfile and zlib raise a dozen kinds on damaged bytes
        return {}


def _save_rows(info: RunInfo, split: str, key: str, rows: _Rows, settings: Settings) -> None:
    """Store rows; on a full or read-only disk they are computed again the next time."""
    with suppress(OSError, StorageError):
        if _model_key(info, settings) != key:  # the run was resumed meanwhile
            return
        rows = _load_rows(info, split, key) | rows  # another session may have added some
        buffer = io.BytesIO()
        np.savez(
            buffer,
            key=key,
            sha256=np.frombuffer(bytes.fromhex("".join(rows)), np.uint8).reshape(-1, _SHA256),
            logits=np.array([logits for logits, _ in rows.values()], np.float32),
            imagenet=np.array([imagenet for _, imagenet in rows.values()], np.int64),
        )
        write_file(_file(info, split), buffer.getvalue())
