"""Asking the inference process, with each answer kept by the content of the image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from tlcore.activations.values import (
    ActivationRequest,
    ChannelDetail,
    DisplayOptions,
    Filters,
    LayerInfo,
    LayerStatistics,
    MapPage,
    MapPair,
)
from tlcore.datasets.dataset import SPLIT_NAMES, Sample, dataset_hash
from tlcore.errors import TLCoreError
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.metrics import ThresholdCurves
from tlcore.evaluation.predictions import (
    ImagePredictions,
    SplitPredictions,
    predict_split,
    stored_predictions,
)
from tlcore.models.predictions import Explanation, ModelRef, Prediction, ShapePath
from tlcore.settings import Settings
from tlcore.training.store import load_run_info
from tlcore.ui.format import count, duration
from tlcore.ui.services import inference

KEPT = 500  # answers


def predict(sample: Sample, ref: ModelRef, settings: Settings) -> Prediction:
    """Return a network's answer to one image."""
    with waiting(settings):
        return _predict(sample.sha256, ref, sample, settings)


def explain(
    sample: Sample, ref: ModelRef, index: int, layer: str, settings: Settings
) -> Explanation:
    """Return where a network looked for one class in one image."""
    with waiting(settings):
        return _explain(sample.sha256, ref, index, layer, sample, settings)


def shape_path(ref: ModelRef, classes: int, settings: Settings) -> ShapePath:
    """Return how an image becomes numbers in a network, with a head of so many classes."""
    with waiting(settings):
        return _shape_path(ref, classes, settings)


@st.cache_data(show_spinner=False, max_entries=KEPT)
def _predict(sha: str, ref: ModelRef, _sample: Sample, _settings: Settings) -> Prediction:
    found: Prediction | TLCoreError = inference(_settings).ask("predict", _sample.path, [ref])[0]
    if isinstance(found, TLCoreError):
        raise found
    return found


@st.cache_data(show_spinner=False, max_entries=100)
def _explain(
    sha: str,
    ref: ModelRef,
    index: int,
    layer: str,
    _sample: Sample,
    _settings: Settings,
) -> Explanation:
    found: Explanation | TLCoreError
    [found] = inference(_settings).ask("explain", _sample.path, [(ref, index, layer)])
    if isinstance(found, TLCoreError):
        raise found
    return found


@st.cache_data(show_spinner=False, max_entries=32)
def _shape_path(ref: ModelRef, classes: int, _settings: Settings) -> ShapePath:
    path: ShapePath = inference(_settings).ask("compute_shape_path", ref, classes)
    return path


def waiting(settings: Settings) -> AbstractContextManager[None]:
    """Say what the person waits for; the first answer of all waits for TensorFlow."""
    if inference(settings).warm:
        return st.spinner("Asking the network …")
    return st.spinner("TensorFlow is starting in its own process: about 5 seconds, once …")


# Asking the inference process about feature maps; pure answers are kept by content.


ROOM = "tlcore.inference.activation_tasks"
PAGES = 48  # drawn pages kept; up to half a megabyte each


def activation_request(sample: Sample, ref: ModelRef) -> ActivationRequest:
    return ActivationRequest(sample.path, sample.sha256, ref)


def list_layers(ref: ModelRef, settings: Settings) -> tuple[LayerInfo, ...]:
    """Return every layer of a network."""
    with waiting(settings):
        found: tuple[LayerInfo, ...] = _places(repr(ref), ref, settings)
    return found


def map_page(
    look: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings, *, then: str = ""
) -> MapPage:
    """Return one page of a layer's maps, drawn.

    Args:
        then: the layer whose first page is likely to be wanted next. While the person looks at
            this one it is computed and drawn.
    """
    asked = (look, layer, view)
    following = (look, then, replace(view, page=0)) if then else None
    with waiting(settings):
        found: MapPage = _drawn("draw_maps", repr(asked), asked, settings, following)
    return found


def pair_page(
    left: ActivationRequest,
    right: ActivationRequest,
    layer: str,
    view: DisplayOptions,
    settings: Settings,
) -> MapPair:
    """Return the same channels of two looks, and their difference."""
    asked = (left, right, layer, view)
    found: MapPair = _drawn("draw_comparison", repr(asked), asked, settings)
    return found


