"""What a run will cost, said before it starts: of the whole run, and of each augmentation."""

from __future__ import annotations

import secrets
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import streamlit as st

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.splits import split_samples
from tlcore.errors import TLCoreError, WeightsMissing
from tlcore.models.catalog import Backbone
from tlcore.models.weights import find
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training.config import RunConfig, check_splits
from tlcore.training.cost import Cost
from tlcore.ui.components.dataset_picker import (
    check_learnable,
    classes_with_tiles,
    list_dataset_names,
    open_dataset,
    select_dataset,
)
from tlcore.ui.components.model_picker import select_backbone, sizes_of
from tlcore.ui.components.weights import offer_weights, random_badge
from tlcore.ui.fine_tune.augmentation import augmented
from tlcore.ui.fine_tune.options import (
    DEFAULTS,
    VIEWS_BEFORE,
    Asked,
    Options,
    advanced,
    asked_again,
    start_from,
    units,
)
from tlcore.ui.fine_tune.studies import (
    Planned,
    ask,
    freely,
    known,
    newest_ended,
    offer_rate,
    seconds_an_image,
)
from tlcore.ui.format import count, duration, plain
from tlcore.ui.services import processes
from tlcore.ui.shell import UPLOAD, boundary, show_error
from tlcore.ui.state import Choice, choose, flag
from tlcore.ui.widgets import distinct

TICK = 0.5  # s
NOTICED = 0.1  # s an epoch; what takes less is not worth a word
JUST_CHOSEN = "_cost-just-chosen"


def cost_line(planned: Planned, settings: Settings) -> None:
    """Say what the run will cost as soon as that is known; nobody has to wait for it."""
    waiting = not _all_known(planned)
    st.session_state[JUST_CHOSEN] = True
    st.fragment(_line, run_every=TICK if waiting else None)(planned, waiting, settings)


def check(planned: Planned, settings: Settings) -> None:
    """Refuse a run that cannot fit; one that fits for certain does not wait for an answer.

    Raises:
        BadConfig: it does not fit into the cache, onto the disk or into memory.
        BadDataset: a part has no image.
    """
    check_splits(planned.train, planned.val)
    answer = known(planned)
    if planned.tiny and not (answer and answer.done()):
        return
    with st.spinner("Trying a few images, to see that it fits …"):
        ask(planned, settings).result()


def ways(place: Any, planned: Planned) -> None:
    """Say what each augmentation would cost, before one is chosen."""
    pace = _pace(planned)
    train, val = len(planned.train), len(planned.val)
    views = planned.config.augmented_copies or int(st.session_state.get(VIEWS_BEFORE, 4))
    epochs = planned.config.epochs + planned.config.fine_tune_epochs

    def took(images: int) -> str:
        return "" if pace is None else f", about {about(images * pace)}"

    stored = train * (1 + views) + val
    all_of_it = "" if pace is None else (
        f", in {count(epochs, 'epoch')} about {about(epochs * train * pace)}"
    )  # fmt: skip
    place.caption(
        "Through the network, where nothing is kept yet:\n"
        f"- none: {train + val:,} images once{took(train + val)}\n"
        f"- {count(views, 'stored view')}: {1 + views} times as many to learn from, {stored:,} "
        f"images once{took(stored)}\n"
        f"- fresh views: {train:,} images in each epoch{took(train)}{all_of_it}"
    )


def _line(planned: Planned, waiting: bool, settings: Settings) -> None:
    with boundary():
        chosen_now = st.session_state.pop(JUST_CHOSEN, False)
        if waiting and not chosen_now:  # it has stayed chosen for a tick: now it is worth trying
            _ask_next(planned, settings)
            if _all_known(planned):
                st.rerun()
        answer = known(planned)
        if answer is None or not answer.done():
            st.caption(":material/timer: Working out what it will cost …")
        else:
            _say(answer, planned)


