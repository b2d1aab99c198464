"""Which models are compared: pretrained networks on the left, heads on the right."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.geometry import FITS
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.predictions import ModelRef
from tlcore.models.weights import list_weights, pin_weights
from tlcore.settings import Settings
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs
from tlcore.ui.components.framing import fit_help, fit_title
from tlcore.ui.components.model_picker import find_pretrained, select_backbone, select_size
from tlcore.ui.components.run_picker import select_head, show_damaged_head, trained_heads
from tlcore.ui.shell import boundary
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.widgets import current, fold_button, folded, segments, select, unique_labels

MOST_HEADS = 3  # beside the first


def choose_models(
    left: DeltaGenerator, right: DeltaGenerator, settings: Settings, *, one_image: bool = True
) -> tuple[list[ModelRef], list[RunInfo]]:
    """Choose the models in two columns; an error in one leaves the other.

    Where one image is shown, the geometry is chosen below it; otherwise among the options, and a
    second backbone has no use.

    Returns:
        The pretrained networks, none where weights are missing, which is shown; and the runs whose
        heads predict, the chosen one first.
    """
    networks: list[ModelRef] = []
    runs: list[RunInfo] = []
    with left, boundary():
        networks = _choose_networks(settings, one_image)
    with right, boundary():
        runs = _choose_heads(settings)
    return networks, runs


def _choose_networks(settings: Settings, one_image: bool) -> list[ModelRef]:
    """Choose the backbone; its size and a second one are folded."""
    second = None
    line, options = _row("side-left"), folded("left-options")
    with line:
        st.html('<p class="side pretrained">ImageNet</p>', width="content")
        row = select_backbone(settings)
        fold_button("Options of ImageNet's network", "left-options")
    fit = current(Choice.FIT, list(FITS))
    with options:
        size = select_size(row, top=True)
        if one_image:
            second = _second_backbone(row, settings)
        else:
            st.caption("How each image becomes a square", help=fit_help())
            fit = segments("Geometry", list(FITS), Choice.FIT, words=fit_title)
    networks = [find_pretrained(row, size, fit, settings, top=True)]
    if second is not None:
        networks.append(pin_weights(ModelRef(second.name, second.size, fit), settings))
    return [ref for ref in networks if ref is not None]


def _choose_heads(settings: Settings) -> list[RunInfo]:
    """Choose the head; further ones are folded."""
    row, options = _row("side-right"), folded("right-options")
    with row:
        st.html('<p class="side head">Yours</p>', width="content")
        first = None if show_damaged_head(settings) else select_head(settings)
    if first is None:
        return []
    others = trained_heads(settings)
    del others[first.id]
    if not others:
        return [first]
    labels = label_runs(list_runs(settings))
    runs = [run for run in chosen(Choice.MORE_HEADS).split(",") if run in others][:MOST_HEADS]
    choose(Choice.MORE_HEADS, ",".join(runs))  # the ids, for the address
    key = f"select-{Choice.MORE_HEADS}"
    st.session_state[key] = runs
    with row:
        fold_button("Further heads", "right-options")
    with options:
        st.multiselect(
            "Further heads",
            list(others),
            key=key,
            format_func=unique_labels(others, labels.__getitem__),
            max_selections=MOST_HEADS,
            on_change=lambda: choose(Choice.MORE_HEADS, ",".join(st.session_state[key])),
        )
    return [first, *(others[run] for run in runs)]


def _row(key: str) -> DeltaGenerator:
    return st.container(
        horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False, key=key
    )


def _second_backbone(first: Backbone, settings: Settings) -> Backbone | None:
    """Choose a second backbone among those whose weights are here."""
    names = [row.backbone.name for row in list_weights(settings) if row.top]
    names = ["none", *(name for name in names if name != first.name)]
    if chosen(Choice.SECOND_BACKBONE) not in names:  # it may have become the first
        choose(Choice.SECOND_BACKBONE, "none")
    help = "Its prediction stands below the first one's, at its own default size."
    return BACKBONES.get(select("Second backbone", names, Choice.SECOND_BACKBONE, help=help))
