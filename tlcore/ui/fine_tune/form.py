"""The form that starts a run: dataset and classes on the left, recipe and *Start* on the right."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.datasets.splits import split_samples
from tlcore.datasets.store import scan_datasets
from tlcore.errors import TLCoreError, WeightsMissing
from tlcore.models.catalog import Backbone
from tlcore.models.weights import find_weights
from tlcore.settings import Settings
from tlcore.training.config import OPTIONS, RunConfig
from tlcore.ui.components.dataset_picker import (
    check_learnable,
    list_dataset_names,
    open_dataset,
    select_dataset,
)
from tlcore.ui.components.image_grid import thumbnails
from tlcore.ui.components.model_picker import select_backbone
from tlcore.ui.components.weights import offer_weights, random_badge
from tlcore.ui.fine_tune.augmentation import draw_augmented_copies
from tlcore.ui.fine_tune.estimate import Plan, check_cost, draw_estimate
from tlcore.ui.fine_tune.options import (
    Values,
    draw_advanced,
    draw_fine_tuning,
    draw_option,
    filled_recipe,
    initial_recipe,
    parse_units,
)
from tlcore.ui.fine_tune.studies import draw_rate_finder
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.services import start_run_once
from tlcore.ui.shell import UPLOAD, show_error
from tlcore.ui.state import Choice, choose, chosen, flag
from tlcore.ui.widgets import show_html

IN_A_ROW, ROWS = 3, 2  # mosaics of classes
FEW_CLASSES = 2  # up to which a class has a row of its own


def run_form(settings: Settings) -> None:
    """Let the person choose what to train on what, and start the run.

    Raises:
        BadDataset: the chosen dataset cannot be trained on.
    """
    _propose_dataset(settings)
    _warn_of_missing_dataset(settings)
    left, right = st.columns(2, gap="large")
    with left:
        name = select_dataset(settings)
        dataset = open_dataset(name, settings)
        check_learnable(dataset)
        numbers = st.empty()
        _draw_numbers(numbers, dataset, RunConfig(dataset.name))
        _draw_mosaics(dataset, settings)
        st.page_link(UPLOAD.file, label="Add images or another dataset", icon=UPLOAD.icon)
    with right:
        row = select_backbone(settings)
        random_weights = _random_weights(row, settings)
        if random_weights is not None:
            _draw_recipe(dataset, row, numbers, settings, random_weights=random_weights)


def _propose_dataset(settings: Settings) -> None:
    """Choose the newest dataset that can be trained on, until the person chooses one."""
    if chosen(Choice.DATASET):
        return
    datasets, _ = scan_datasets(settings)
    names = [info.name for info in datasets if len(info.classes) > 1]
    names.sort(key=SAMPLE_NAME.__eq__)  # the sample last
    if names:
        choose(Choice.DATASET, names[0])


def _warn_of_missing_dataset(settings: Settings) -> None:
    recipe = filled_recipe()
    if recipe and recipe.dataset not in list_dataset_names(settings):
        st.warning(
            f"That run was trained on “{escape_md(recipe.dataset)}”, which is not a stored "
            "dataset: a folder read in place, or deleted since. All other options are filled in. "
            "Choose a dataset, or import the folder on the Upload page first.",
            icon=":material/link_off:",
        )


def _draw_numbers(place: DeltaGenerator, dataset: Dataset, config: RunConfig) -> Plan:
    """Say how many images a configuration trains on, and return its plan."""
    train, val = split_samples(dataset, config.validation_split, config.seed)
    place.caption(
        f"{plural(len(dataset.classes), 'class', 'classes')}, {len(train):,} training and "
        f"{len(val):,} validation images"
    )
    return Plan(config, train, val)


def _draw_mosaics(dataset: Dataset, settings: Settings) -> None:
    """Draw images of each class: a row a class for few, else at most two rows of mosaics."""
    few = len(dataset.classes) <= FEW_CLASSES
    shown = list(dataset.classes)[: IN_A_ROW * ROWS]
    for start in range(0, len(shown), 1 if few else IN_A_ROW):
        names = shown[start : start + (1 if few else IN_A_ROW)]
        columns = st.columns(1 if few else IN_A_ROW)
        for column, name in zip(columns, names, strict=False):
            samples = [sample for sample in dataset.samples if sample.label == name]
            images = plural(dataset.counts[name], "image")
            with column:
                show_html(
                    '<div class="class-name">{name}<small>{images}</small></div>',
                    name=label(name),
                    images=images,
                )
                thumbnails(
                    samples[: 14 if few else 4],
                    settings,
                    key=f"class-{dataset.classes.index(name)}",
                    size=64 if few else 56,
                )
    if len(dataset.classes) > len(shown):
        st.caption(
            f"And {plural(len(dataset.classes) - len(shown), 'more class', 'more classes')}."
        )


def _random_weights(row: Backbone, settings: Settings) -> bool | None:
    """Return whether to train on random weights; None while the person has not decided."""
    try:
        find_weights(row, row.size, settings, top=False)
    except WeightsMissing as missing:
        if flag(f"random {row.name}"):
            random_badge(row, "Random weights: the accuracy will be low")
            return True
        offer_weights(row, missing, settings)
        return None
    option = OPTIONS["random_weights"]
    return initial_recipe(row).random_weights and st.checkbox(
        option.label, True, help="As in that run, although ImageNet's weights are here now."
    )


def _draw_recipe(
    dataset: Dataset,
    row: Backbone,
    numbers: DeltaGenerator,
    settings: Settings,
    *,
    random_weights: bool,
) -> None:
    recipe = replace(initial_recipe(row), random_weights=random_weights)
    left, right = st.columns(2)
    values: Values = {"random_weights": random_weights}
    values["epochs"] = draw_option(left, OPTIONS["epochs"], recipe)
    values["size"] = draw_option(right, OPTIONS["size"], recipe)
    with st.container():  # more fields in it do not fold what is below
        values |= draw_fine_tuning(recipe)
    error = st.container()
    is_started = st.button(
        "Start", type="primary", icon=":material/play_arrow:", width="stretch", key="start"
    )
    cost = st.container(key="run-cost")
    with st.expander("Advanced options", icon=":material/tune:"):
        values = draw_advanced(recipe, values)
        below = st.container()
    try:
        values["hidden_units"] = parse_units(values["hidden_units"])
        config = RunConfig(dataset=dataset.name, backbone=row.name, **values)
        plan = _draw_numbers(numbers, dataset, config)
        with below:
            draw_augmented_copies(config, plan.train, settings)
            draw_rate_finder(plan, recipe, dataset.classes, settings)
        if is_started:
            with error:
                check_cost(plan, settings)
            _start(config, settings)
        with cost:
            draw_estimate(plan, settings)
    except TLCoreError as problem:
        with error:
            show_error(problem)


def _start(config: RunConfig, settings: Settings) -> None:
    """Start the run that the form describes, once also for a double click, and open it."""
    choose(Choice.RUN, start_run_once(config, settings))
    st.rerun()
