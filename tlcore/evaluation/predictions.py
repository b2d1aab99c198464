"""The predictions of a run for one of its parts, kept by content in the run's folder.

``predictions-PART.npz`` holds the logits of each image under the SHA-256 of its bytes, and beside
them what the model was: the hash of its weights, its backbone, size and geometry, and the same of
ImageNet's network. Another model makes all of it outdated, another image only its own row; what a
damaged or older file lacks is computed again. Labels are not in it: they are the run's.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlcore.datasets.dataset import SPLITS, Sample, dataset_hash
from tlcore.datasets.store import open_dataset
from tlcore.errors import BadConfig, BadDataset, RunError, StorageError, UnknownName, WeightsMissing
from tlcore.evaluation.evaluation import Evaluation, compute_evaluation
from tlcore.evaluation.judged import NOT_PREDICTED, Floats, Indices, SplitPredictions
from tlcore.models.catalog import backbone
from tlcore.models.predictions import ModelRef
from tlcore.models.weights import find, with_weights
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors, write_file
from tlcore.training.augmentation import hash_samples
from tlcore.training.config import RunConfig
from tlcore.training.feature_keys import hash_network, hash_weights
from tlcore.training.provenance import has_test_split, list_samples, read_classes
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run_info

CHUNK = 128  # images asked at a time
SHA256 = 32  # bytes


@dataclass(frozen=True, eq=False)
class ImagePredictions:
    """What was predicted for some images, in their order."""

    logits: Floats  # (n, classes) float32; a row of NaN for a file that cannot be read
    imagenet: Indices  # (n,) ImageNet's first class, UNKNOWN where it was not asked


Predictor = Callable[[Sequence[Path]], ImagePredictions]  # a run's network, wherever it is loaded
OnProgress = Callable[[int, int], None]  # told images behind and images in all; may raise to end it
Row = tuple[Floats, int]  # logits (classes,), ImageNet's first class
Rows = dict[str, Row]  # by the SHA-256 of the image, hexadecimal


def evaluate(run: str, part: str, settings: Settings, ask: Predictor) -> Evaluation:
    """Return the honest numbers of a run; ``ask`` is asked only for what is not kept yet.

    Args:
        run: its id.
        part: one of SPLITS, or "" for the test part if the run has one, else validation.
        settings: where it lies.
        ask: its network.

    Raises:
        RunError, UnknownName: as ``predict_split``.
    """
    natural = evaluated_split(run, settings)
    judged = predict_split(run, part or natural, settings, ask)
    train = predict_split(run, "train", settings, ask)
    return compute_evaluation(judged, train, dataset_hash(judged.samples), tested=natural == "test")


def predict_split(
    run: str,
    part: str,
    settings: Settings,
    ask: Predictor,
    done: OnProgress = lambda behind, all_: None,
) -> SplitPredictions:
    """Return a run's predictions for one part; ``ask`` is asked only for what is not kept yet.

    What has been predicted is kept even where ``done`` or ``ask`` raises: the next call goes on
    from there.

    Raises:
        RunError: no such run, without a network, or without images in this part.
        StorageError: the network's file cannot be read.
        UnknownName: no such part.
    """
    info = _with_network(run, settings)
    samples, seen = load_split(info, part, settings)
    key = _key(info, settings)
    rows = _load(info, part, key)
    contents = {sample.sha256: sample for sample in reversed(samples)}
    missing = [sample for sha256, sample in contents.items() if sha256 not in rows]
    kept_rows, behind = len(rows), len(contents) - len(missing)
    try:
        for start in range(0, len(missing), CHUNK):
            done(behind + start, len(contents))
            _ask_for(missing[start : start + CHUNK], ask, rows)
    finally:
        if len(rows) > kept_rows:
            _save(info, part, key, rows, settings)
    return _judged(info, part, samples, seen, rows)


def stored_predictions(run: str, part: str, settings: Settings) -> SplitPredictions | None:
    """Return the predictions that are on disk, else None. Raises as ``predict_split`` does."""
    info = _with_network(run, settings)
    samples, seen = load_split(info, part, settings)
    rows = _load(info, part, _key(info, settings))
    if any(sample.sha256 not in rows and is_unchanged(sample) for sample in samples):
        return None
    return _judged(info, part, samples, seen, rows)


def evaluated_split(run: str, settings: Settings) -> str:
    """Return the part by which a run should be judged: "test" if it has one, else "val"."""
    samples, _ = _test(load_run_info(run, settings), settings)
    return "test" if samples else "val"


def common_split(runs: Sequence[str], settings: Settings) -> str:
    """Return the part by which runs are compared: "test" if all have one, else "val"."""
    return "test" if all(evaluated_split(run, settings) == "test" for run in runs) else "val"


def imagenet_ref(config: RunConfig, settings: Settings) -> ModelRef | None:
    """Return the network that gives ImageNet's answer beside a run's: its backbone, size, geometry.

    None where its weights with the 1000 classes are not here, or are tied to another size.
    """
    if config.random_weights:
        return None
    try:
        backbone(config.backbone).check_size(config.size, top=True)
        return with_weights(ModelRef(config.backbone, config.size, config.fit), settings)
    except (WeightsMissing, BadConfig):
        return None


def is_unchanged(sample: Sample) -> bool:
    """Whether the sample's file has the bytes that were noted of it."""
    try:
        with sample.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sample.sha256
    except OSError:
        return False


