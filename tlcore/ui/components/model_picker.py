"""Choosing a pretrained model: a backbone with its input size and geometry."""

from __future__ import annotations

import re
from contextlib import suppress

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.geometry import FITS
from tlcore.errors import BadConfig, WeightsMissing
from tlcore.models.catalog import BACKBONES, DEFAULT, MODES, Backbone
from tlcore.models.predictions import ModelRef
from tlcore.models.weights import find_weights, list_weights, pin_weights
from tlcore.settings import Settings
from tlcore.training.store import load_run_info
from tlcore.ui.components.framing import fit_help, fit_title
from tlcore.ui.components.weights import offer_weights, random_badge
from tlcore.ui.format import escape_md
from tlcore.ui.state import Choice, choose, chosen, uses_random
from tlcore.ui.widgets import fold_button, segments, select, unique_labels

SIZES = (96, 128, 160, 192, 224, 299)  # px, offered where the backbone allows them


def select_backbone(settings: Settings) -> Backbone:
    """Choose a backbone, those whose weights are here first."""
    here = {row.backbone.name for row in list_weights(settings) if row.top or row.no_top}
    names = sorted(BACKBONES, key=lambda name: (name not in here, name != DEFAULT))
    name = select(
        "Backbone",
        names,
        Choice.BACKBONE,
        words=lambda name: name if name in here else f"{name} (weights not here)",
        help="A network trained on ImageNet, 1.3 million images of 1000 classes. Larger ones are "
        f"slower, often more accurate. Default: {DEFAULT}.",
        also=lambda: choose(Choice.SIZE, ""),
    )
    return BACKBONES[name]


def select_size(row: Backbone, *, top: bool) -> int:
    """Choose the size of the backbone's input, pixels: a usual one, or any that is typed."""
    size = row.size
    try:
        if wanted := chosen(Choice.SIZE):
            size = row.check_size(parse_size(wanted) or 0, top=top)
    except BadConfig as error:
        st.toast(escape_md(str(error)), icon=":material/error:")
    choose(Choice.SIZE, size)
    key = f"select-{Choice.SIZE}"
    st.session_state[key] = str(size)
    sizes = [str(each) for each in sorted({*list_sizes(row, top=top), size})]
    st.selectbox(
        "Input size",
        sizes,
        key=key,
        accept_new_options=True,
        format_func=unique_labels(
            sizes, lambda size: f"{size} × {size}{' (default)' if int(size) == row.size else ''}"
        ),
        help=f"Side of the square input of {row.name}, from {row.smallest} pixels on: type any "
        f"other. Preprocessing: {MODES[row.mode]}.",
        on_change=lambda: choose(Choice.SIZE, st.session_state[key] or row.size),
    )
    return size


def parse_size(text: str) -> int | None:
    """Return the size that a person typed: "200", "200 px" or "200 × 200"; None for no number."""
    digits = re.match(r"\d{1,4}(?!\d)", text.strip(), re.ASCII)
    return int(digits[0]) if digits else None


def select_size_and_fit(row: Backbone, place: DeltaGenerator, *, top: bool) -> tuple[int, str]:
    """Choose size and geometry in a place that is ``folded("size-and-fit")``; return both."""
    fold_button("Size and fit", "size-and-fit")
    with place:
        left, right = st.columns([1, 3], vertical_alignment="bottom")
        with left:
            size = select_size(row, top=top)
        with right:
            st.caption("How the image becomes a square", help=fit_help())
            return size, segments("Fit", list(FITS), Choice.FIT, words=fit_title)


def find_pretrained(
    row: Backbone, size: int, how: str, settings: Settings, *, top: bool
) -> ModelRef | None:
    """Return the model, or None where its weights are missing and that has been shown.

    ``top``: whether it needs its 1000 classes. The files with them are preferred in any case, so
    that all pages use the same loaded model.
    """
    has_top = row.any_size_with_top or size == row.size
    for with_top in (True,) if top else (True, False) if has_top else (False,):
        try:
            find_weights(row, size, settings, top=with_top)
            return pin_weights(ModelRef(row.name, size, how, top=with_top), settings)
        except WeightsMissing as error:
            missing = error
    if uses_random(row.name):
        random_badge(row, "Random weights: predictions mean nothing")
        return ModelRef(row.name, size, how, random=True, top=has_top)
    offer_weights(row, missing, settings)
    return None


def input_geometry(ref: ModelRef, settings: Settings) -> tuple[int, str]:
    """Return the size and geometry in which a model gets an image."""
    if ref.run:
        config = load_run_info(ref.run, settings).config
        return config.size, config.fit
    return ref.size, ref.fit


def list_sizes(row: Backbone, *, top: bool) -> list[int]:
    """Return the offered sizes that the backbone can be built for, the default among them."""
    possible = []
    for size in sorted({*SIZES, row.size}):
        with suppress(BadConfig):
            possible.append(row.check_size(size, top=top))
    return possible
