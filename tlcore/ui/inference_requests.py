"""Requests to the inference worker; pure results are cached by the content of the image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from tlcore.activations.layers import LayerInfo
from tlcore.activations.values import (
    ActivationRequest,
    ChannelDetail,
    DisplayOptions,
    Filters,
    LayerStatistics,
    MapPage,
    MapPair,
)
from tlcore.datasets.dataset import SPLIT_NAMES, Sample, dataset_hash
from tlcore.datasets.splits import draw_stratified
from tlcore.errors import TLCoreError
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.metrics import Calibration, ThresholdCurves, compute_calibration
from tlcore.evaluation.split_predictions import (
    ImagePredictions,
    SplitPredictions,
    predict_split,
    stored_predictions,
)
from tlcore.models.gradcam import Explanation
from tlcore.models.predictions import BriefPrediction, Floats, ModelRef, Prediction
from tlcore.models.summary import ShapePath
from tlcore.settings import Settings
from tlcore.training.provenance import list_samples
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run, load_run_info
from tlcore.ui.format import duration, plural
from tlcore.ui.services import inference

PREDICTIONS = 500  # in the cache
ACTIVATIONS = "tlcore.inference.activation_tasks"
PAGES = 48  # drawn pages in the cache; up to half a megabyte each
CALIBRATION_IMAGES = 500  # validation images that are predicted for it, drawn class by class


def waiting(settings: Settings) -> AbstractContextManager[None]:
    """Show what the person waits for; the first request of all waits for TensorFlow."""
    if inference(settings).warm:
        return st.spinner("Running the model …")
    return st.spinner("TensorFlow is starting in its own process: about 5 seconds, once …")


def predict(
    sample: Sample, refs: Sequence[ModelRef], settings: Settings
) -> tuple[Prediction | TLCoreError, ...]:
    """Return each model's prediction for one image, by one request; an error in its place."""
    with waiting(settings):
        predictions = _predict(sample.sha256, tuple(refs), sample, settings)
    if any(isinstance(one, TLCoreError) for one in predictions):
        _predict.clear()  # what is missing may come
    return predictions


@st.cache_data(show_spinner=False, max_entries=PREDICTIONS)
def _predict(
    sha: str, refs: tuple[ModelRef, ...], _sample: Sample, _settings: Settings
) -> tuple[Prediction | TLCoreError, ...]:
    if not refs:
        return ()
    predictions: tuple[Prediction | TLCoreError, ...]
    predictions = inference(_settings).ask("predict", _sample.path, refs)
    return predictions


def explain(
    sample: Sample, requests: Sequence[tuple[ModelRef, int, str]], settings: Settings
) -> tuple[Explanation | TLCoreError, ...]:
    """Return a Grad-CAM map for each model, class index and layer ("" for the last one)."""
    with waiting(settings):
        explanations = _explain(sample.sha256, tuple(requests), sample, settings)
    if any(isinstance(one, TLCoreError) for one in explanations):
        _explain.clear()
    return explanations


@st.cache_data(show_spinner=False, max_entries=100)
def _explain(
    sha: str, requests: tuple[tuple[ModelRef, int, str], ...], _sample: Sample, _settings: Settings
) -> tuple[Explanation | TLCoreError, ...]:
    explanations: tuple[Explanation | TLCoreError, ...]
    explanations = inference(_settings).ask("explain", _sample.path, requests)
    return explanations


def predict_batch(
    paths: Sequence[Path], refs: Sequence[ModelRef], settings: Settings
) -> list[tuple[BriefPrediction, ...] | str]:
    """Return the short predictions of several models for each image, or why there is none."""
    rows: list[tuple[BriefPrediction, ...] | str]
    rows = inference(settings).ask("predict_batch", list(paths), tuple(refs))
    return rows


def shape_path(ref: ModelRef, classes: int, settings: Settings) -> ShapePath:
    """Return how an image becomes numbers in a model, with a head of so many classes."""
    with waiting(settings):
        return _shape_path(ref, classes, settings)


@st.cache_data(show_spinner=False, max_entries=32)
def _shape_path(ref: ModelRef, classes: int, _settings: Settings) -> ShapePath:
    path: ShapePath = inference(_settings).ask("compute_shape_path", ref, classes)
    return path


def calibration_of(info: RunInfo, settings: Settings) -> Calibration | None:
    """Return how a head's probabilities compare with its accuracy on validation images.

    None where these images are no longer here.
    """
    return _calibration(info.ref, info, settings)


@st.cache_data(show_spinner=False, max_entries=64)
def _calibration(ref: ModelRef, _info: RunInfo, _settings: Settings) -> Calibration | None:
    samples = draw_stratified(list_samples(_info, "val"), CALIBRATION_IMAGES, _info.config.seed)
    classes = load_run(ref.run, _settings).classes
    rows = predict_batch([sample.path for sample in samples], [ref], _settings)
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
    layers: tuple[LayerInfo, ...] = _draw("list_layers", (ref,), settings)
    return layers


def layer_page(
    request: ActivationRequest,
    layer: str,
    view: DisplayOptions,
    settings: Settings,
    *,
    following: str = "",
) -> tuple[MapPage, ChannelDetail]:
    """Return one page of a layer's maps, drawn, and the first channel of that page.

    Args:
        request: image and model.
        layer: its name.
        view: how the page is drawn.
        settings: where models are.
        following: the layer that is likely to be wanted next. While the person sees this one it is
            computed and drawn.
    """
    ahead = (request, following, replace(view, page=0)) if following else None
    drawn: tuple[MapPage, ChannelDetail]
    drawn = _draw("draw_layer", (request, layer, view), settings, ahead)
    return drawn


