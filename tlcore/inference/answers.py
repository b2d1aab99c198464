"""What the answering process does for a page: predictions, without TensorFlow.

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

from PIL.Image import Image

from tlcore.datasets.image_io import read_image
from tlcore.errors import BadImage, TLCoreError
from tlcore.models.predictions import BriefPrediction, Floats, ModelRef, Prediction, softmax
from tlcore.settings import Limits, Settings
from tlcore.storage import FileState, file_state
from tlcore.training import answers
from tlcore.training.answers import FrozenModel, open_model


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


def predict(
    image: Path, refs: Sequence[ModelRef], settings: Settings
) -> tuple[Prediction | TLCoreError, ...]:
    """Return each model's prediction for one image file, which is decoded once.

    Where a model cannot be opened, its error stands in the place of its prediction.

    Raises:
        BadImage: the file cannot be read.
    """
    models: list[FrozenModel | TLCoreError] = []
    for ref in refs:
        try:
            models.append(open_model(ref, settings))
        except TLCoreError as error:
            models.append(error)
    start = time.perf_counter()
    pixels = decode(image, file_state(image), settings.limits)
    seconds = time.perf_counter() - start
    good = [model for model in models if isinstance(model, FrozenModel)]
    predictions = iter(answers.predict(pixels, good, settings))
    rows = (each if isinstance(each, TLCoreError) else next(predictions) for each in models)
    return tuple(
        replace(row, seconds=replace(row.seconds, decode=seconds))
        if isinstance(row, Prediction)
        else row
        for row in rows
    )


@lru_cache(maxsize=1)
def decode(path: Path, state: FileState, limits: Limits) -> Image:
    """Decode an image file, or return the one decoded last: a page has several requests for it."""
    return read_image(path, limits)


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
