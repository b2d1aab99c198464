"""Predictions of a run for one of its splits, stored by image content in the run's folder.

``predictions-SPLIT.npz`` holds the logits of each image under the SHA-256 of its bytes, and beside
them a key of the model: the hash of its weights, its backbone, size and fit, and the same of
ImageNet's model. Another model makes the file outdated, another image only its own row; what a
damaged or older file lacks is computed again. Labels are not in it: they are the run's.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import SPLITS, Sample, hash_file
from tlcore.errors import BadConfig, BadImage, RunError, StorageError, UnknownName, WeightsMissing
from tlcore.models.catalog import get_backbone
from tlcore.models.predictions import Floats, ModelRef, softmax
from tlcore.models.runtime import NotConverted
from tlcore.models.weights import find_weights, hash_network, hash_weights, pin_weights
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors, write_file
from tlcore.training import answers
from tlcore.training.config import RunConfig
from tlcore.training.provenance import list_samples, read_splits
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run_info

Indices = npt.NDArray[np.int64]
NOT_PREDICTED = -1  # ImageNet's class where its model did not predict
CHUNK = 128  # images predicted at a time
FILE = "predictions-{}.npz"  # in the run's folder
_SHA256 = 32  # bytes
# Logits (classes,) of a run's model, NaN for a file that cannot be read, and ImageNet's class.
Row = tuple[Floats, int]
# A run's model, wherever it is loaded: called with the run, image files by hash and the settings.
Predictor = Callable[[str, Mapping[str, Path], Settings], list[Row]]
OnProgress = Callable[[int, int], None]  # (images done, images in all); may raise to interrupt


@dataclass(frozen=True, eq=False)
class SplitPredictions:
    """The predictions of one run for the images of one split that could be read."""

    run: str  # its id
    split: str  # one of SPLITS
    classes: tuple[str, ...]  # in the order of the output units
    samples: tuple[Sample, ...]  # (n,) as they were when the run began
    labels: Indices  # (n,) index of each image's class
    logits: Floats  # (n, classes); of a sigmoid unit z: (0, z)
    imagenet: Indices  # (n,) ImageNet's most probable class, or NOT_PREDICTED
    unreadable: tuple[str, ...] = ()  # files of the split that could not be read
    duplicates: int = 0  # test images left out: the same bytes are in training or validation

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


def predict_files(run: str, files: Mapping[str, Path], settings: Settings) -> list[Row]:
    """Return what a run's model and ImageNet's predict for image files, given by their SHA-256.

    In this process: without TensorFlow where the networks are converted, or the features are in the
    cache.

    Raises:
        RunError: no such run, or it has no model.
        NotConverted: Keras has to do it, which this process must not load.
    """
    info = load_run_info(run, settings)
    refs = [ref for ref in (info.ref, imagenet_ref(info.config, settings)) if ref]
    rows: Iterable[Sequence[Floats] | BadImage]
    try:
        frozen = [answers.open_model(ref, settings) for ref in refs]
        pairs = [(path, sha256) for sha256, path in files.items()]
        rows = answers.compute_logits(frozen, pairs, settings)
    except NotConverted:
        if settings.runtime == "litert":
            raise
        from tlcore.models.loaded_model import compute_logits  # loads TensorFlow
        from tlcore.training.transfer_model import load_model

        models = [load_model(ref, settings) for ref in refs]
        rows = compute_logits(models, list(files.values()), settings.limits)
    unreadable = np.full(len(read_splits(info.folder).classes), np.nan, np.float32), NOT_PREDICTED

    def to_row(outputs: Sequence[Floats] | BadImage) -> Row:
        if isinstance(outputs, BadImage):
            return unreadable
        return outputs[0], int(outputs[1].argmax()) if len(outputs) > 1 else NOT_PREDICTED

    return [to_row(outputs) for outputs in rows]


def predict_split(
    run: str,
    split: str,
    settings: Settings,
    predict: Predictor = predict_files,
    on_progress: OnProgress = lambda done, images: None,
) -> SplitPredictions:
    """Return a run's predictions for one split; only what is not stored yet is computed.

    What has been predicted is stored even where ``on_progress`` or ``predict`` raises: the next
    call continues from there.

    Args:
        run: its id.
        split: one of SPLITS.
        settings: where the run lies.
        predict: its model; by default loaded in this process where something is missing.
        on_progress: called before each chunk of images that has to be predicted.

    Raises:
        RunError: no such run, without a model, or without images in this split.
        StorageError: the file of the model cannot be read.
        UnknownName: no such split.
    """
    info, samples, duplicates = _list_split(run, split, settings)
    classes, key = read_splits(info.folder).classes, _model_key(info, settings)
    path = info.folder / FILE.format(split)
    stored = _load_rows(path, key, len(classes))
    contents = {sample.sha256: sample for sample in reversed(samples)}
    missing = [sample for sha256, sample in contents.items() if sha256 not in stored]
    done, rows = len(contents) - len(missing), dict[str, Row]()
    try:
        for start in range(0, len(missing), CHUNK):
            chunk = {s.sha256: s.path for s in missing[start : start + CHUNK] if is_unchanged(s)}
            if chunk:
                on_progress(done + start, len(contents))
                rows |= zip(chunk, predict(run, chunk, settings), strict=True)
    finally:
        with suppress(OSError, StorageError):  # no room: they are computed again the next time
            if rows and _model_key(info, settings) == key:  # else the run was resumed meanwhile
                # read again: another session may have added some
                _save_rows(path, key, _load_rows(path, key, len(classes)) | rows)
    return _build_predictions(info.id, split, classes, samples, duplicates, stored | rows)


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
    """Whether the sample's file still has the bytes of its SHA-256."""
    return hash_file(sample.path) == sample.sha256 != ""


