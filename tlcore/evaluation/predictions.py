"""The answers of a run on one of its parts, asked once and kept in the run's folder.

``answers-PART.npz`` holds what the network said and what that depends on: the network's own file
and the bytes of the pictures. Where either has changed, it is asked again. Labels are not in it:
they are the run's.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tlcore.datasets.dataset import Sample, dataset_hash
from tlcore.datasets.store import open_dataset
from tlcore.errors import BadConfig, BadDataset, RunError, UnknownName, WeightsMissing
from tlcore.evaluation.evaluation import Evaluation, evaluate
from tlcore.evaluation.judged import PARTS, Floats, Indices, Judged
from tlcore.models.answers import Pretrained
from tlcore.models.catalogue import backbone
from tlcore.models.weights import find
from tlcore.settings import Settings
from tlcore.storage import write_file
from tlcore.training.cache.keys import weights_id
from tlcore.training.config import RunConfig
from tlcore.training.parts import classes_of, noted_test, pictures_of
from tlcore.training.pictures import hashed
from tlcore.training.run import RunInfo
from tlcore.training.store import run_info

CHUNK = 128  # pictures asked at a time


@dataclass(frozen=True, eq=False)
class Answers:
    """What was said of some pictures, in their order."""

    probabilities: Floats  # (n, classes); a row of NaN for a file that cannot be read
    imagenet: Indices  # (n,) ImageNet's first class, UNKNOWN where it was not asked


Ask = Callable[[Sequence[Path]], Answers]  # a run's network, wherever it is loaded
Done = Callable[[int, int], None]  # told pictures behind and pictures in all; may raise to end it


def evaluation_of(run: str, part: str, settings: Settings, ask: Ask) -> Evaluation:
    """Return the honest numbers of a run; ``ask`` is asked only for what is not kept yet.

    Args:
        run: its id.
        part: one of PARTS, or "" for the test part if the run has one, else validation.
        settings: where it lies.
        ask: its network.

    Raises:
        RunError, UnknownName: as ``judge``.
    """
    natural = judging_part(run, settings)
    judged = judge(run, part or natural, settings, ask)
    train = judge(run, "train", settings, ask)
    return evaluate(judged, train, dataset_hash(judged.samples), tested=natural == "test")


def judge(
    run: str, part: str, settings: Settings, ask: Ask, done: Done = lambda behind, all_: None
) -> Judged:
    """Return a run's answers on one part: kept ones, or asked now and kept.

    Raises:
        RunError: no such run, without a network, or without pictures in this part.
        UnknownName: no such part.
    """
    found = kept(run, part, settings)
    if found is not None:
        return found
    info = _with_network(run, settings)
    samples, seen = part_of(info, part, settings)
    parts = []
    for start in range(0, len(samples), CHUNK):
        done(start, len(samples))
        parts.append(ask([sample.path for sample in samples[start : start + CHUNK]]))
    answers = Answers(
        np.concatenate([each.probabilities for each in parts]),
        np.concatenate([each.imagenet for each in parts]),
    )
    _keep(_file(info, part), _key(info, samples, settings), answers)
    return _judged(info, part, samples, seen, answers)


def kept(run: str, part: str, settings: Settings) -> Judged | None:
    """Return the answers that were asked before, or None. Raises as ``judge`` does."""
    info = _with_network(run, settings)
    samples, seen = part_of(info, part, settings)
    try:
        with _file(info, part).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["key"]) != _key(info, samples, settings):
                return None
            answers = Answers(file["probabilities"], file["imagenet"])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):  # none yet, or not one of ours
        return None
    return _judged(info, part, samples, seen, answers)


def judging_part(run: str, settings: Settings) -> str:
    """Return the part by which a run should be judged: "test" if it has one, else "val"."""
    samples, _ = _test(run_info(run, settings), settings)
    return "test" if samples else "val"


def common_part(runs: Sequence[str], settings: Settings) -> str:
    """Return the part by which runs are compared: "test" if all have one, else "val"."""
    return "test" if all(judging_part(run, settings) == "test" for run in runs) else "val"


def imagenet_of(config: RunConfig, settings: Settings) -> Pretrained | None:
    """Return the network that gives ImageNet's answer beside a run's: its backbone, size, geometry.

    None where its weights with the 1000 classes are not here, or are tied to another size.
    """
    if config.random_weights:
        return None
    try:
        row = backbone(config.backbone)
        find(row, row.check_size(config.size, top=True), settings, top=True)
    except (WeightsMissing, BadConfig):
        return None
    return Pretrained(config.backbone, config.size, config.fit)


def part_of(info: RunInfo, part: str, settings: Settings) -> tuple[list[Sample], int]:
    """Return the pictures of a part, at least one, and how many test pictures were left out.

    A test picture whose very bytes the run has seen in training or validation is no test.
    """
    if part not in PARTS:
        raise UnknownName.of("part", part, PARTS)
    samples, seen = _test(info, settings) if part == "test" else (pictures_of(info, part), 0)
    if not samples:
        raise RunError(
            f"Expected pictures in the {part} part of run {info.id}. Received none. Judge it by "
            "another part (val), or divide the set on the Upload page and run it again."
        )
    return samples, seen


def _test(info: RunInfo, settings: Settings) -> tuple[list[Sample], int]:
    samples = pictures_of(info, "test") if noted_test(info) else _set_aside(info, settings)
    if not samples:
        return [], 0
    seen = {sample.sha256 for part in ("train", "val") for sample in pictures_of(info, part)}
    fresh = [sample for sample in samples if sample.sha256 not in seen]
    return fresh, len(samples) - len(fresh)


def _set_aside(info: RunInfo, settings: Settings) -> Sequence[Sample]:
    """The test pictures of today, for a run made before runs noted them."""
    try:
        samples = open_dataset(info.config.dataset, settings).samples
    except BadDataset:  # the set is gone
        return ()
    classes = set(classes_of(info))
    return hashed([s for s in samples if s.split == "test" and s.label in classes])


def _with_network(run: str, settings: Settings) -> RunInfo:
    info = run_info(run, settings)
    if info.model is None or info.active:
        raise RunError(
            f"Expected a run that has ended with a network. Received {run}, which is "
            f"{info.state}. Wait until it has finished, or choose another."
        )
    return info


def _judged(
    info: RunInfo, part: str, samples: Sequence[Sample], seen: int, answers: Answers
) -> Judged:
    classes = classes_of(info)
    readable = ~np.isnan(answers.probabilities).any(axis=1)
    places = np.flatnonzero(readable)
    good = tuple(samples[place] for place in places.tolist())
    return Judged(
        run=info.id,
        part=part,
        classes=classes,
        samples=good,
        labels=np.array([classes.index(sample.label) for sample in good], np.int64),
        probabilities=answers.probabilities[places],
        imagenet=answers.imagenet[places],
        unreadable=tuple(samples[place].file for place in np.flatnonzero(~readable).tolist()),
        seen=seen,
    )


def _file(info: RunInfo, part: str) -> Path:
    return info.folder / f"answers-{part}.npz"


def _key(info: RunInfo, samples: Sequence[Sample], settings: Settings) -> str:
    """Return what the answers depend on, as one hash."""
    assert info.model is not None
    asked = imagenet_of(info.config, settings)
    scale = backbone(info.config.backbone).imagenet_scale if asked else ()
    pretrained = f"{asked}{scale or ''}"
    lines = [weights_id(info.model), pretrained, *(sample.sha256 for sample in samples)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _keep(path: Path, key: str, answers: Answers) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, key=key, probabilities=answers.probabilities, imagenet=answers.imagenet)
    with suppress(OSError):  # what cannot be kept is asked again
        write_file(path, buffer.getvalue())  # two sessions of one server may do so at a time
