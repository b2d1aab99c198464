"""Asking the inference process, with each answer kept by the content of the picture."""

from __future__ import annotations

from contextlib import AbstractContextManager

import streamlit as st

from tlcore.images.dataset import Sample
from tlcore.networks.answers import Layer, MapGrid, NetworkRef, Prediction
from tlcore.settings import Settings
from tlcore.ui.services import inference

KEPT = 500  # answers


def predict(sample: Sample, ref: NetworkRef, settings: Settings) -> Prediction:
    """Return a network's answer to one picture."""
    with _waiting(settings):
        return _predict(sample.sha256, type(ref).__name__, ref, sample, settings)


def spatial_layers(ref: NetworkRef, settings: Settings) -> tuple[Layer, ...]:
    """Return the layers of a network that have feature maps."""
    with _waiting(settings):
        return _spatial_layers(type(ref).__name__, ref, settings)


def map_grid(sample: Sample, ref: NetworkRef, layer: str, page: int, settings: Settings) -> MapGrid:
    """Return one page of a layer's maps for one picture, drawn."""
    with _waiting(settings):
        return _map_grid(sample.sha256, type(ref).__name__, ref, layer, page, sample, settings)


@st.cache_data(show_spinner=False, max_entries=KEPT)
def _predict(
    sha: str, kind: str, ref: NetworkRef, _sample: Sample, _settings: Settings
) -> Prediction:
    return inference(_settings).predict(_sample.path, ref)


@st.cache_data(show_spinner=False, max_entries=32)
def _spatial_layers(kind: str, ref: NetworkRef, _settings: Settings) -> tuple[Layer, ...]:
    return inference(_settings).spatial_layers(ref)


@st.cache_data(show_spinner=False, max_entries=64)
def _map_grid(
    sha: str,
    kind: str,
    ref: NetworkRef,
    layer: str,
    page: int,
    _sample: Sample,
    _settings: Settings,
) -> MapGrid:
    return inference(_settings).map_grid(_sample.path, ref, layer, page)


def _waiting(settings: Settings) -> AbstractContextManager[None]:
    """Say what the person waits for; the first answer of all waits for TensorFlow."""
    if inference(settings).warm:
        return st.spinner("Asking the network …")
    return st.spinner("TensorFlow is starting in its own process: about 5 seconds, once …")