def _test_samples(info: RunInfo) -> tuple[list[Sample], int]:
    """Return the test images, and how many were left out: their bytes are in another split."""
    samples = list_samples(info, "test")
    used = {sample.sha256 for split in ("train", "val") for sample in list_samples(info, split)}
    unused = [sample for sample in samples if sample.sha256 not in used]
    return unused, len(samples) - len(unused)


def _list_split(run: str, split: str, settings: Settings) -> tuple[RunInfo, list[Sample], int]:
    """Return a run, the images of a split and how many were left out. Raises as above."""
    info = load_run_info(run, settings)
    if info.model is None or info.active:
        raise RunError(
            f"Expected a run that has ended with a model. Received {run}, which is {info.status}. "
            "Wait until it has finished, or choose another."
        )
    if split not in SPLITS:
        raise UnknownName.of("split", split, SPLITS)
    samples, duplicates = list_samples(info, split), 0
    if split == "test":
        samples, duplicates = _test_samples(info)
    if not samples:
        raise RunError(
            f"Expected images in the {split} split of run {run}. Received none. Evaluate "
            "another split (val), or assign splits on the Upload page and train again."
        )
    return info, samples, duplicates


def _build_predictions(
    run: str,
    split: str,
    classes: tuple[str, ...],
    samples: Sequence[Sample],
    duplicates: int,
    rows: dict[str, Row],
) -> SplitPredictions:
    readable = {sha256 for sha256, (logits, _) in rows.items() if not np.isnan(logits).any()}
    chosen = tuple(sample for sample in samples if sample.sha256 in readable)
    logits = [rows[sample.sha256][0] for sample in chosen]
    return SplitPredictions(
        run=run,
        split=split,
        classes=classes,
        samples=chosen,
        labels=np.array([classes.index(sample.label) for sample in chosen], np.int64),
        logits=np.array(logits, np.float32).reshape(-1, len(classes)),
        imagenet=np.array([rows[sample.sha256][1] for sample in chosen], np.int64),
        unreadable=tuple(each.file for each in samples if each.sha256 not in readable),
        duplicates=duplicates,
    )


def _model_key(info: RunInfo, settings: Settings) -> str:
    """Return what predictions depend on beside the image. Raises StorageError."""
    assert info.model is not None
    config = info.config
    with explained_os_errors(f"The model of run {info.id} could not be read"):
        key = f"{config.backbone} {config.size} {config.fit} {hash_weights(info.model)}"
    imagenet = imagenet_ref(config, settings)
    if imagenet is None:
        return key
    backbone = get_backbone(imagenet.backbone)
    weights = find_weights(backbone, imagenet.size, settings, top=True).path
    network = hash_network(backbone, weights)
    return f"{key}\n{imagenet.backbone} {imagenet.size} {imagenet.fit} {network}"


def _load_rows(path: Path, key: str, classes: int) -> dict[str, Row]:
    """Return the rows of a file; none of a missing, damaged or other model's file."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return {}
            ids, logits, imagenet = file["sha256"], file["logits"], file["imagenet"]
        if ids.shape != (len(logits), _SHA256) or logits.shape[1] != classes:
            return {}
        rows = zip(logits.astype(np.float32), imagenet.tolist(), strict=True)
        return dict(zip([sha256.tobytes().hex() for sha256 in ids], rows, strict=True))
    except Exception:  # NumPy, zipfile and zlib raise a dozen kinds on damaged bytes
        return {}


def _save_rows(path: Path, key: str, rows: dict[str, Row]) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        key=key,
        sha256=np.frombuffer(bytes.fromhex("".join(rows)), np.uint8).reshape(-1, _SHA256),
        logits=np.array([logits for logits, _ in rows.values()], np.float32),
        imagenet=np.array([imagenet for _, imagenet in rows.values()], np.int64),
    )
    write_file(path, buffer.getvalue())
