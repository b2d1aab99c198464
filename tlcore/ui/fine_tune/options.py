"""The folded part of the form: the head, the rate, the images' views, the top blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from tlcore.datasets.geometry import FITS
from tlcore.errors import BadConfig
from tlcore.models.catalog import Backbone
from tlcore.text import shorten, whole_number
from tlcore.training.config import (
    ACTIVATIONS,
    AUGMENTATIONS,
    CLASS_WEIGHTS,
    MAX_COPIES,
    OPTIMIZERS,
    OPTIONS,
    POOLINGS,
    SCHEDULES,
    RunConfig,
    default_fine_tune_rate,
)
from tlcore.ui.components.framing import fit_help, fit_title
from tlcore.ui.format import count
from tlcore.ui.widgets import distinct

DEFAULTS = RunConfig(dataset="")
AGAIN = "_run-again"  # the recipe that the form is filled with, of a run made before
NO_VIEWS, STORED, FREE = "none", "stored views", "free"
VIEWS = {
    NO_VIEWS: "None",
    STORED: "Stored views, computed once and kept",
    FREE: "A fresh view in each epoch",
}
RATE = "run-learning-rate"  # of the field, so that a rate found elsewhere can be put there
VIEWS_BEFORE = "run-views"  # of the field, whether stored views are chosen or not
Options = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What the folded part says, and the places in it that are filled once the rest is known."""

    options: Options
    below_rate: Any  # container
    below_ways: Any  # container, below the ways to augment
    below_views: Any  # container


def run_again(config: RunConfig) -> None:
    """Fill the form with a recipe the next time it is drawn."""
    st.session_state[AGAIN] = config
    for key in (RATE, VIEWS_BEFORE):
        st.session_state.pop(key, None)


def afresh() -> None:
    """Let the form begin with what suits most people."""
    st.session_state.pop(AGAIN, None)


def asked_again() -> RunConfig | None:
    """Return the recipe that is to be run again, or None."""
    again = st.session_state.get(AGAIN)
    return again if isinstance(again, RunConfig) else None


def start_from(row: Backbone) -> RunConfig:
    """Return the recipe that the form begins with."""
    again = asked_again()
    if again and again.backbone == row.name:
        return again
    return RunConfig(dataset="", backbone=row.name)


def advanced(row: Backbone, before: RunConfig) -> Asked:
    """Ask for all that most people leave alone."""
    options = _head(before) | _learning(before)
    below_rate = st.container()
    views, below_ways = _images(before)
    below_views = st.container()
    options |= views | _fine_tuning(row, before)
    return Asked(options, below_rate, below_ways, below_views)


def units(text: str) -> tuple[int, ...]:
    """Return the units of dense layers that a person has typed.

    Raises:
        BadConfig: no whole numbers.
    """
    numbers = [whole_number(part) for part in text.replace(",", " ").split()]
    if None in numbers:
        received = shorten(repr(text))
        raise BadConfig(f"Expected units of dense layers, such as 128 64. Received {received}.")
    return tuple(number for number in numbers if number is not None)


def _head(before: RunConfig) -> Options:
    left, right = st.columns(2)
    pooling = _choice(left, "Pooling", POOLINGS, before.pooling,
                      "How a stack of maps becomes one row of numbers.")  # fmt: skip
    output = _choice(
        right,
        OPTIONS["classifier_activation"].label,
        ACTIVATIONS,
        before.classifier_activation,
        "The units of the last layer.",
    )
    hidden = left.text_input(
        "Dense layers", " ".join(map(str, before.hidden_units)), placeholder="none",
        help="Units of each layer before the last, for instance 128 64. None is often enough.",
    )  # fmt: skip
    dropout = right.number_input(
        "Dropout", value=before.dropout, step=0.05, help="Share of features left out."
    )
    return {
        "pooling": pooling,
        "classifier_activation": output,
        "hidden_units": hidden,
        "dropout": dropout,
    }


