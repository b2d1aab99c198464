"""Whom to ask: ImageNet's networks on the left, heads of one's own on the right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from tlcore.errors import WeightsMissing
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.predictions import ModelRef
from tlcore.models.weights import find, ready, with_weights
from tlcore.settings import Settings
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs
from tlcore.ui.compare.answers import side_title
from tlcore.ui.components.damaged import show_damaged_head
from tlcore.ui.components.model_picker import pretrained, select_backbone, view_options
from tlcore.ui.components.run_picker import select_head, trained_heads
from tlcore.ui.components.weights import offer_weights
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.widgets import distinct, select

NONE = "none"
MOST_RUNS = 3  # further heads beside the first
VIEWS = {
    "answers": ":material/bar_chart: Answers",
    "why": ":material/center_focus_strong: Why",
    "many": ":material/photo_library: Many images",
}


@dataclass(frozen=True)
class Sides:
    """Everyone who is asked."""

    row: Backbone
    size: int  # of the first network's input, pixels
    fit: str
    networks: tuple[ModelRef, ...]  # none where weights are missing, which has been shown
    runs: tuple[RunInfo, ...]  # the chosen one first


def left_side(
    options: Any, more: Any, settings: Settings
) -> tuple[Backbone, int, str, list[ModelRef]]:
    """Choose the backbone, in ``options`` its size and geometry, in ``more`` a second one."""
    side_title("ImageNet's network", "pretrained", "1000 classes")
    row = select_backbone(settings)
    with options:
        size, how = view_options(row, top=True, bars=True)
    with more:
        second = _second(row, settings)
    first = _with_top(row, size, how, settings)
    found = [] if first is None else [first]
    if second is not None:
        found.append(with_weights(ModelRef(second.name, second.size, how), settings))
    return row, size, how, found


def right_side(more: Any, settings: Settings) -> list[RunInfo]:
    """Choose the head, and in ``more`` further ones."""
    side_title("Your own head", "head")
    first = None if show_damaged_head(settings) else select_head(settings)
    if first is None:
        return []
    others = trained_heads(settings)
    del others[first.id]
    with more:
        return [first, *_also(others, settings)]


def _with_top(row: Backbone, size: int, how: str, settings: Settings) -> ModelRef | None:
    ref = pretrained(row, size, how, settings)
    if ref is not None and not ref.top:  # its body is here, its 1000 classes are not
        try:
            find(row, size, settings, top=True)
        except WeightsMissing as missing:
            offer_weights(row, missing, settings)
        return None
    return ref


def _second(first: Backbone, settings: Settings) -> Backbone | None:
    """A second network among those whose weights are here."""
    names = [row.backbone.name for row in ready(settings) if row.top]
    names = [name for name in names if name != first.name]
    if not names:
        return None
    if chosen(Choice.SECOND_BACKBONE) not in names:
        choose(Choice.SECOND_BACKBONE, NONE)
    with st.popover("A second network", icon=":material/add:", type="tertiary"):
        name = select(
            "Second backbone",
            [NONE, *names],
            Choice.SECOND_BACKBONE,
            words=lambda name: "no other" if name == NONE else name,
            help="Its answer stands under the first one's, at its own default size.",
        )
    return BACKBONES[name] if name != NONE else None


def _also(others: Mapping[str, RunInfo], settings: Settings) -> list[RunInfo]:
    """Further heads, whose ids the address holds with commas between them."""
    if not others:
        return []
    labels = label_runs(list_runs(settings))
    wanted = [run for run in chosen(Choice.MORE_HEADS).split(",") if run in others][:MOST_RUNS]
    key = "select-more_heads"
    st.session_state[key] = wanted

    def take_over() -> None:
        choose(Choice.MORE_HEADS, ",".join(st.session_state[key]))

    with st.popover("Further heads", icon=":material/add:", type="tertiary"):
        st.multiselect(
            "Beside the first",
            list(others),
            key=key,
            format_func=distinct(others, labels.__getitem__),
            max_selections=MOST_RUNS,
            on_change=take_over,
        )
    choose(Choice.MORE_HEADS, ",".join(wanted))
    return [others[run] for run in wanted]
