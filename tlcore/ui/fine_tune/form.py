"""The form that starts a run: dataset and classes on the left, recipe and *Start* on the right.

Each training option has a widget, drawn from the table of options.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.decoding import hash_samples
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.datasets.split_notes import describe_groups, describe_missing
from tlcore.datasets.splits import check_class_names, split_samples
from tlcore.datasets.store import scan_datasets
from tlcore.errors import BadConfig, BadImage, TLCoreError, UnknownName, WeightsMissing
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.weights import find_weights
from tlcore.settings import Settings
from tlcore.text import parse_whole_number, shorten
from tlcore.training.augmentation import ORIGINAL, ImageCopy, InputSpec, load_pixels
from tlcore.training.batches import FIRST_FRESH_COPY
from tlcore.training.config import OPTIONS, Option, RunConfig, default_fine_tune_rate
from tlcore.ui.components import dataset_picker
from tlcore.ui.components.image_grid import thumbnails
from tlcore.ui.components.model_picker import list_sizes, parse_size, select_backbone
from tlcore.ui.components.weights import offer_weights, random_badge
from tlcore.ui.fine_tune.estimate import Plan, check_cost, draw_estimate
from tlcore.ui.fine_tune.recipe import FORM, RECIPE
from tlcore.ui.fine_tune.studies import draw_rate_finder
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.services import start_run_once
from tlcore.ui.shell import UPLOAD, open_at_top, show_error
from tlcore.ui.state import Choice, choose, chosen, uses_random, widget_generation
from tlcore.ui.widgets import show_html, unique_labels

IN_A_ROW, ROWS = 3, 2  # mosaics of classes
FEW_CLASSES = 2  # up to which a class has a row of its own
FINE_TUNE_EPOCHS = 5  # proposed when fine-tuning is switched on
STEPS = {"learning_rate": 1e-4, "fine_tune_learning_rate": 1e-5}  # of number fields; else 0.05
_KEPT = "_form-dataset"  # the dataset that the person chose here
Values = dict[str, Any]  # of options by name
AUGMENTED, COPIES = 3, 4  # images drawn with augmented copies, and copies of each, at most
SIDE, GAP = 128, 6  # px of a tile and between tiles


def run_form(settings: Settings) -> None:
    """Let the person choose what to train on what, and start the run.

    Raises:
        BadDataset: the chosen dataset cannot be trained on.
    """
    _propose_dataset(settings)
    recipe: RunConfig | None = st.session_state.get(RECIPE)
    if recipe and recipe.dataset not in dataset_picker.list_dataset_names(settings):
        st.warning(
            f"That run was trained on “{escape_md(recipe.dataset)}”, which is not a stored "
            "dataset: a folder read in place, or deleted since. All other options are filled in. "
            "Choose a dataset, or import the folder on the Upload page first.",
            icon=":material/link_off:",
        )
    left, right = st.columns(2, gap="large")
    with left:
        name = dataset_picker.select_dataset(settings, also=_keep_dataset)
        dataset = dataset_picker.open_dataset(name, settings)
        if not _offer_way_out(dataset):
            return
        numbers = st.empty()
        _draw_numbers(numbers, dataset, RunConfig(dataset.name))
        _draw_mosaics(dataset, settings)
        st.page_link(UPLOAD.file, label="Add images or another dataset", icon=UPLOAD.icon)
    with right:
        row = select_backbone(settings)
        if recipe is None or recipe.backbone != row.name:
            recipe = RunConfig(dataset="", backbone=row.name)
        random_weights = _random_weights(row, recipe, settings)
        if random_weights is not None:
            recipe = replace(recipe, random_weights=random_weights)
            _draw_recipe(dataset, recipe, numbers, settings)


def _propose_dataset(settings: Settings) -> None:
    """Choose the newest dataset that can be trained on, until the person chooses one here: on
    another page it may have been a single image."""
    datasets, now = scan_datasets(settings)[0], chosen(Choice.DATASET)
    names = [info.name for info in datasets if len(info.dataset.classes) > 1]
    names.sort(key=SAMPLE_NAME.__eq__)  # the sample last
    is_lonely = now in {info.name for info in datasets} - {*names, st.session_state.get(_KEPT)}
    if names and (not now or is_lonely):
        choose(Choice.DATASET, names[0])


def _keep_dataset() -> None:
    st.session_state[_KEPT] = chosen(Choice.DATASET)


def _offer_way_out(dataset: Dataset) -> bool:
    """Whether a dataset can be trained on; if not, say why and what leads on."""
    check_class_names(dataset)
    if len(dataset.classes) > 1:
        return True
    words = f"Expected at least two classes to tell apart. Received {len(dataset.classes)}."
    st.info(f"{words} Add images of another class, or label some.", icon=":material/label:")
    st.page_link(UPLOAD.file, label="Add or label images", icon=UPLOAD.icon)
    return False


def _draw_numbers(place: DeltaGenerator, dataset: Dataset, config: RunConfig) -> Plan:
    """Say how many images a configuration trains on, and return its plan."""
    train, val = split_samples(dataset, config.validation_split, config.seed)
    is_given = any(sample.split == "val" for sample in val)
    lines = [
        f"{plural(len(dataset.classes), 'class', 'classes')}, {len(train):,} training and "
        f"{len(val):,} validation images",
        describe_missing((sample.label for sample in train), (sample.label for sample in val)),
        describe_groups(train, val, None if is_given else config.validation_split),
    ]
    place.caption("  \n".join(escape_md(line) for line in lines if line))
    return Plan(config, train, val)


def _draw_mosaics(dataset: Dataset, settings: Settings) -> None:
    """Draw images of each class: a row a class for few, else at most two rows of mosaics."""
    few = len(dataset.classes) <= FEW_CLASSES
    in_a_row, images, size = (1, 14, 64) if few else (IN_A_ROW, 4, 56)
    shown, rest = list(dataset.classes[: IN_A_ROW * ROWS]), dataset.classes[IN_A_ROW * ROWS :]
    if rest:
        wanted = st.selectbox(
            f"See a class of {len(dataset.classes):,}",
            dataset.classes,
            index=None,
            format_func=unique_labels(dataset.classes, label),
            placeholder="Type to find a class",
            key=f"see-class-{dataset.name}",
        )
        if wanted:
            shown = list(dict.fromkeys([wanted, *shown]))[: len(shown)]
    for place, name in enumerate(shown):
        if place % in_a_row == 0:
            columns = st.columns(in_a_row)
        with columns[place % in_a_row]:
            show_html(
                '<div class="class-name">{name}<small>{images}</small></div>',
                name=label(name),
                images=plural(dataset.counts[name], "image"),
            )
            samples = [sample for sample in dataset.samples if sample.label == name]
            thumbnails(samples[:images], settings, key=f"class-{place}", size=size)
    if rest:
        st.caption(f"And {plural(len(rest), 'more class', 'more classes')}.")


def _random_weights(row: Backbone, recipe: RunConfig, settings: Settings) -> bool | None:
    """Return whether to train on random weights; None while the person has not decided."""
    try:
        find_weights(row, row.size, settings, top=False)
    except WeightsMissing as missing:
        if uses_random(row.name):
            random_badge(row, "Random weights: the accuracy will be low")
            return True
        offer_weights(row, missing, settings)
        return None
    help_ = "As in that run, although ImageNet's weights are here now."
    return recipe.random_weights and st.checkbox(OPTIONS["random_weights"].label, True, help=help_)


def _draw_recipe(
    dataset: Dataset, recipe: RunConfig, numbers: DeltaGenerator, settings: Settings
) -> None:
    """Draw the options, *Start* and what the run will cost."""
    left, right = st.columns(2)
    values: Values = {"random_weights": recipe.random_weights}
    values["epochs"] = _draw_option(left, OPTIONS["epochs"], recipe)
    values["size"] = _draw_option(right, OPTIONS["size"], recipe)
    with st.container():  # more fields in it do not fold what is below
        values |= _draw_fine_tuning(recipe)
    error, start = st.container(), st.container()  # drawn when all fields are known
    cost = st.container(key="run-cost")
    with st.expander("Advanced options", icon=":material/tune:"):
        columns = st.columns(2)
        options = [each for each in OPTIONS.values() if each.advanced and each.name not in values]
        for place, option in enumerate(options):
            values[option.name] = _draw_option(columns[place % 2], option, recipe, values)
        below = st.container()
    try:
        values["hidden_units"] = _parse_units(values["hidden_units"])
        config = RunConfig(dataset=dataset.name, backbone=recipe.backbone, **values)
    except (BadConfig, UnknownName) as wrong:
        _draw_start(start, str(wrong))
        return
    try:
        plan = _draw_numbers(numbers, dataset, config)
        with below:
            _draw_augmented_copies(config, plan.train, settings)
            rate = _key("learning_rate", recipe)
            draw_rate_finder(plan, dataset.classes, rate, settings)
        if _draw_start(start):
            with error:
                check_cost(plan, settings)
            choose(Choice.RUN, start_run_once(config, settings))  # one run for a double click
            open_at_top()
            st.rerun()
        with cost:
            draw_estimate(plan, settings)
    except TLCoreError as problem:
        with error:
            show_error(problem)


def _draw_start(place: DeltaGenerator, problem: str = "") -> bool:
    """Draw *Start*, disabled with the reason where the options cannot be trained."""
    with place:
        if problem:
            show_error(BadConfig(problem))
        return st.button(
            "Start",
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
            key="start",
            disabled=bool(problem),
            help=problem or None,
        )


def _draw_fine_tuning(recipe: RunConfig) -> Values:
    """Draw the switch for fine-tuning with its learning rate, and below it, if on, its fields."""
    rate = default_fine_tune_rate(_current_value("learning_rate", recipe))
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
    epochs = _draw_option(left, OPTIONS["fine_tune_epochs"], recipe)
    name, before = "fine_tune_learning_rate", recipe.fine_tune_learning_rate
    own = right.number_input(
        OPTIONS[name].label,
        value=None if before == default_fine_tune_rate(recipe.learning_rate) else before,
        step=STEPS[name],
        format="%g",
        placeholder=f"{rate:g}",
        help=OPTIONS[name].explanation,
        key=_key(name, recipe),
    )
    if own is not None:
        _say_error(right, OPTIONS[name], own)
    return {"fine_tune_epochs": epochs, name: own or 0.0}


def _draw_option(
    place: DeltaGenerator, option: Option, recipe: RunConfig, values: Values | None = None
) -> Any:
    """Draw the widget of an option, below it what is wrong with its value, and return that.

    Limits are not set on the widgets: a field with limits of its own would silently keep the
    value before the one that was typed. ``RunConfig`` refuses it in words.

    Args:
        place: where it is drawn.
        option: a row of the table.
        recipe: the initial values.
        values: of the options drawn so far; an option without effect beside them is disabled.
    """
    value = _draw_widget(place, option, recipe, values)
    _say_error(place, option, value)
    return value


def _say_error(place: DeltaGenerator, option: Option, value: Any) -> None:
    try:
        option.check(_parse_units(value) if option.kind == "ints" else value)
    except TLCoreError as error:
        place.markdown(f":small[:red[{escape_md(str(error))}]]")


def _draw_widget(
    place: DeltaGenerator, option: Option, recipe: RunConfig, values: Values | None
) -> Any:
    value, key = _current_value(option.name, recipe), _key(option.name, recipe)
    idle = bool(option.needs and values and not any(values.get(name) for name in option.needs))
    common: dict[str, Any] = {"help": option.explanation, "key": key, "disabled": idle}
    row, text = BACKBONES[recipe.backbone], option.label
    if option.name == "size":
        sizes = sorted({*list_sizes(row, top=False), value})
        size = place.selectbox(
            text,
            sizes,
            index=sizes.index(value),
            accept_new_options=True,
            format_func=unique_labels(sizes, lambda size: f"{size} × {size}"),
            **common,
        )
        return parse_size(str(size)) or value
    if option.name == "unfreeze_from":
        layers = list(dict.fromkeys([value, row.unfreeze_from, *row.blocks]))
        layer = place.selectbox(text, layers, accept_new_options=True, **common)
        return (layer or row.unfreeze_from).strip()
    if option.kind == "bool":
        return place.checkbox(text, value, **common)
    if option.kind == "choice":
        names = list(option.choices)
        return place.selectbox(text, names, index=names.index(value), **common)
    if option.kind == "choices":
        return tuple(place.multiselect(text, list(option.choices), list(value), **common))
    if option.kind == "ints":
        units = value if isinstance(value, str) else " ".join(map(str, value))
        return place.text_input(text, units, placeholder="none", **common)
    step, form = (1, "%d") if option.kind == "int" else (STEPS.get(option.name, 0.05), "%g")
    return place.number_input(text, value=value, step=step, format=form, **common)


def _current_value(name: str, recipe: RunConfig) -> Any:
    """Return what the field of an option holds now: also before it is drawn."""
    return st.session_state.get(_key(name, recipe), getattr(recipe, name))


def _parse_units(text: str) -> tuple[int, ...]:
    """Return the units of dense layers that a person has typed: "128 64"."""
    numbers = [parse_whole_number(word) for word in text.replace(",", " ").split()]
    if None in numbers:
        received = shorten(repr(text))
        raise BadConfig(f"Expected units of dense layers, such as 128 64. Received {received}.")
    return tuple(number for number in numbers if number is not None)


def _key(name: str, recipe: RunConfig) -> str:
    """Return a widget's key; another backbone or *Run again* makes a fresh field of it."""
    return f"option-{name}-{recipe.backbone}-{widget_generation(FORM)}"


