"""Asking the inference process about feature maps; pure answers are kept by content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.models.answers import NetworkRef
from tlcore.models.maps.values import (
    ChannelLook,
    Filters,
    LayerNumbers,
    Look,
    MapPage,
    Pair,
    Place,
    View,
)
from tlcore.settings import Settings
from tlcore.ui.answers import waiting
from tlcore.ui.services import inference

ROOM = "tlcore.inference.activations"
PAGES = 48  # drawn pages kept; up to half a megabyte each


def look_of(sample: Sample, ref: NetworkRef) -> Look:
    return Look(sample.path, sample.sha256, ref)


def places(ref: NetworkRef, settings: Settings) -> tuple[Place, ...]:
    """Return every layer of a network."""
    with waiting(settings):
        found: tuple[Place, ...] = _places(repr(ref), ref, settings)
    return found


def map_page(look: Look, layer: str, view: View, settings: Settings, *, then: str = "") -> MapPage:
    """Return one page of a layer's maps, drawn.

    Args:
        then: the layer whose first page is likely to be wanted next. While the person looks at
            this one it is computed and drawn.
    """
    asked = (look, layer, view)
    following = (look, then, replace(view, page=0)) if then else None
    with waiting(settings):
        found: MapPage = _drawn("map_page", repr(asked), asked, settings, following)
    return found


def pair_page(left: Look, right: Look, layer: str, view: View, settings: Settings) -> Pair:
    """Return the same channels of two looks, and their difference."""
    asked = (left, right, layer, view)
    found: Pair = _drawn("pair_page", repr(asked), asked, settings)
    return found


def channel(look: Look, layer: str, number: int, settings: Settings) -> ChannelLook:
    """Return one channel, large; numbered from 0."""
    asked = (look, layer, number)
    found: ChannelLook = _drawn("channel", repr(asked), asked, settings)
    return found


def filters(ref: NetworkRef, layer: str, view: View, of: int, settings: Settings) -> Filters:
    """Return the kernels of the convolution at or before a layer, drawn."""
    asked = (ref, layer, view, of)
    found: Filters = _drawn("filters", repr(asked), asked, settings)
    return found


def numbers(look: Look, settings: Settings) -> tuple[LayerNumbers, ...]:
    """Return every spatial layer in numbers."""
    found: tuple[LayerNumbers, ...] = _drawn("numbers", repr(look), (look,), settings)
    return found


def picture(look: Look, layer: str, view: View, settings: Settings) -> bytes:
    """Return a page as a PNG to keep. Asked when it is downloaded, and not kept."""
    found: bytes = inference(settings).ask(f"{ROOM}:picture", look, layer, view)
    return found


def values(look: Look, layer: str, settings: Settings) -> bytes:
    """Return a layer's maps as an NPZ file. Asked when it is downloaded, and not kept."""
    found: bytes = inference(settings).ask(f"{ROOM}:values", look, layer)
    return found


@st.cache_data(show_spinner=False, max_entries=32)
def _places(key: str, _ref: NetworkRef, _settings: Settings) -> Any:
    return inference(_settings).ask(f"{ROOM}:places", _ref)


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
        inference(_settings).ahead(f"{ROOM}:{task}", *_following)
    return answer
