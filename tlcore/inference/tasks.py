"""Asking a run's network, and ImageNet's beside it, about a whole part."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.datasets.image_io import read
from tlcore.errors import BadImage, RunError, WeightsMissing
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.judged import NOT_PREDICTED
from tlcore.evaluation.label_issues import LabelIssues, find_label_issues
from tlcore.evaluation.predictions import ImagePredictions, evaluate, imagenet_ref, predict_split
from tlcore.export.report import STEPS, write_report
from tlcore.jobs import Progress
from tlcore.models.gradcam import explain as explain_class
from tlcore.models.model import LoadedModel, load_pretrained
from tlcore.models.model import predict_many as answer_many
from tlcore.models.predictions import (
    BriefPrediction,
    Explanation,
    ModelRef,
    Prediction,
    ShapePath,
    brief,
    softmax,
)
from tlcore.models.summary import shape_path as path_of
from tlcore.settings import Settings
from tlcore.training.best_epoch import learned_from
from tlcore.training.config import RunConfig
from tlcore.training.cost import Cost, estimate_cost
from tlcore.training.learning_rate import (
    LearningRateScan,
    find_learning_rate,
    find_learning_rate_for,
)
from tlcore.training.store import load_run, run_info
from tlcore.training.studies import LearningCurvePoint, compute_learning_curve, cross_validate
from tlcore.training.transfer_model import load_run_model


def predict_files(settings: Settings, run: str, paths: Sequence[Path]) -> ImagePredictions:
    """Return the logits of a run's network for these files, and ImageNet's first class of each.

    ImageNet is asked with the run's own backbone, size and geometry, where its 1000 classes can be
    had in that size; each file is decoded once for both.
    """
    info = run_info(run, settings)
    own = loaded_model(settings, info.ref)
    both = [own, *_imagenet(settings, info.config)]
    logits = np.full((len(paths), len(own.labels)), np.nan, np.float32)
    first = np.full(len(paths), NOT_PREDICTED, np.int64)
    for place, told in enumerate(answer_many(both, paths, settings.limits)):
        if isinstance(told, BadImage):
            continue
        logits[place] = told[0]
        if len(told) > 1:
            first[place] = told[1].argmax()
    return ImagePredictions(logits, first)


def evaluate_run(settings: Settings, run: str, part: str = "") -> Evaluation:
    """Return the honest numbers of a run, its network loaded in this process. See ``review``."""
    return evaluate(run, part, settings, partial(predict_files, settings, run))


def _imagenet(settings: Settings, config: RunConfig) -> list[LoadedModel]:
    """Return the network with ImageNet's classes, or none where it cannot be had."""
    ref = imagenet_ref(config, settings)
    return [] if ref is None else [loaded_model(settings, ref)]


# A run's report: its network is asked what is not kept yet, then all is written down.


def write_run_report(run: str, target: Path, settings: Settings, progress: Progress) -> None:
    """Write the report of a run. Raises as ``predict_split`` and ``write_report`` do."""
    progress(0, STEPS, "Asking the network about all images")
    evaluation = evaluate_run(settings, run)
    judged = predict_split(run, evaluation.split, settings, partial(predict_files, settings, run))
    progress(1, STEPS, "Looking for labels that may be wrong")
    suspects = _suspects(settings, run)
    write_report(target, evaluation, judged, suspects, settings, progress)


def _suspects(settings: Settings, run: str) -> LabelIssues | None:
    """Return the doubted labels; None where the features are gone and cannot be had again."""
    try:
        return find_label_issues(settings, run)
    except (RunError, WeightsMissing):
        return None


# What the inference worker can be asked: each takes the settings first and returns a value.


def wake(settings: Settings, parent: int) -> int:
    """Return this process's id, once TensorFlow is loaded; from now on it ends with ``parent``.

    A server that is killed cannot take its worker down, and the worker would wait for ever.
    """
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    return os.getpid()


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def predict(settings: Settings, path: Path, ref: ModelRef) -> Prediction:
    loaded = loaded_model(settings, ref)
    start = time.perf_counter()
    image = read(path, settings.limits)
    decoded = time.perf_counter() - start
    answer = loaded.predict(image)
    return replace(answer, seconds=replace(answer.seconds, decode=decoded))


def explain(settings: Settings, image: Path, ref: ModelRef, index: int, layer: str) -> Explanation:
    return explain_class(loaded_model(settings, ref), read(image, settings.limits), index, layer)


def shape_path(settings: Settings, ref: ModelRef, classes: int) -> ShapePath:
    if not ref.run:
        return path_of(loaded_model(settings, ref), classes)
    run = load_run(ref.run, settings)
    pooling, unfrozen = run.info.config.pooling, learned_from(run)
    return path_of(loaded_model(settings, ref), classes, pooling=pooling, unfrozen_from=unfrozen)


def predict_many(
    settings: Settings, images: Sequence[Path], refs: Sequence[ModelRef]
) -> list[tuple[BriefPrediction, ...] | str]:
    networks = [loaded_model(settings, ref) for ref in refs]
    return [
        str(logits) if isinstance(logits, BadImage) else tuple(map(brief, map(softmax, logits)))
        for logits in answer_many(networks, images, settings.limits)
    ]


def run_cost(
    settings: Settings, config: RunConfig, train: Sequence[Sample], val: Sequence[Sample]
) -> Cost:
    return estimate_cost(config, train, val, settings)


def find_rate_of(
    settings: Settings, config: RunConfig, classes: Sequence[str], train: Sequence[Sample]
) -> LearningRateScan:
    return find_learning_rate_for(config, classes, train, settings)


def study(settings: Settings, name: str, run: str) -> Study:
    return STUDIES[name](run, settings)


Study = tuple[LearningCurvePoint, ...] | tuple[float, ...] | LearningRateScan
STUDIES: Mapping[str, Callable[[str, Settings], Study]] = {
    "enough": compute_learning_curve,
    "folds": cross_validate,
    "find_rate": find_learning_rate,
}


def loaded_model(settings: Settings, ref: ModelRef) -> LoadedModel:
    """Return a loaded network; the latest ``settings.models_kept`` stay in memory."""
    return _networks(settings)(ref)


@cache
def _networks(settings: Settings) -> Callable[[ModelRef], LoadedModel]:
    return lru_cache(maxsize=settings.models_kept)(partial(load, settings=settings))


def load(ref: ModelRef, settings: Settings) -> LoadedModel:
    """Load a network of either kind."""
    if not ref.run:
        return load_pretrained(ref, settings)
    return load_run_model(ref.run, settings)
