"""Asking the inference process, with each answer kept by the content of the picture."""

from __future__ import annotations

from contextlib import AbstractContextManager

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.models.answers import NetworkRef, Prediction
from tlcore.models.explanation import Explanation
from tlcore.models.path import ShapePath
from tlcore.settings import Settings
from tlcore.ui.services import inference

KEPT = 500  # answers


def predict(sample: Sample, ref: NetworkRef, settings: Settings) -> Prediction:
    """Return a network's answer to one picture."""
    with waiting(settings):
        return _predict(sample.sha256, type(ref).__name__, ref, sample, settings)


def explain(
    sample: Sample, ref: NetworkRef, index: int, layer: str, settings: Settings
) -> Explanation:
    """Return where a network looked for one class in one picture."""
    with waiting(settings):
        return _explain(sample.sha256, type(ref).__name__, ref, index, layer, sample, settings)


def shape_path(ref: NetworkRef, classes: int, settings: Settings) -> ShapePath:
    """Return how a picture becomes numbers in a network, with a head of so many classes."""
    with waiting(settings):
        return _shape_path(type(ref).__name__, ref, classes, settings)


@st.cache_data(show_spinner=False, max_entries=KEPT)
def _predict(
    sha: str, kind: str, ref: NetworkRef, _sample: Sample, _settings: Settings
) -> Prediction:
    return inference(_settings).predict(_sample.path, ref)


@st.cache_data(show_spinner=False, max_entries=100)
def _explain(
    sha: str,
    kind: str,
    ref: NetworkRef,
    index: int,
    layer: str,
    _sample: Sample,
    _settings: Settings,
) -> Explanation:
    return inference(_settings).explain(_sample.path, ref, index, layer)


@st.cache_data(show_spinner=False, max_entries=32)
def _shape_path(kind: str, ref: NetworkRef, classes: int, _settings: Settings) -> ShapePath:
    return inference(_settings).shape_path(ref, classes)


def waiting(settings: Settings) -> AbstractContextManager[None]:
    """Say what the person waits for; the first answer of all waits for TensorFlow."""
    if inference(settings).warm:
        return st.spinner("Asking the network …")
    return st.spinner("TensorFlow is starting in its own process: about 5 seconds, once …")