def load_split(info: RunInfo, part: str, settings: Settings) -> tuple[list[Sample], int]:
    """Return the images of a part, at least one, and how many test images were left out.

    A test image whose very bytes the run has seen in training or validation is no test.
    """
    if part not in SPLITS:
        raise UnknownName.of("part", part, SPLITS)
    samples, seen = _test(info, settings) if part == "test" else (list_samples(info, part), 0)
    if not samples:
        raise RunError(
            f"Expected images in the {part} part of run {info.id}. Received none. Judge it by "
            "another part (val), or divide the set on the Upload page and run it again."
        )
    return samples, seen


def _test(info: RunInfo, settings: Settings) -> tuple[list[Sample], int]:
    samples = list_samples(info, "test") if has_test_split(info) else _set_aside(info, settings)
    if not samples:
        return [], 0
    seen = {sample.sha256 for part in ("train", "val") for sample in list_samples(info, part)}
    fresh = [sample for sample in samples if sample.sha256 not in seen]
    return fresh, len(samples) - len(fresh)


def _set_aside(info: RunInfo, settings: Settings) -> Sequence[Sample]:
    """The test images of today, for a run made before runs noted them."""
    try:
        samples = open_dataset(info.config.dataset, settings).samples
    except BadDataset:  # the set is gone
        return ()
    classes = set(read_classes(info))
    return hash_samples([s for s in samples if s.split == "test" and s.label in classes])


def _with_network(run: str, settings: Settings) -> RunInfo:
    info = load_run_info(run, settings)
    if info.model is None or info.active:
        raise RunError(
            f"Expected a run that has ended with a network. Received {run}, which is "
            f"{info.status}. Wait until it has finished, or choose another."
        )
    return info


def _ask_for(samples: Sequence[Sample], ask: Predictor, rows: Rows) -> None:
    """Add predictions to ``rows``; a file that is gone or has other bytes gets none."""
    here = [sample for sample in samples if is_unchanged(sample)]
    if not here:
        return
    answers = ask([sample.path for sample in here])
    for sample, logits, first in zip(here, answers.logits, answers.imagenet.tolist(), strict=True):
        rows[sample.sha256] = logits, first


def _judged(
    info: RunInfo, part: str, samples: Sequence[Sample], seen: int, rows: Mapping[str, Row]
) -> SplitPredictions:
    classes = read_classes(info)
    none: Row = (np.full(len(classes), np.nan, np.float32), NOT_PREDICTED)
    known = [rows.get(sample.sha256, none) for sample in samples]
    logits = np.array([row for row, _ in known], np.float32)
    readable = ~np.isnan(logits).any(axis=1)
    places = np.flatnonzero(readable)
    good = tuple(samples[place] for place in places.tolist())
    return SplitPredictions(
        run=info.id,
        split=part,
        classes=classes,
        samples=good,
        labels=np.array([classes.index(sample.label) for sample in good], np.int64),
        logits=logits[places],
        imagenet=np.array([first for _, first in known], np.int64)[places],
        unreadable=tuple(samples[place].file for place in np.flatnonzero(~readable).tolist()),
        duplicates=seen,
    )


def _file(info: RunInfo, part: str) -> Path:
    return info.folder / f"predictions-{part}.npz"


def _key(info: RunInfo, settings: Settings) -> str:
    """Return what predictions depend on beside the image.

    Raises:
        StorageError: the network's file cannot be read.
    """
    assert info.model is not None
    config = info.config
    with explained_os_errors(f"The network of run {info.id} could not be read"):
        lines = [f"{config.backbone} {config.size} {config.fit} {hash_weights(info.model)}"]
    other = imagenet_ref(config, settings)
    if other is not None:
        row = backbone(other.backbone)
        weights = find(row, other.size, settings, top=True).path
        lines.append(f"{other.backbone} {other.size} {other.fit} {hash_network(row, weights)}")
    return "\n".join(lines)


def _load(info: RunInfo, part: str, key: str) -> Rows:
    """Return the rows of a file; none where there is none, or one of another model or damaged."""
    classes = len(read_classes(info))
    try:
        with _file(info, part).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return {}
            ids, logits, imagenet = file["sha256"], file["logits"], file["imagenet"]
        if ids.shape != (len(logits), SHA256) or logits.shape[1:] != (classes,):
            return {}
        text, width = ids.tobytes().hex(), 2 * SHA256
        rows = zip(logits.astype(np.float32), imagenet.tolist(), strict=True)
        return {text[place * width : (place + 1) * width]: row for place, row in enumerate(rows)}
    except Exception:  # NumPy, zipfile and zlib raise a dozen kinds on damaged bytes
        return {}


def _save(info: RunInfo, part: str, key: str, rows: Rows, settings: Settings) -> None:
    """Keep rows for the next time; on a disk that takes nothing they are computed again then."""
    with suppress(OSError, StorageError):
        if _key(info, settings) != key:  # the run was resumed meanwhile
            return
        rows = _load(info, part, key) | rows  # another session may have added some
        buffer = io.BytesIO()
        np.savez(
            buffer,
            key=key,
            sha256=np.frombuffer(bytes.fromhex("".join(rows)), np.uint8).reshape(-1, SHA256),
            logits=np.array([logits for logits, _ in rows.values()], np.float32),
            imagenet=np.array([first for _, first in rows.values()], np.int64),
        )
        write_file(_file(info, part), buffer.getvalue())
