"""The form that starts a run: what to learn from, on which backbone, and, folded away, how."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import streamlit as st

from tlcore.errors import BadImage, WeightsMissing
from tlcore.images.dataset import Dataset, Sample, split_samples
from tlcore.networks.catalogue import Backbone
from tlcore.networks.weights import find
from tlcore.runs.config import RunConfig
from tlcore.runs.training.pictures import PLAIN, Looking, Request, hashed, look
from tlcore.settings import Settings
from tlcore.ui.networks import backbone_select, sizes_of
from tlcore.ui.run_options import DEFAULTS, advanced, start_from
from tlcore.ui.selecting import select
from tlcore.ui.services import inference, processes
from tlcore.ui.sets import check_learnable, classes_with_tiles, open_set, set_names, set_title
from tlcore.ui.shell import UPLOAD
from tlcore.ui.state import Choice, choose, flag
from tlcore.ui.weights_view import offer_weights, random_badge
from tlcore.ui.words import count, duration, file_size

TOKEN = "_start-token"
PICTURES_SHOWN, VIEWS_SHOWN = 3, 4


def run_form(settings: Settings) -> None:
    """Ask for a run and start it.

    Raises:
        BadDataset: the chosen set cannot be learned from.
        BadConfig: a value outside its range.
    """
    what, how = st.columns(2, gap="large")
    with what:
        name = select("Data set", set_names(settings), Choice.SET, words=set_title)
        dataset = open_set(name, settings)
        _what_it_learns(dataset, settings)
    with how:
        row = backbone_select(settings)
        random = _without_weights(row, settings)
        if random is not None:
            _recipe(dataset, row, random, settings)


def _what_it_learns(dataset: Dataset, settings: Settings) -> None:
    check_learnable(dataset)
    train, val = split_samples(dataset, DEFAULTS.val_fraction, DEFAULTS.seed)
    st.caption(
        f"{count(len(dataset.classes), 'class', 'classes')}, {len(train):,} pictures to learn "
        f"from and {len(val):,} to judge by."
    )
    classes_with_tiles(dataset, settings, key="learn", side=60, rows=1, shown=8)
    st.page_link(UPLOAD.file, label="Bring other pictures", icon=UPLOAD.icon)


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
    return False


def _recipe(dataset: Dataset, row: Backbone, random: bool, settings: Settings) -> None:
    before = start_from(row)
    with st.form("run", border=False, enter_to_submit=False):
        left, right = st.columns(2)
        epochs = left.number_input(
            "Epochs", 0, 1000, before.epochs, help="How often it goes through all pictures."
        )
        sizes = sorted({*sizes_of(row, top=False), before.size})  # a command may choose any
        size = right.selectbox(
            "Input size",
            sizes,
            index=sizes.index(before.size),
            format_func=lambda size: f"{size} × {size}",
            help="Smaller is faster, larger sees more.",
            key=f"run-size-{row.name}",
        )
        with st.expander("Advanced", icon=":material/tune:"):
            options = advanced(row, before)
        begin = st.form_submit_button(
            "Start learning", type="primary", icon=":material/play_arrow:", width="stretch"
        )
        ask = st.form_submit_button(
            "What will it cost?", icon=":material/timer:", width="stretch", type="tertiary"
        )
    if begin or ask:
        config = RunConfig(
            dataset=dataset.name,
            backbone=row.name,
            size=size,
            epochs=epochs,
            random_weights=random,
            **options,
        )
        _start(config, settings) if begin else _cost(config, dataset, settings)
    st.caption(
        "The backbone stays frozen, so its features are computed once and kept, and the head "
        "learns in seconds. You can leave the page; the run goes on."
    )


def _cost(config: RunConfig, dataset: Dataset, settings: Settings) -> None:
    """Try some pictures and say what comes; nothing is started."""
    train, val = split_samples(dataset, config.val_fraction, config.seed)
    with st.spinner("Trying some pictures …"):
        cost = inference(settings).run_cost(config, train, val)
    parts = [
        f"{count(cost.missing, 'picture')} to go through once, about "
        f"{duration(max(1.0, cost.feature_seconds))}"
        if cost.missing
        else "All features are kept from an earlier run: the head starts at once"
    ]
    if cost.epoch_seconds:
        parts.append(f"then about {duration(cost.epoch_seconds)} for each epoch")
    if cost.tuned_seconds:
        each = duration(max(0.1, cost.tuned_seconds))
        parts.append(f"An epoch of the top blocks takes about {each}")
    if cost.disk:
        parts.append(f"{file_size(cost.disk)} more in the feature cache")
    parts.append(f"{file_size(cost.memory)} of memory")
    st.info(". ".join(parts) + ".", icon=":material/timer:")
    if config.views or config.free_augmentation:
        _augmented(config, train, settings)


def _augmented(config: RunConfig, train: Sequence[Sample], settings: Settings) -> None:
    """Show the first pictures beside some of their views, as the network will see them."""
    looking = Looking(
        config.backbone, config.size, config.fit, config.augment, config.seed, settings.limits
    )
    numbers = (PLAIN, *range(min(config.views or VIEWS_SHOWN, VIEWS_SHOWN)))
    for sample in hashed(train[:: max(1, len(train) // PICTURES_SHOWN)][:PICTURES_SHOWN]):
        seen = [look(Request(sample, number), looking) for number in numbers]
        st.image([pixels for pixels in seen if not isinstance(pixels, BadImage)], width=104)
    st.caption("Each row: a picture as it is, then as it is changed.")


def _start(config: RunConfig, settings: Settings) -> None:
    """Start the run that this form stands for; a second click of it gets the same run."""
    token = st.session_state.setdefault(TOKEN, secrets.token_hex(8))
    run = processes().start_run(token, config, settings)
    st.session_state[TOKEN] = secrets.token_hex(8)
    choose(Choice.WATCHED, run)
    st.rerun()
