"""What the answering process does for a page: predictions and what adds up to them, without
TensorFlow.

Each function raises ``NotConverted`` where Keras has to answer; ``client`` asks ``tasks`` then.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from PIL import Image

from tlcore.datasets.image_io import read_image
from tlcore.errors import BadImage, TLCoreError
from tlcore.models.catalog import DEFAULT, get_backbone
from tlcore.models.gradcam import Explanation
from tlcore.models.predictions import BriefPrediction, Floats, ModelRef, Prediction, softmax
from tlcore.models.runtime import NotConverted
from tlcore.settings import Settings
from tlcore.storage import FileState, file_state
from tlcore.training import answers
from tlcore.training.answers import ForwardPass, FrozenModel, open_model
from tlcore.training.store import list_runs

PASSES = 8  # that are kept: a page asks for predictions, then for what adds up to them


def start_worker(parent: int, settings: Settings) -> int:
    """Return this process's id, once its modules are loaded; from now on it ends with ``parent``.

    A server that is killed cannot end its worker, which would wait for ever.
    """

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    return os.getpid()


def load_default(settings: Settings) -> None:
    """Load what most pages ask for first: the default backbone and the newest head.

    Raises as ``open_model`` does.
    """
    size = get_backbone(DEFAULT).size
    model = open_model(ModelRef(DEFAULT, size), settings)
    answers.run_networks(Image.new("RGB", (size, size)), [model], settings)
    for info in [run for run in list_runs(settings) if run.model][:1]:
        open_model(info.ref, settings)


def predict(
    image: Path, refs: Sequence[ModelRef], settings: Settings
) -> tuple[Prediction | TLCoreError, ...]:
    """Return each model's prediction for one image file, which is decoded once.

    Where a model cannot be opened, its error stands in the place of its prediction.

    Raises:
        BadImage: the file cannot be read.
    """
    models, forward = _pass(image, tuple(refs), settings)
    good = [model for model in models if isinstance(model, FrozenModel)]
    predictions = iter(answers.predict(good, forward))
    return tuple(each if isinstance(each, TLCoreError) else next(predictions) for each in models)


def explain(
    image: Path, requests: Sequence[tuple[ModelRef, int, str]], settings: Settings
) -> tuple[Explanation | TLCoreError, ...]:
    """Return the exact contributions for each request about one image file, as ``tasks.explain``.

    Raises NotConverted for Grad-CAM too.
    """
    if any(layer for _, _, layer in requests):
        raise NotConverted
    models, forward = _pass(image, tuple(ref for ref, _, _ in requests), settings)
    explanations: list[Explanation | TLCoreError] = []
    for model, (_, index, _) in zip(models, requests, strict=True):
        try:
            if isinstance(model, TLCoreError):
                raise model
            explanations.append(answers.explain(model, index, forward))
        except TLCoreError as error:
            explanations.append(error)
    return tuple(explanations)


def _pass(
    image: Path, refs: tuple[ModelRef, ...], settings: Settings
) -> tuple[tuple[FrozenModel | TLCoreError, ...], ForwardPass]:
    """Return models, or why they cannot be opened, and what their networks compute for an image."""
    models, forward = _pass_once(image, file_state(image), refs, settings)
    if any(isinstance(model, TLCoreError) for model in models):
        _pass_once.cache_clear()  # what is missing may come
    return models, forward


@lru_cache(maxsize=PASSES)
def _pass_once(
    path: Path, state: FileState, refs: tuple[ModelRef, ...], settings: Settings
) -> tuple[tuple[FrozenModel | TLCoreError, ...], ForwardPass]:
    models: list[FrozenModel | TLCoreError] = []
    for ref in refs:
        try:
            models.append(open_model(ref, settings))
        except TLCoreError as error:
            models.append(error)
    start = time.perf_counter()
    image = read_image(path, settings.limits)
    seconds = time.perf_counter() - start
    good = [model for model in models if isinstance(model, FrozenModel)]
    forward = answers.run_networks(image, good, settings)
    return tuple(models), replace(forward, seconds=replace(forward.seconds, decode=seconds))


def predict_batch(
    images: Sequence[Path], refs: Sequence[ModelRef], settings: Settings
) -> list[tuple[BriefPrediction, ...] | str]:
    """Return the short predictions of several models for each image file, or why there is none.

    Ask for a hundred or so at a time: other tasks wait meanwhile.
    """
    models = [open_model(ref, settings) for ref in refs]
    rows = answers.compute_logits(models, [(image, "") for image in images], settings)
    return [str(row) if isinstance(row, BadImage) else tuple(map(to_brief, row)) for row in rows]


def to_brief(logits: Floats) -> BriefPrediction:
    """Return the most probable class of (classes,) logits."""
    best = int(logits.argmax())
    return BriefPrediction(best, float(softmax(logits)[best]))
