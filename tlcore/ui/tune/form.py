"""The form that starts a run: what to learn from, on which backbone, and, folded away, how."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import streamlit as st

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.splits import split_samples
from tlcore.errors import TLCoreError, WeightsMissing
from tlcore.models.catalogue import Backbone
from tlcore.models.weights import find
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.ui.networks import backbone_select, sizes_of
from tlcore.ui.selecting import distinct
from tlcore.ui.services import processes
from tlcore.ui.sets import check_learnable, classes_with_tiles, open_set, set_names, set_select
from tlcore.ui.shell import UPLOAD, show_error
from tlcore.ui.state import Choice, choose, flag
from tlcore.ui.tune.augmented import augmented
from tlcore.ui.tune.cost import check, cost_line, ways
from tlcore.ui.tune.options import (
    DEFAULTS,
    Asked,
    Options,
    advanced,
    asked_again,
    start_from,
    units,
)
from tlcore.ui.tune.probes import Planned, newest_ended
from tlcore.ui.tune.rate import offer_rate
from tlcore.ui.weights_view import offer_weights, random_badge
from tlcore.ui.words import count, plain

TOKEN = "_start-token"


@dataclass(frozen=True)
class Filled:
    """The form as it is filled in."""

    options: Options
    asked: Asked
    begin: bool  # Start was pressed
    error: Any  # the place for what is wrong with it
    cost: Any  # the place for what it will cost


def run_form(settings: Settings) -> None:
    """Ask for a run and start it.

    Raises:
        BadDataset: the chosen set cannot be learned from.
    """
    _say_what_is_not_the_same(settings)
    what, how = st.columns(2, gap="large")
    with what:
        name = set_select(settings)
        dataset = open_set(name, settings)
        check_learnable(dataset)
        numbers = st.empty()
        _say_what_it_learns(dataset, DEFAULTS, numbers)
        classes_with_tiles(dataset, settings, key="learn", side=60, rows=1, shown=8)
        st.page_link(UPLOAD.file, label="Bring other pictures", icon=UPLOAD.icon)
    with how:
        row = backbone_select(settings)
        random = _without_weights(row, settings)
        if random is not None:
            _recipe(dataset, row, random, numbers, settings)


def _say_what_is_not_the_same(settings: Settings) -> None:
    again = asked_again()
    if again and again.dataset not in set_names(settings):
        st.warning(
            f"That run learned from “{plain(again.dataset)}”, which is no stored data set (any "
            "more): a folder read in place, or deleted. All else is filled in. Choose a data set, "
            "or bring the folder on the Upload page first.",
            icon=":material/link_off:",
        )


def _without_weights(row: Backbone, settings: Settings) -> bool | None:
    """Whether to go on with random weights; None while that is undecided."""
    try:
        find(row, row.size, settings, top=False)
    except WeightsMissing as missing:
        if flag(f"random {row.name}"):
            random_badge(row, "Random weights: it learns little")
            return True
        offer_weights(row, missing, settings)
        return None
    return start_from(row).random_weights and st.checkbox(
        "Random weights, as that run had", True, help="ImageNet's weights are here by now."
    )


def _recipe(
    dataset: Dataset, row: Backbone, random: bool, numbers: Any, settings: Settings
) -> None:
    filled = _fields(row)
    try:
        config = RunConfig(
            dataset=dataset.name,
            backbone=row.name,
            random_weights=random,
            **{**filled.options, "hidden": units(filled.options["hidden"])},
        )
        train, val = split_samples(dataset, config.val_fraction, config.seed)
        planned = Planned(config, train, val, newest_ended(settings))
        _say_what_it_learns(dataset, config, numbers)
        ways(filled.asked.below_ways, planned)
        augmented(filled.asked.below_views, config, planned.train, settings)
        with filled.asked.below_rate:
            offer_rate(planned, dataset.classes, settings)
        if filled.begin:
            with filled.error:
                check(planned, settings)
            _start(config, settings)
        with filled.cost:
            cost_line(planned, settings)
    except TLCoreError as error:
        with filled.error:
            show_error(error)


def _fields(row: Backbone) -> Filled:
    before = start_from(row)
    left, right = st.columns(2)
    epochs = left.number_input(
        "Epochs", value=before.epochs, help="How often it goes through all pictures."
    )
    sizes = sorted({*sizes_of(row, top=False), before.size})  # a command may choose any
    size = right.selectbox(
        "Input size",
        sizes,
        index=sizes.index(before.size),
        format_func=distinct(sizes, lambda size: f"{size} × {size}"),
        help="Smaller is faster, larger sees more.",
        key=f"run-size-{row.name}",
    )
    with st.expander("Advanced", icon=":material/tune:"):
        asked = advanced(row, before)
    error = st.container()
    begin = st.button(
        "Start learning", type="primary", icon=":material/play_arrow:", width="stretch"
    )
    cost = st.container(key="run-cost", gap="xsmall")
    st.caption(
        "What stays frozen is computed once and kept, so another run on these pictures begins at "
        "once. You can leave the page; the run goes on."
    )
    return Filled({"epochs": epochs, "size": size, **asked.options}, asked, begin, error, cost)


def _say_what_it_learns(dataset: Dataset, config: RunConfig, place: Any) -> None:
    train, val = split_samples(dataset, config.val_fraction, config.seed)
    place.caption(
        f"{count(len(dataset.classes), 'class', 'classes')}, {len(train):,} pictures to learn "
        f"from and {len(val):,} to judge by."
    )


def _start(config: RunConfig, settings: Settings) -> None:
    """Start the run that this form stands for; a second click of it gets the same run."""
    token = st.session_state.setdefault(TOKEN, secrets.token_hex(8))
    run = processes().start_run(token, config, settings)
    st.session_state[TOKEN] = secrets.token_hex(8)
    choose(Choice.WATCHED, run)
    st.rerun()
