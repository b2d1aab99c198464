"""The fields of the form: a widget for each training option, drawn from the table of options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.errors import BadConfig
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.text import parse_whole_number, shorten
from tlcore.training.config import OPTIONS, Option, RunConfig, default_fine_tune_rate
from tlcore.ui.components.model_picker import list_sizes
from tlcore.ui.state import reset_widget, widget_generation
from tlcore.ui.widgets import unique_labels

FINE_TUNE_EPOCHS = 5  # proposed when fine-tuning is switched on
STEPS = {"learning_rate": 1e-4, "fine_tune_learning_rate": 1e-5}  # of number fields; else 0.05
_RECIPE, _FORM = "_form-recipe", "form"
Values = dict[str, Any]  # of options by name


def fill_form(config: RunConfig) -> None:
    """Fill the form with the options of a run the next time it is drawn."""
    st.session_state[_RECIPE] = config
    reset_widget(_FORM)


def reset_form() -> None:
    """Let the form start with the defaults."""
    st.session_state.pop(_RECIPE, None)
    reset_widget(_FORM)


def filled_recipe() -> RunConfig | None:
    """Return the options that ``fill_form`` has set, or None."""
    recipe = st.session_state.get(_RECIPE)
    return recipe if isinstance(recipe, RunConfig) else None


def initial_recipe(row: Backbone) -> RunConfig:
    """Return the options with which the form starts for a backbone."""
    recipe = filled_recipe()
    if recipe and recipe.backbone == row.name:
        return recipe
    return RunConfig(dataset="", backbone=row.name)


def draw_fine_tuning(recipe: RunConfig) -> Values:
    """Draw the switch for fine-tuning with its learning rate, and below it, if on, its fields."""
    rate = default_fine_tune_rate(current_value("learning_rate", recipe))
    own_rate = default_fine_tune_rate(recipe.learning_rate) != recipe.fine_tune_learning_rate
    is_on = st.toggle(
        f"Fine-tune the top blocks too, at a learning rate of {rate:g}",
        value=bool(recipe.fine_tune_epochs),
        key=_key("fine-tune", recipe),
        help="After the head, the last blocks of the backbone are trained as well: more accurate "
        "on images unlike ImageNet's, but slower. BatchNormalization stays frozen.",
    )
    if not is_on:
        return {"fine_tune_epochs": 0, "fine_tune_learning_rate": 0.0}
    recipe = replace(recipe, fine_tune_epochs=recipe.fine_tune_epochs or FINE_TUNE_EPOCHS)
    left, right = st.columns(2)
    epochs = draw_option(left, OPTIONS["fine_tune_epochs"], recipe)
    option = OPTIONS["fine_tune_learning_rate"]
    own = right.number_input(
        option.label,
        value=recipe.fine_tune_learning_rate if own_rate else None,
        step=STEPS[option.name],
        format="%g",
        placeholder=f"{rate:g}",
        help="Empty: a twentieth of the head's, at most 1e-4. Never more than a tenth of the "
        "head's: pretrained features would be lost.",
        key=_key(option.name, recipe),
    )
    return {"fine_tune_epochs": epochs, "fine_tune_learning_rate": own or 0.0}


def draw_advanced(recipe: RunConfig, values: Values) -> Values:
    """Draw the options that most people leave alone, in two columns.

    Args:
        recipe: the initial values.
        values: of the options that are drawn elsewhere.
    """
    drawn = dict(values)
    options = [o for o in OPTIONS.values() if o.advanced and o.name not in values]
    left, right = st.columns(2)
    for place, option in enumerate(options):
        column = right if place % 2 else left
        drawn[option.name] = draw_option(column, option, recipe, drawn)
    return drawn


def draw_option(
    place: DeltaGenerator,
    option: Option,
    recipe: RunConfig,
    values: Mapping[str, Any] | None = None,
) -> Any:
    """Draw the widget of an option and return its value.

    Limits are not set on the widgets: a field with limits of its own would silently keep the
    value before the one that was typed. ``RunConfig`` refuses it in words.

    Args:
        place: where it is drawn.
        option: a row of the table.
        recipe: the initial values.
        values: of the options drawn so far; an option without effect beside them is disabled.
    """
    value, key = current_value(option.name, recipe), _key(option.name, recipe)
    idle = bool(option.needs and values and not any(values.get(name) for name in option.needs))
    common: dict[str, Any] = {"help": option.explanation, "key": key, "disabled": idle}
    if option.name == "size":
        sizes = sorted({*list_sizes(BACKBONES[recipe.backbone], top=False), value})
        return place.selectbox(
            option.label,
            sizes,
            index=sizes.index(value),
            format_func=unique_labels(sizes, lambda size: f"{size} × {size}"),
            **common,
        )
    if option.name == "unfreeze_from":
        row = BACKBONES[recipe.backbone]
        layers = list(dict.fromkeys([value, row.unfreeze_from, *row.blocks]))
        layer = place.selectbox(option.label, layers, accept_new_options=True, **common)
        return (layer or row.unfreeze_from).strip()
    if option.kind == "bool":
        return place.checkbox(option.label, value, **common)
    if option.kind == "choice":
        names = list(option.choices)
        return place.selectbox(option.label, names, index=names.index(value), **common)
    if option.kind == "choices":
        return tuple(place.multiselect(option.label, list(option.choices), list(value), **common))
    if option.kind == "ints":
        text = value if isinstance(value, str) else " ".join(map(str, value))
        return place.text_input(option.label, text, placeholder="none", **common)
    if option.kind == "int":
        return place.number_input(option.label, value=value, step=1, **common)
    step = STEPS.get(option.name, 0.05)
    return place.number_input(option.label, value=value, step=step, format="%g", **common)


def current_value(name: str, recipe: RunConfig) -> Any:
    """Return what the field of an option holds now: also before it is drawn."""
    return st.session_state.get(_key(name, recipe), getattr(recipe, name))


def set_value(name: str, recipe: RunConfig, value: object) -> None:
    """Put a value into the field of an option, in a callback."""
    st.session_state[_key(name, recipe)] = value


def parse_units(text: str) -> tuple[int, ...]:
    """Return the units of dense layers that a person has typed: "128 64".

    Raises:
        BadConfig: no whole numbers.
    """
    numbers = [parse_whole_number(word) for word in text.replace(",", " ").split()]
    if None in numbers:
        received = shorten(repr(text))
        raise BadConfig(f"Expected units of dense layers, such as 128 64. Received {received}.")
    return tuple(number for number in numbers if number is not None)


def _key(name: str, recipe: RunConfig) -> str:
    """Return a widget's key; another backbone or *Run again* makes a fresh field of it."""
    return f"option-{name}-{recipe.backbone}-{widget_generation(_FORM)}"