def _say(answer: Future[Cost], planned: Planned) -> None:
    try:
        cost = answer.result()
    except TLCoreError as error:
        show_error(error)
        return
    passes = (
        f"{count(cost.missing, 'image')} to go through the network once, "
        f"{about(cost.feature_seconds)}"
        if cost.missing
        else "Features kept from an earlier run"
    )
    each = [
        f"{duration(seconds)} for each epoch {of}"
        for seconds, of in (
            (cost.epoch_seconds + cost.head_seconds, "of the head"),
            (cost.fine_tune_seconds, "of the top"),
        )
        if seconds >= NOTICED
    ]
    needs = [f"{file_size(cost.disk)} of disk"] if cost.disk else []
    needs.append(f"{file_size(cost.memory)} of memory")
    total = about(cost.total_seconds)
    st.markdown(f":material/timer: About **{total}** in all, {', '.join(needs)}.")
    st.caption(f"{'; '.join([passes, *each])}.")


def about(seconds: float) -> str:
    """Return a time that is guessed, in whole seconds: "3 s", "2 min 5 s"."""
    return duration(seconds) if seconds >= 9.95 else f"{max(1, round(seconds))} s"


def _ask_next(planned: Planned, settings: Settings) -> None:
    answer = known(planned)
    if answer is None:
        ask(planned, settings)
    elif answer.done() and known(freely(planned)) is None:
        ask(freely(planned), settings)


def _all_known(planned: Planned) -> bool:
    """Whether nothing more is to come: the cost, and how long an image takes."""
    answer = known(planned)
    if answer is None or not answer.done():
        return False
    if answer.exception() or seconds_an_image(answer.result(), planned) is not None:
        return True
    pace = known(freely(planned))
    return pace is not None and pace.done()


def _pace(planned: Planned) -> float | None:
    """Return the seconds that an image takes, or None while that is not known."""
    for plan in (planned, freely(planned)):
        answer = known(plan)
        if answer and answer.done() and not answer.exception():
            pace = seconds_an_image(answer.result(), plan)
            if pace is not None:
                return pace
    return None


# The form that starts a run: what to learn from, on which backbone, and, folded away, how.


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
        name = select_dataset(settings)
        dataset = open_dataset(name, settings)
        check_learnable(dataset)
        numbers = st.empty()
        _say_what_it_learns(dataset, DEFAULTS, numbers)
        classes_with_tiles(dataset, settings, key="learn", side=60, rows=1, shown=8)
        st.page_link(UPLOAD.file, label="Bring other images", icon=UPLOAD.icon)
    with how:
        row = select_backbone(settings)
        random = _without_weights(row, settings)
        if random is not None:
            _recipe(dataset, row, random, numbers, settings)


def _say_what_is_not_the_same(settings: Settings) -> None:
    again = asked_again()
    if again and again.dataset not in list_dataset_names(settings):
        st.warning(
            f"That run learned from “{plain(again.dataset)}”, which is no stored dataset (any "
            "more): a folder read in place, or deleted. All else is filled in. Choose a dataset, "
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
            **{**filled.options, "hidden_units": units(filled.options["hidden_units"])},
        )
        train, val = split_samples(dataset, config.validation_split, config.seed)
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
        "Epochs", value=before.epochs, help="How often it goes through all images."
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
        "What stays frozen is computed once and kept, so another run on these images begins at "
        "once. You can leave the page; the run goes on."
    )
    return Filled({"epochs": epochs, "size": size, **asked.options}, asked, begin, error, cost)


def _say_what_it_learns(dataset: Dataset, config: RunConfig, place: Any) -> None:
    train, val = split_samples(dataset, config.validation_split, config.seed)
    place.caption(
        f"{count(len(dataset.classes), 'class', 'classes')}, {len(train):,} images to learn "
        f"from and {len(val):,} to judge by."
    )


def _start(config: RunConfig, settings: Settings) -> None:
    """Start the run that this form stands for; a second click of it gets the same run."""
    token = st.session_state.setdefault(TOKEN, secrets.token_hex(8))
    run = processes().start_run(token, config, settings)
    st.session_state[TOKEN] = secrets.token_hex(8)
    choose(Choice.RUN, run)
    st.rerun()