def channel(look: ActivationRequest, layer: str, number: int, settings: Settings) -> ChannelDetail:
    """Return one channel, large; numbered from 0."""
    asked = (look, layer, number)
    found: ChannelDetail = _drawn("inspect_channel", repr(asked), asked, settings)
    return found


def filters(
    ref: ModelRef, layer: str, view: DisplayOptions, of: int, settings: Settings
) -> Filters:
    """Return the kernels of the convolution at or before a layer, drawn."""
    asked = (ref, layer, view, of)
    found: Filters = _drawn("draw_filters", repr(asked), asked, settings)
    return found


def layer_statistics(look: ActivationRequest, settings: Settings) -> tuple[LayerStatistics, ...]:
    """Return every spatial layer in numbers."""
    found: tuple[LayerStatistics, ...] = _drawn("measure_layers", repr(look), (look,), settings)
    return found


def map_image(
    look: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> bytes:
    """Return a page as a PNG to keep. Asked when it is downloaded, and not kept."""
    found: bytes = inference(settings).ask(f"{ROOM}:render_png", look, layer, view)
    return found


def map_values(look: ActivationRequest, layer: str, settings: Settings) -> bytes:
    """Return a layer's maps as an NPZ file. Asked when it is downloaded, and not kept."""
    found: bytes = inference(settings).ask(f"{ROOM}:export_maps", look, layer)
    return found


@st.cache_data(show_spinner=False, max_entries=32)
def _places(key: str, _ref: ModelRef, _settings: Settings) -> Any:
    return inference(_settings).ask(f"{ROOM}:list_layers", _ref)


@st.cache_data(show_spinner=False, max_entries=PAGES)
def _drawn(
    task: str,
    key: str,
    _asked: tuple[Any, ...],
    _settings: Settings,
    _following: tuple[Any, ...] | None = None,
) -> Any:
    answer = inference(_settings).ask(f"{ROOM}:{task}", *_asked)
    if _following:
        inference(_settings).ask_ahead(f"{ROOM}:{task}", *_following)
    return answer


# A run's answers for the page: kept ones at once, others asked for with a bar to watch.


def predict_run_split(run: str, part: str, settings: Settings) -> SplitPredictions:
    """Return a run's answers on one part.

    Whatever the person clicks meanwhile ends the waiting; what has been answered is kept with the
    run, so that coming back goes on from there.
    """
    found = stored_predictions(run, part, settings)
    if found is not None:
        return found
    place, start = st.empty(), time.monotonic()
    began: list[int] = []  # how many were kept

    def done(behind: int, whole: int) -> None:
        began.append(behind)
        words = f"Answering the {SPLIT_NAMES[part]} part: {behind:,} of {count(whole, 'image')}"
        if behind > began[0]:
            left = (time.monotonic() - start) * (whole - behind) / (behind - began[0])
            words += f" · about {duration(max(1.0, left))} left"
        place.progress(behind / whole, text=f"{words} · any click stops it, nothing is lost")

    def ask(paths: Sequence[Path]) -> ImagePredictions:
        answers: ImagePredictions = inference(settings).ask(
            "tlcore.inference.tasks:predict_files", run, list(paths)
        )
        return answers

    found = predict_split(run, part, settings, ask, done)
    place.empty()
    return found


def evaluate_run(run: str, part: str, settings: Settings) -> tuple[Evaluation, SplitPredictions]:
    """Return a run's numbers on one part and the answers that they come from."""
    found = predict_run_split(run, part, settings)
    predict_run_split(run, "train", settings)
    weights = load_run_info(run, settings).ref.weights
    images = dataset_hash(found.samples)
    return _evaluate(run, part, weights, images, found.unreadable, settings), found


@st.cache_data(show_spinner=False, max_entries=50)
def _evaluate(
    run: str, part: str, weights: str, images: str, unreadable: tuple[str, ...], _settings: Settings
) -> Evaluation:
    """Evaluate in the worker: scikit-learn takes seconds to import and stays out of the server."""
    evaluation: Evaluation = inference(_settings).ask(
        "tlcore.inference.tasks:evaluate_run", run, part
    )
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
    curves: ThresholdCurves = inference(_settings).ask(
        "tlcore.inference.tasks:compute_run_curves", run, split
    )
    return curves