def _draw_augmented_copies(config: RunConfig, train: Sequence[Sample], settings: Settings) -> None:
    """Draw some training images with the copies that the run will be trained on."""
    numbers = list_copies(config)
    if not numbers or not train:
        return
    samples = tuple(hash_samples(train[:: max(1, len(train) // AUGMENTED)][:AUGMENTED]))
    spec = InputSpec(
        config.backbone, config.size, config.fit, config.augmentations, config.seed, settings.limits
    )
    sheet = render_sheet(tuple(sample.sha256 for sample in samples), spec, numbers, samples)
    st.image(sheet, alt="Images and their augmented copies")
    words = plural(len(numbers), "of its augmented copies", "of its augmented copies")
    if config.on_the_fly_augmentation:
        words = f"as it is in the first {plural(len(numbers), 'epoch')}"
    st.caption(f"In each row an image, then {words}.")


def list_copies(config: RunConfig) -> tuple[int, ...]:
    """Return the numbers of the copies that are drawn: the first that the run will use."""
    if config.on_the_fly_augmentation:
        return tuple(range(FIRST_FRESH_COPY, FIRST_FRESH_COPY + COPIES))
    return tuple(range(min(config.augmented_copies, COPIES)))


@st.cache_data(show_spinner=False, max_entries=20)
def render_sheet(
    hashes: tuple[str, ...], spec: InputSpec, numbers: tuple[int, ...], _samples: Sequence[Sample]
) -> bytes:
    """Render a row for each image, itself and its copies, as one WebP."""
    step = SIDE + GAP
    sheet = Image.new("RGBA", ((1 + len(numbers)) * step - GAP, len(hashes) * step - GAP))
    for row, sample in enumerate(_samples):
        for column, number in enumerate((ORIGINAL, *numbers)):
            pixels = load_pixels(ImageCopy(sample, number), spec)
            if not isinstance(pixels, BadImage):
                tile = Image.fromarray(np.asarray(pixels)).resize((SIDE, SIDE))
                sheet.paste(tile, (column * step, row * step))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()
