"""What a run will cost, said before it starts: of the whole run, and of each augmentation."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import streamlit as st

from tlcore.errors import TLCoreError
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training.checks import check_parts
from tlcore.training.probe import Cost
from tlcore.ui.shell import boundary, show_error
from tlcore.ui.tune.options import VIEWS_BEFORE
from tlcore.ui.tune.probes import (
    Planned,
    ask,
    freely,
    known,
    seconds_a_picture,
)
from tlcore.ui.words import count, duration

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
        BadDataset: a part has no picture.
    """
    check_parts(planned.train, planned.val)
    answer = known(planned)
    if planned.tiny and not (answer and answer.done()):
        return
    with st.spinner("Trying a few pictures, to see that it fits …"):
        ask(planned, settings).result()


def ways(place: Any, planned: Planned) -> None:
    """Say what each augmentation would cost, before one is chosen."""
    pace = _pace(planned)
    train, val = len(planned.train), len(planned.val)
    views = planned.config.views or int(st.session_state.get(VIEWS_BEFORE, 4))
    epochs = planned.config.epochs + planned.config.fine_tune_epochs

    def took(pictures: int) -> str:
        return "" if pace is None else f", about {about(pictures * pace)}"

    stored = train * (1 + views) + val
    all_of_it = "" if pace is None else (
        f", in {count(epochs, 'epoch')} about {about(epochs * train * pace)}"
    )  # fmt: skip
    place.caption(
        "Through the network, where nothing is kept yet:\n"
        f"- none: {train + val:,} pictures once{took(train + val)}\n"
        f"- {count(views, 'stored view')}: {1 + views} times as many to learn from, {stored:,} "
        f"pictures once{took(stored)}\n"
        f"- fresh views: {train:,} pictures in each epoch{took(train)}{all_of_it}"
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
        f"{count(cost.missing, 'picture')} to go through the network once, "
        f"{about(cost.feature_seconds)}"
        if cost.missing
        else "Features kept from an earlier run"
    )
    each = [
        f"{duration(seconds)} for each epoch {of}"
        for seconds, of in (
            (cost.epoch_seconds + cost.head_seconds, "of the head"),
            (cost.tuned_seconds, "of the top"),
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
    """Whether nothing more is to come: the cost, and how long a picture takes."""
    answer = known(planned)
    if answer is None or not answer.done():
        return False
    if answer.exception() or seconds_a_picture(answer.result(), planned) is not None:
        return True
    pace = known(freely(planned))
    return pace is not None and pace.done()


def _pace(planned: Planned) -> float | None:
    """Return the seconds that a picture takes, or None while that is not known."""
    for plan in (planned, freely(planned)):
        answer = known(plan)
        if answer and answer.done() and not answer.exception():
            pace = seconds_a_picture(answer.result(), plan)
            if pace is not None:
                return pace
    return None
