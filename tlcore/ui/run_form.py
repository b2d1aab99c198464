"""The form that starts a run: what to learn from, on which backbone, and, folded away, how."""

from __future__ import annotations

import secrets

import streamlit as st

from tlcore.errors import WeightsMissing
from tlcore.images.dataset import Dataset, split_samples
from tlcore.images.geometry import FITS
from tlcore.networks.catalogue import Backbone
from tlcore.networks.weights import find
from tlcore.runs.config import RunConfig
from tlcore.runs.options import POOLINGS
from tlcore.settings import Settings
from tlcore.ui.networks import backbone_select, sizes_of
from tlcore.ui.seen import fit_help, fit_title
from tlcore.ui.selecting import select
from tlcore.ui.services import processes
from tlcore.ui.sets import check_learnable, classes_with_tiles, open_set, set_names, set_title
from tlcore.ui.shell import UPLOAD
from tlcore.ui.state import Choice, choose, flag
from tlcore.ui.weights_view import offer_weights, random_badge
from tlcore.ui.words import count

POOLING_WORDS = {
    "avg": "average of each map",
    "max": "maximum of each map",
    "flatten": "none, all values",
}
DEFAULTS = RunConfig(dataset="")
TOKEN = "_start-token"


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
    with st.form("run", border=False, enter_to_submit=False):
        left, right = st.columns(2)
        epochs = left.number_input(
            "Epochs", 1, 1000, DEFAULTS.epochs, help="How often it goes through all pictures."
        )
        sizes = sizes_of(row, top=False)
        size = right.selectbox(
            "Input size",
            sizes,
            index=sizes.index(row.size),
            format_func=lambda size: f"{size} × {size}",
            help="Smaller is faster, larger sees more.",
            key=f"run-size-{row.name}",
        )
        with st.expander("Advanced", icon=":material/tune:"):
            options = _advanced(row)
        if st.form_submit_button(
            "Start learning", type="primary", icon=":material/play_arrow:", width="stretch"
        ):
            config = RunConfig(
                dataset=dataset.name,
                backbone=row.name,
                size=size,
                epochs=epochs,
                random_weights=random,
                **options,  # type: ignore[arg-type]
            )
            _start(config, settings)
    st.caption(
        "The backbone stays frozen, so its features are computed once and the head learns in "
        "seconds. You can leave the page; the run goes on."
    )


def _advanced(row: Backbone) -> dict[str, object]:
    left, right = st.columns(2)
    chosen: dict[str, object] = {}
    with left:
        chosen["pooling"] = st.selectbox(
            "Pooling",
            POOLINGS,
            format_func=lambda name: POOLING_WORDS[name],
            help="How a stack of feature maps becomes one row of numbers for the head.",
        )
        chosen["batch_size"] = st.number_input("Batch size", 1, 1024, DEFAULTS.batch_size)
        chosen["dropout"] = st.number_input(
            "Dropout",
            0.0,
            0.9,
            DEFAULTS.dropout,
            0.05,
            help="Share of features left out.",
        )
    with right:
        chosen["fit"] = st.selectbox("Fit", list(FITS), format_func=fit_title, help=fit_help())
        chosen["learning_rate"] = st.number_input(
            "Learning rate", 1e-7, 1.0, DEFAULTS.learning_rate, format="%.5f", help="Of Adam."
        )
        chosen["seed"] = st.number_input(
            "Seed", 0, 2**31 - 1, 0, help="The same seed gives the same split and the same run."
        )
    return chosen | _fine_tuning(row)


def _fine_tuning(row: Backbone) -> dict[str, object]:
    st.markdown("**Then let the top blocks learn too**", help="BatchNormalization stays as it is.")
    left, right = st.columns(2)
    epochs = left.number_input("Fine-tuning epochs", 0, 1000, 0, help="0: the head alone.")
    rate = right.number_input(
        "Its learning rate",
        0.0,
        0.1,
        0.0,
        format="%.6f",
        help="0: a twentieth of the head's. At most a tenth of it, or the network forgets.",
    )
    layer = st.text_input(
        "From layer on",
        row.unfreeze_from,
        key=f"unfreeze-{row.name}",
        help=f"Ends of its stages: {', '.join(row.layers)}.",
    )
    return {
        "fine_tune_epochs": epochs,
        "fine_tune_learning_rate": rate,
        "unfreeze_from": layer.strip(),
    }


def _start(config: RunConfig, settings: Settings) -> None:
    """Start the run that this form stands for; a second click of it gets the same run."""
    token = st.session_state.setdefault(TOKEN, secrets.token_hex(8))
    run = processes().start_run(token, config, settings)
    st.session_state[TOKEN] = secrets.token_hex(8)
    choose(Choice.WATCHED, run)
    st.rerun()
