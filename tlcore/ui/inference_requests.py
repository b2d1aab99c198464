"""Requests to the inference worker; pure results are cached by the content of the image."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from tlcore.activations.layers import LayerInfo
from tlcore.activations.values import ActivationRequest
from tlcore.datasets.dataset import SPLIT_NAMES, Sample, dataset_hash
from tlcore.datasets.splits import draw_stratified
from tlcore.errors import TLCoreError
from tlcore.evaluation.evaluation import Evaluation, compute_evaluation
from tlcore.evaluation.metrics import Calibration, compute_calibration
from tlcore.evaluation.split_predictions import SplitPredictions, evaluated_split, predict_split
from tlcore.models.gradcam import Explanation
from tlcore.models.predictions import BriefPrediction, ModelRef, Prediction
from tlcore.settings import Settings
from tlcore.storage import is_locked
from tlcore.training.provenance import list_samples
from tlcore.training.run import RunInfo
from tlcore.training.status import LOCK
from tlcore.training.store import load_run, load_run_info
from tlcore.ui.format import duration, plural
from tlcore.ui.services import inference

CACHED = 100  # results; a page of maps has up to half a megabyte
CALIBRATION_IMAGES = 500  # validation images that are predicted for it, drawn class by class


def ask(
    task: str,
    *arguments: Any,
    settings: Settings,
    content: object = None,
    ahead: tuple[Any, ...] = (),
    words: str = "Running the model …",
) -> Any:
    """Return a task's result, from the cache if it was asked for with this content before.

    Args:
        task: as ``Inference.ask`` takes it, with its arguments.
        settings: where models are.
        content: what the result depends on besides the arguments, such as an image's hash.
        ahead: arguments that are likely to be asked for next, computed once this result is here.
        words: what the person waits for; the first request of all waits for TensorFlow.
    """
    if not inference(settings).is_warm(task):
        words = "TensorFlow is starting in its own process: about 5 seconds, once …"
    request = (repr((task, arguments, content)), (task, arguments, ahead), settings)
    with st.spinner(words):
        result = _cached(*request)
    if isinstance(result, tuple) and any(isinstance(one, TLCoreError) for one in result):
        _cached.clear(*request)  # what is missing may come
    return result


@st.cache_data(show_spinner=False, max_entries=CACHED)
def _cached(key: str, _request: tuple[str, Any, Any], _settings: Settings) -> Any:
    task, arguments, ahead = _request
    result = inference(_settings).ask(task, *arguments)
    if ahead:
        inference(_settings).prefetch(task, *ahead)
    return result


def predict(
    sample: Sample, refs: Sequence[ModelRef], settings: Settings
) -> tuple[Prediction | TLCoreError, ...]:
    """Return each model's prediction for one image, by one request; an error in its place."""
    if not refs:
        return ()
    return ask("predict", sample.path, tuple(refs), settings=settings, content=sample.sha256)


def explain(
    sample: Sample, requests: Sequence[tuple[ModelRef, int, str]], settings: Settings
) -> tuple[Explanation | TLCoreError, ...]:
    """Return a Grad-CAM map for each model, class index and layer ("" for the last one)."""
    return ask("explain", sample.path, tuple(requests), settings=settings, content=sample.sha256)


def predict_batch(
    paths: Sequence[Path], refs: Sequence[ModelRef], settings: Settings
) -> list[tuple[BriefPrediction, ...] | str]:
    """Return the short predictions of several models for each image, or why there is none."""
    return inference(settings).ask("predict_batch", list(paths), tuple(refs))


@st.cache_data(
    show_spinner=False,
    max_entries=64,
    hash_funcs={RunInfo: lambda info: repr(info.ref), Settings: repr},
)
def calibration_of(info: RunInfo, settings: Settings) -> Calibration | None:
    """Return how a head's probabilities compare with its accuracy on validation images.

    None where these images are no longer here.
    """
    samples = draw_stratified(list_samples(info, "val"), CALIBRATION_IMAGES, info.config.seed)
    classes = load_run(info.id, settings).classes
    rows = predict_batch([sample.path for sample in samples], [info.ref], settings)
    pairs = [
        (row[0].probability, classes[row[0].index] == sample.label)
        for sample, row in zip(samples, rows, strict=True)
        if not isinstance(row, str)
    ]
    if not pairs:
        return None
    return compute_calibration([sure for sure, _ in pairs], [right for _, right in pairs])


# Feature maps


def activation_request(sample: Sample, ref: ModelRef) -> ActivationRequest:
    """Return the request for an image's activations in a model."""
    return ActivationRequest(sample.path, sample.sha256, ref)


def list_layers(ref: ModelRef, settings: Settings) -> tuple[LayerInfo, ...]:
    """Return every layer of a model."""
    return ask("list_layers", ref, settings=settings)


def ask_once(task: str, *arguments: Any, settings: Settings) -> Any:
    """Return a task's result that is not wanted again, such as a download: it is not cached."""
    return inference(settings).ask(task, *arguments)


# Evaluation of a run


def predict_run_split(run: str, split: str, settings: Settings) -> SplitPredictions:
    """Return a run's predictions for one split: stored ones at once, others with a progress bar.

    Whatever the person clicks meanwhile interrupts; what has been predicted is stored with the run,
    so that coming back continues there.
    """
    with st.spinner("Computing the metrics …"):  # by its own process, which has all at hand
        while is_locked(settings.runs / run / LOCK) and not load_run_info(run, settings).active:
            time.sleep(0.05)
    place, start = st.empty(), time.monotonic()
    before: list[int] = []  # how many were stored at the start

    def show(done: int, images: int) -> None:
        before.append(done)
        words = f"Predicting the {SPLIT_NAMES[split]} split: {done:,} of {plural(images, 'image')}"
        if done > before[0]:
            left = (time.monotonic() - start) * (images - done) / (done - before[0])
            words += f" · about {duration(max(1.0, left))} left"
        place.progress(done / images, text=f"{words} · any click stops it, nothing is lost")

    task, ask = "tlcore.evaluation.split_predictions:predict_files", inference(settings).ask
    predictions = predict_split(
        run, split, settings, lambda run, files, _: ask(task, run, files), show
    )
    place.empty()
    return predictions


def evaluate_run(run: str, split: str, settings: Settings) -> tuple[Evaluation, SplitPredictions]:
    """Return a run's evaluation on one split and the predictions that it comes from."""
    predictions = predict_run_split(run, split, settings)
    train = predict_run_split(run, "train", settings)
    has_test = evaluated_split(run, settings) == "test"
    return _compute_evaluation(predictions, train, has_test=has_test), predictions


def _content(predictions: SplitPredictions) -> tuple[object, ...]:
    outputs = zlib.crc32(predictions.logits.data), zlib.crc32(predictions.imagenet.data)
    images = dataset_hash(predictions.samples), predictions.unreadable, predictions.duplicates
    return predictions.run, predictions.split, *outputs, *images


_compute_evaluation = st.cache_data(
    show_spinner=False, max_entries=CACHED, hash_funcs={SplitPredictions: _content}
)(compute_evaluation)