def channel(
    request: ActivationRequest, layer: str, number: int, settings: Settings
) -> ChannelDetail:
    """Return one channel, large; numbered from 0."""
    detail: ChannelDetail = _draw("inspect_channel", (request, layer, number), settings)
    return detail


def top_image_values(
    paths: Sequence[Path], ref: ModelRef, layer: str, settings: Settings
) -> tuple[Floats, tuple[str, ...]]:
    """Return each channel's highest and mean value in some images, and names without any."""
    values: tuple[Floats, tuple[str, ...]]
    values = inference(settings).ask(f"{ACTIVATIONS}:measure_images", list(paths), ref, layer)
    return values


def pair_page(
    left: ActivationRequest,
    right: ActivationRequest,
    layer: str,
    view: DisplayOptions,
    settings: Settings,
) -> MapPair:
    """Return the same channels of two requests, and their difference."""
    pair: MapPair = _draw("draw_comparison", (left, right, layer, view), settings)
    return pair


def filters(
    ref: ModelRef, layer: str, view: DisplayOptions, output_channel: int, settings: Settings
) -> Filters:
    """Return the kernels of the convolution at or before a layer, drawn."""
    kernels: Filters = _draw("draw_filters", (ref, layer, view, output_channel), settings)
    return kernels


def layer_statistics(request: ActivationRequest, settings: Settings) -> tuple[LayerStatistics, ...]:
    """Return every layer that has maps in numbers."""
    statistics: tuple[LayerStatistics, ...] = _draw("measure_layers", (request,), settings)
    return statistics


def map_image(
    request: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> bytes:
    """Return a page as a PNG file. Computed when it is downloaded, and not cached."""
    png: bytes = inference(settings).ask(f"{ACTIVATIONS}:render_png", request, layer, view)
    return png


def map_values(request: ActivationRequest, layer: str, settings: Settings) -> bytes:
    """Return a layer's maps as an NPZ file. Computed when it is downloaded, and not cached."""
    npz: bytes = inference(settings).ask(f"{ACTIVATIONS}:export_maps", request, layer)
    return npz


def _draw(
    task: str,
    arguments: tuple[Any, ...],
    settings: Settings,
    ahead: tuple[Any, ...] | None = None,
) -> Any:
    with waiting(settings):
        return _drawn(task, repr(arguments), arguments, settings, ahead)


@st.cache_data(show_spinner=False, max_entries=PAGES)
def _drawn(
    task: str,
    key: str,
    _arguments: tuple[Any, ...],
    _settings: Settings,
    _ahead: tuple[Any, ...] | None,
) -> Any:
    result = inference(_settings).ask(f"{ACTIVATIONS}:{task}", *_arguments)
    if _ahead:
        inference(_settings).prefetch(f"{ACTIVATIONS}:{task}", *_ahead)
    return result


# Evaluation of a run


def predict_run_split(run: str, split: str, settings: Settings) -> SplitPredictions:
    """Return a run's predictions for one split: stored ones at once, others with a progress bar.

    Whatever the person clicks meanwhile interrupts; what has been predicted is stored with the run,
    so that coming back continues there.
    """
    stored = stored_predictions(run, split, settings)
    if stored is not None:
        return stored
    place, start = st.empty(), time.monotonic()
    before: list[int] = []  # how many were stored at the start

    def show(done: int, images: int) -> None:
        before.append(done)
        words = f"Predicting the {SPLIT_NAMES[split]} split: {done:,} of {plural(images, 'image')}"
        if done > before[0]:
            left = (time.monotonic() - start) * (images - done) / (done - before[0])
            words += f" · about {duration(max(1.0, left))} left"
        place.progress(done / images, text=f"{words} · any click stops it, nothing is lost")

    def predict_files(paths: Sequence[Path]) -> ImagePredictions:
        predictions: ImagePredictions
        predictions = inference(settings).ask("predict_files", run, list(paths))
        return predictions

    predictions = predict_split(run, split, settings, predict_files, show)
    place.empty()
    return predictions


def evaluate_run(run: str, split: str, settings: Settings) -> tuple[Evaluation, SplitPredictions]:
    """Return a run's evaluation on one split and the predictions that it comes from."""
    predictions = predict_run_split(run, split, settings)
    predict_run_split(run, "train", settings)
    weights = load_run_info(run, settings).ref.weights
    images = dataset_hash(predictions.samples)
    unreadable = predictions.unreadable
    return _evaluate(run, split, weights, images, unreadable, settings), predictions


@st.cache_data(show_spinner=False, max_entries=50)
def _evaluate(
    run: str,
    split: str,
    weights: str,
    images: str,
    unreadable: tuple[str, ...],
    _settings: Settings,
) -> Evaluation:
    """Evaluate in the worker: scikit-learn takes seconds to import and stays out of the server."""
    evaluation: Evaluation = inference(_settings).ask("evaluate_run", run, split)
    return evaluation


def compute_run_curves(predictions: SplitPredictions, settings: Settings) -> ThresholdCurves:
    """Return the ROC and precision-recall curve of a two-class run, computed in the worker."""
    run, split = predictions.run, predictions.split
    weights = load_run_info(run, settings).ref.weights
    return _curves(run, split, weights, dataset_hash(predictions.samples), settings)


@st.cache_data(show_spinner=False, max_entries=20)
def _curves(
    run: str, split: str, weights: str, images: str, _settings: Settings
) -> ThresholdCurves:
    curves: ThresholdCurves = inference(_settings).ask("compute_run_curves", run, split)
    return curves
