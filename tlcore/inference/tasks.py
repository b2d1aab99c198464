"""What the inference worker does for a page: predictions, explanations, whole splits.

A page sends the name of a function of this module, or "module:function" of another one, with its
arguments; see ``client``. Loaded models stay in this process.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

from PIL.Image import Image

from tlcore.datasets.image_io import read_image
from tlcore.errors import BadImage, TLCoreError
from tlcore.evaluation.metrics import ThresholdCurves, compute_curves
from tlcore.evaluation.split_predictions import predict_split
from tlcore.models import loaded_model
from tlcore.models.gradcam import Explanation
from tlcore.models.loaded_model import LoadedModel, compute_logits
from tlcore.models.predictions import (
    BriefPrediction,
    Floats,
    ModelRef,
    Prediction,
    softmax,
)
from tlcore.models.summary import ShapePath
from tlcore.settings import Limits, Settings
from tlcore.training.transfer_model import load_model

Result = TypeVar("Result")
ExplanationRequest = tuple[ModelRef, int, str]  # model, class index, layer ("" for the last one)


def start_worker(parent: int, settings: Settings) -> int:
    """Return this process's id, once TensorFlow is loaded; from now on it ends with ``parent``.

    A server that is killed cannot end its worker, which would wait for ever.
    """
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return os.getpid()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def predict(
    image: Path, refs: Sequence[ModelRef], settings: Settings
) -> tuple[Prediction | TLCoreError, ...]:
    """Return each model's prediction for one image file, which is decoded once.

    Where a model cannot be loaded, its error stands in the place of its prediction.

    Raises:
        BadImage: the file cannot be read.
    """
    start = time.perf_counter()
    pixels = _read_image(image, settings)
    decode = time.perf_counter() - start

    def predict_one(model: LoadedModel) -> Prediction:
        prediction = model.predict(pixels)
        return replace(prediction, seconds=replace(prediction.seconds, decode=decode))

    return tuple(_or_error(ref, predict_one, settings) for ref in refs)


def explain(
    image: Path, requests: Sequence[ExplanationRequest], settings: Settings
) -> tuple[Explanation | TLCoreError, ...]:
    """Return a Grad-CAM map for each request about one image file, which is decoded once.

    Raises as ``predict``; other errors stand in the place of the map.
    """
    pixels = _read_image(image, settings)

    def explain_one(index: int, layer: str, model: LoadedModel) -> Explanation:
        return model.explain(pixels, index, layer)

    return tuple(
        _or_error(ref, partial(explain_one, index, layer), settings)
        for ref, index, layer in requests
    )


def _or_error(
    ref: ModelRef, use: Callable[[LoadedModel], Result], settings: Settings
) -> Result | TLCoreError:
    try:
        return use(load_model(ref, settings))
    except TLCoreError as error:
        return error


def _read_image(path: Path, settings: Settings) -> Image:
    """Decode an image file, or return the one decoded last: a page has several requests for it."""
    try:
        state = path.stat()
    except OSError:
        return read_image(path, settings.limits)  # says what is wrong
    return _decoded(path, state.st_mtime_ns, state.st_size, settings.limits)


@lru_cache(maxsize=1)
def _decoded(path: Path, changed: int, size: int, limits: Limits) -> Image:
    return read_image(path, limits)


def predict_batch(
    images: Sequence[Path], refs: Sequence[ModelRef], settings: Settings
) -> list[tuple[BriefPrediction, ...] | str]:
    """Return the short predictions of several models for each image file, or why there is none.

    Ask for a hundred or so at a time: other tasks wait meanwhile.
    """
    models = [load_model(ref, settings) for ref in refs]
    return [
        str(row) if isinstance(row, BadImage) else tuple(map(_to_brief, row))
        for row in compute_logits(models, images, settings.limits)
    ]


def _to_brief(logits: Floats) -> BriefPrediction:
    best = int(logits.argmax())
    return BriefPrediction(best, float(softmax(logits)[best]))


def compute_shape_path(ref: ModelRef, classes: int, settings: Settings) -> ShapePath:
    """Return the shapes from image to prediction, with a head of so many classes."""
    return loaded_model.compute_shape_path(load_model(ref, settings), classes)


def compute_run_curves(run: str, split: str, settings: Settings) -> ThresholdCurves:
    """Return the ROC and precision-recall curve of a two-class run."""
    return compute_curves(predict_split(run, split, settings))
