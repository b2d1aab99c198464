"""The folded part of the form: the head, the rate, the pictures' views, the top blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from tlcore.errors import BadConfig
from tlcore.images.geometry import FITS
from tlcore.networks.catalogue import Backbone
from tlcore.runs.config import MAX_VIEWS, RunConfig
from tlcore.runs.options import (
    AUGMENTATIONS,
    BALANCES,
    OPTIMIZERS,
    OUTPUTS,
    POOLINGS,
    SCHEDULES,
)
from tlcore.ui.seen import fit_help, fit_title
from tlcore.ui.words import count

DEFAULTS = RunConfig(dataset="")
AGAIN = "_run-again"  # the recipe that the form is filled with, of a run made before
NO_VIEWS, STORED, FREE = "none", "stored views", "free"
VIEWS = {
    NO_VIEWS: "None: every epoch takes a moment",
    STORED: "Stored views: computed once and kept, then as fast",
    FREE: "A fresh view each epoch: the network runs every time",
}
Options = dict[str, Any]


def run_again(config: RunConfig) -> None:
    """Fill the form with a recipe the next time it is drawn."""
    st.session_state[AGAIN] = config


def start_from(row: Backbone) -> RunConfig:
    """Return the recipe that the form begins with."""
    again = st.session_state.get(AGAIN)
    if isinstance(again, RunConfig) and again.backbone == row.name:
        return again
    return RunConfig(dataset="", backbone=row.name)


def advanced(row: Backbone, before: RunConfig) -> Options:
    """Ask for all that most people leave alone."""
    return _head(before) | _learning(before) | _pictures(before) | _fine_tuning(row, before)


def _head(before: RunConfig) -> Options:
    left, right = st.columns(2)
    pooling = _choice(left, "Pooling", POOLINGS, before.pooling,
                      "How a stack of maps becomes one row of numbers.")  # fmt: skip
    output = _choice(right, "Output", OUTPUTS, before.output, "The units of the last layer.")
    hidden = left.text_input(
        "Dense layers", " ".join(map(str, before.hidden)), placeholder="none",
        help="Units of each layer before the last, for instance 128 64. None is often enough.",
    )  # fmt: skip
    dropout = right.number_input(
        "Dropout", 0.0, 0.9, before.dropout, 0.05, help="Share of features left out."
    )
    return {"pooling": pooling, "output": output, "hidden": _units(hidden), "dropout": dropout}


def _units(text: str) -> tuple[int, ...]:
    parts = text.replace(",", " ").split()
    if not all(part.isdecimal() for part in parts):
        raise BadConfig(f"Expected units of dense layers, such as 128 64. Received {text!r}.")
    return tuple(int(part) for part in parts)


def _learning(before: RunConfig) -> Options:
    left, right = st.columns(2)
    return {
        "batch_size": left.number_input("Batch size", 1, 1024, before.batch_size),
        "learning_rate": right.number_input(
            "Learning rate", 1e-7, 1.0, before.learning_rate, format="%.5f", help="Of the head."
        ),
        "optimizer": _choice(left, "Optimizer", OPTIMIZERS, before.optimizer, ""),
        "schedule": _choice(right, "Course of the rate", SCHEDULES, before.schedule, ""),
        "label_smoothing": left.number_input(
            "Label smoothing", 0.0, 0.5, before.label_smoothing, 0.05,
            help="How much certainty is taken off the labels; helps where some are wrong.",
        ),
        "balance": _choice(right, "Uneven classes", BALANCES, before.balance, ""),
        "patience": left.number_input(
            "Stop early after", 0, 1000, before.patience,
            help="Epochs without a lower validation loss; the best weights are kept. 0: never.",
        ),
        "seed": right.number_input(
            "Seed", 0, 2**31 - 1, before.seed,
            help="The same seed gives the same split and the same run, bit for bit.",
        ),
    }  # fmt: skip


def _pictures(before: RunConfig) -> Options:
    st.markdown("**Augmentation**", help="Changed pictures, so that it learns what matters.")
    now = FREE if before.free_augmentation else STORED if before.views else NO_VIEWS
    way = st.radio(
        "Augmentation", list(VIEWS), index=list(VIEWS).index(now), format_func=VIEWS.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    left, right = st.columns(2)
    views = left.number_input(
        "Views of each picture", 1, MAX_VIEWS, before.views or 4,
        help="With stored views: so many times as long for the features, once.",
    )  # fmt: skip
    fit = right.selectbox("Fit", list(FITS), index=list(FITS).index(before.fit),
                          format_func=fit_title, help=fit_help())  # fmt: skip
    kinds = st.multiselect(
        "Changed how", list(AUGMENTATIONS), list(before.augment),
        help=". ".join(f"{name}: {words}" for name, words in AUGMENTATIONS.items()),
    )  # fmt: skip
    return {
        "views": views if way == STORED else 0,
        "free_augmentation": way == FREE,
        "augment": tuple(kinds),
        "fit": fit,
    }


def _fine_tuning(row: Backbone, before: RunConfig) -> Options:
    st.markdown("**Then let the top blocks learn too**", help="BatchNormalization stays as it is.")
    left, right = st.columns(2)
    epochs = left.number_input(
        "Fine-tuning epochs", 0, 1000, before.fine_tune_epochs, help="0: the head alone."
    )
    filled = before.dataset != ""
    rate = right.number_input(
        "Its learning rate",
        0.0,
        0.1,
        before.fine_tune_learning_rate if filled else 0.0,
        format="%.6f",
        help="0: a twentieth of the head's. At most a tenth of it, or the network forgets.",
    )
    layers = list(dict.fromkeys([before.unfreeze_from, row.unfreeze_from, *row.blocks]))
    layer = st.selectbox(
        "From layer on",
        layers,
        key=f"unfreeze-{row.name}",
        accept_new_options=True,
        help=f"The first layer that learns. The beginnings of {count(len(row.blocks), 'block')} "
        "are listed; any layer can be typed. The cut is made at the block's boundary below it.",
    )
    return {
        "fine_tune_epochs": epochs,
        "fine_tune_learning_rate": rate,
        "unfreeze_from": (layer or row.unfreeze_from).strip(),
    }


def _choice(place: Any, title: str, known: Mapping[str, str], now: str, explanation: str) -> str:
    words = ". ".join(f"{name}: {meaning}" for name, meaning in known.items())
    chosen: str = place.selectbox(
        title, list(known), index=list(known).index(now), help=f"{explanation} {words}".strip()
    )
    return chosen