def _learning(before: RunConfig) -> Options:
    """The limits stand in RunConfig alone: a field with limits of its own keeps what is beyond them
    to itself, and the run would begin with the value before it."""
    left, right = st.columns(2)
    return {
        "batch_size": left.number_input("Batch size", value=before.batch_size),
        "learning_rate": right.number_input(
            "Learning rate", value=_rate(before), step=1e-4, format="%g", key=RATE,
            help="Of the head.",
        ),
        "optimizer": _choice(left, "Optimizer", OPTIMIZERS, before.optimizer, ""),
        "learning_rate_schedule": _choice(
            right, OPTIONS["learning_rate_schedule"].label, SCHEDULES,
            before.learning_rate_schedule, "",
        ),
        "label_smoothing": left.number_input(
            "Label smoothing", value=before.label_smoothing, step=0.05,
            help="How much certainty is taken off the labels; helps where some are wrong.",
        ),
        "class_weights": _choice(
            right, OPTIONS["class_weights"].label, CLASS_WEIGHTS, before.class_weights, ""
        ),
        "patience": left.number_input(
            OPTIONS["patience"].label, value=before.patience,
            help="Epochs without a lower validation loss. 0: never. The weights of the epoch with "
            "the lowest are kept in any case.",
        ),
        "seed": right.number_input(
            "Seed", value=before.seed,
            help="The same seed gives the same split and the same run, bit for bit.",
        ),
        "validation_split": left.number_input(
            OPTIONS["validation_split"].label, value=before.validation_split, step=0.05,
            help="Of the images, where the dataset brings no validation part of its own.",
        ),
    }  # fmt: skip


def _rate(before: RunConfig) -> float:
    """The field's beginning; where the session holds a value for it, that one has to be named."""
    return float(st.session_state.get(RATE, before.learning_rate))


def _images(before: RunConfig) -> tuple[Options, Any]:
    st.markdown("**Augmentation**", help="Changed images, so that it learns what matters.")
    now = (
        FREE if before.on_the_fly_augmentation else STORED if before.augmented_copies else NO_VIEWS
    )
    way = st.radio(
        "Augmentation", list(VIEWS), index=list(VIEWS).index(now), label_visibility="collapsed",
        format_func=distinct(VIEWS, VIEWS.__getitem__),
    )  # fmt: skip
    below_ways = st.container()
    left, right = st.columns(2)
    views = left.number_input(
        "Stored views", 1, MAX_COPIES, before.augmented_copies or 4, key=VIEWS_BEFORE,
        disabled=way != STORED,
        help="Of each image, beside itself.",
    )  # fmt: skip
    fit = right.selectbox("Fit", list(FITS), index=list(FITS).index(before.fit),
                          format_func=distinct(FITS, fit_title), help=fit_help())  # fmt: skip
    kinds = st.multiselect(
        "Changed how", list(AUGMENTATIONS), list(before.augmentations),
        help=". ".join(f"{name}: {words}" for name, words in AUGMENTATIONS.items()),
    )  # fmt: skip
    options = {
        "augmented_copies": views if way == STORED else 0,
        "on_the_fly_augmentation": way == FREE,
        "augmentations": tuple(kinds),
        "fit": fit,
    }
    return options, below_ways


def _fine_tuning(row: Backbone, before: RunConfig) -> Options:
    st.markdown("**Then let the top blocks learn too**", help="BatchNormalization stays as it is.")
    left, right = st.columns(2)
    epochs = left.number_input(
        "Fine-tuning epochs", value=before.fine_tune_epochs, help="0: the head alone."
    )
    own = not math.isclose(
        before.fine_tune_learning_rate, default_fine_tune_rate(before.learning_rate)
    )
    rate = right.number_input(
        "Its learning rate",
        value=before.fine_tune_learning_rate if own else 0.0,
        step=1e-5,
        format="%g",
        disabled=not epochs,
        help="Of the top blocks. 0: a twentieth of the head's, at most 1e-4. Never more than a "
        "tenth of the head's, or the network forgets.",
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
        "fine_tune_learning_rate": rate if epochs else 0.0,
        "unfreeze_from": (layer or row.unfreeze_from).strip(),
    }


def _choice(place: Any, title: str, known: Mapping[str, str], now: str, explanation: str) -> str:
    words = ". ".join(f"{name}: {meaning}" for name, meaning in known.items())
    chosen: str = place.selectbox(
        title, list(known), index=list(known).index(now), help=f"{explanation} {words}".strip()
    )
    return chosen
