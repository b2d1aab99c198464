"""Asking the inference process, with each answer kept by the content of the picture."""

from __future__ import annotations

from contextlib import AbstractContextManager

import streamlit as st

from tlcore.images.dataset import Sample
from tlcore.networks.answers import NetworkRef, Prediction
from tlcore.settings import Settings
from tlcore.ui.services import inference

KEPT = 500  # answers


def predict(sample: Sample, ref: NetworkRef, settings: Settings) -> Prediction:
    """Return a network's answer to one picture."""
    with waiting(settings):
        return _predict(sample.sha256, type(ref).__name__, ref, sample, settings)


@st.cache_data(show_spinner=False, max_entries=KEPT)
def _predict(
    sha: str, kind: str, ref: NetworkRef, _sample: Sample, _settings: Settings
) -> Prediction:
    return inference(_settings).predict(_sample.path, ref)


def waiting(settings: Settings) -> AbstractContextManager[None]:
    """Say what the person waits for; the first answer of all waits for TensorFlow."""
    if inference(settings).warm:
        return st.spinner("Asking the network …")
    return st.spinner("TensorFlow is starting in its own process: about 5 seconds, once …")
