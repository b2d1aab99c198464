"""Runs as rows: state, what learned from what, how well, and the way there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from tlcore.datasets.sample import dataset_title
from tlcore.errors import TLCoreError
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import delete_run, stop_run
from tlcore.training.run import RunInfo, label_runs, title_run
from tlcore.training.run_files import DamagedRun
from tlcore.training.status import DAMAGED, FAILED, FINISHED, QUEUED, RUNNING, STOPPED
from tlcore.training.store import (
    compare_configurations,
    format_csv,
    list_runs,
    load_run,
    scan_runs,
    tabulate_runs,
)
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.components.damaged import show_damage
from tlcore.ui.fine_tune.curves import lost, overlay
from tlcore.ui.format import accuracy, ago, count, duration, label, plain
from tlcore.ui.shell import FINE_TUNE, boundary, show_error
from tlcore.ui.theme import colours, template
from tlcore.ui.widgets import distinct

RECENT = 4
PAGE = 8
REFUSED = "_run-refused"  # the error of an order that the core refused
SHORT = 160  # characters of a note
NEWEST = "newest"
Listed = RunInfo | DamagedRun
# state → words, icon, colour of the chip
STATES = {
    QUEUED: ("queued", ":material/hourglass_empty:", "gray"),
    RUNNING: ("learning", ":material/autorenew:", "blue"),
    FINISHED: ("finished", ":material/check:", "green"),
    STOPPED: ("stopped", ":material/stop:", "gray"),
    FAILED: ("failed", ":material/error:", "red"),
    DAMAGED: ("damaged", ":material/broken_image:", "orange"),
}


def chip(state: str) -> None:
    """A run's state as a badge."""
    words, icon, colour = STATES[state]
    st.badge(words, icon=icon, color=colour)  # type: ignore[arg-type]


def recent_runs(settings: Settings) -> None:
    """The newest runs, or how to make the first."""
    _show_refusal()
    infos = scan_runs(settings)
    if not infos:
        st.caption("None yet. The first takes about half a minute on the sample.")
        st.page_link(FINE_TUNE.file, label="Teach it your classes", icon=FINE_TUNE.icon)
        return
    labels = label_runs(infos)
    for info in infos[:RECENT]:
        _row(info, labels[info.id], settings)
    if len(infos) > RECENT:
        st.page_link(FINE_TUNE.file, label=f"All {len(infos)} runs", icon=FINE_TUNE.icon)


def other_runs(watched: str, settings: Settings) -> None:
    """Every run but the one that is watched, in pages; live while one works."""
    runs = list_runs(settings)
    others = [info for info in scan_runs(settings) if info.id != watched]
    if not others:
        return
    st.subheader("Other runs" if watched else "Earlier runs", anchor=False)
    active = any(info.active for info in runs if info.id != watched)
    st.fragment(_pages, run_every=2.0 if active else None)(watched, active, settings)
    compare_runs(watched, runs, settings)


def _pages(watched: str, was_active: bool, settings: Settings) -> None:
    with boundary():
        infos = scan_runs(settings)
        labels = label_runs(infos)
        infos = [info for info in infos if info.id != watched]
        if was_active and not any(isinstance(i, RunInfo) and i.active for i in infos):
            st.rerun()  # the page once more: no more ticks
        _show_refusal()
        if len(infos) > 1:
            infos = _narrowed(infos)
        pages = max(1, -(-len(infos) // PAGE))
        place = st.container()
        page = st.pagination(pages, key="runs-page") if pages > 1 else 1
        with place:
            for info in infos[(page - 1) * PAGE : page * PAGE]:
                _row(info, labels[info.id], settings, deletable=True)
            if not infos:
                st.caption("None that matches.")


def _narrowed(infos: list[Listed]) -> list[Listed]:
    """Let a person search, filter and sort."""
    search, states, order = st.columns([3, 2, 2])
    words = search.text_input(
        "Search", key="runs-search", placeholder="name, tag, note, dataset, backbone"
    )
    shown = states.multiselect(
        "State",
        list(STATES),
        key="runs-states",
        format_func=distinct(STATES, lambda name: STATES[name][0]),
    )
    by = order.selectbox("Sort by", list(ORDERS), key="runs-order")
    wanted = words.lower().split()
    kept = [
        info
        for info in infos
        if (not shown or _state(info) in shown) and all(word in _searched(info) for word in wanted)
    ]
    runs = [info for info in kept if isinstance(info, RunInfo)]
    rest = [info for info in kept if isinstance(info, DamagedRun)]
    if by == NEWEST:
        return kept
    return [*sorted(runs, key=ORDERS[by]), *rest]  # stable: what is equal stays newest first


def _state(info: Listed) -> str:
    return DAMAGED if isinstance(info, DamagedRun) else info.status


def _searched(info: Listed) -> str:
    if isinstance(info, DamagedRun):
        return info.id
    notes, config = info.notes, info.config
    parts = (notes.name, *notes.tags, notes.note, dataset_title(config.dataset), config.backbone)
    return " ".join((*parts, info.id)).lower()


def _or_last(value: float | None) -> float:
    """Return a key that puts what is not known, or no finite number, behind all that is."""
    return math.inf if value is None or not math.isfinite(value) else value


# what the person reads → the key by which the first comes first; runs come newest first
ORDERS: Mapping[str, Callable[[RunInfo], float | tuple[bool, str]]] = {
    NEWEST: lambda info: 0.0,
    "highest accuracy": lambda info: _or_last(info.val_accuracy and -info.val_accuracy),
    "lowest loss": lambda info: _or_last(info.val_loss),
    "shortest": lambda info: _or_last(info.seconds),
    "longest": lambda info: _or_last(info.seconds and -info.seconds),
    "name": lambda info: (not info.notes.name, title_run(info).casefold()),
}


def _row(info: Listed, label: str, settings: Settings, *, deletable: bool = False) -> None:
    if isinstance(info, DamagedRun):
        _damaged_row(info, label, settings, deletable=deletable)
        return
    with st.container(border=True, gap="xsmall", key=f"run-{info.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(FINE_TUNE.file, label=f"**{plain(label)}**", query_params={"run": info.id})
            chip(info.status)
            for tag in info.notes.tags:
                st.badge(plain(tag), color="gray")
            if info.status == QUEUED:
                _order("Take back", info, stop_run, settings, "tertiary")
            elif deletable and not info.active:
                _offer_deletion(info, settings)
        st.caption(_figures(info))
        show_damage(info.damage)
        if note := info.notes.note:
            st.caption(plain(note if len(note) <= SHORT else f"{note[:SHORT].rstrip()} …"))


def _damaged_row(info: DamagedRun, label: str, settings: Settings, *, deletable: bool) -> None:
    with st.container(border=True, gap="xsmall", key=f"run-{info.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{plain(label)}**", width="content")
            chip(DAMAGED)
            if deletable:
                _offer_deletion(info, settings)
        show_damage([info.damage])


def _offer_deletion(info: Listed, settings: Settings) -> None:
    with st.popover("", icon=":material/delete:", type="tertiary", help="Delete"):
        st.write("Its network, its curves and its notes will be gone for good.")
        _order("Delete this run", info, delete_run, settings, "primary")


def _order(
    words: str,
    info: Listed,
    do: Callable[[str, Settings], None],
    settings: Settings,
    kind: Literal["primary", "tertiary"],
) -> None:
    """A button whose order is carried out before the list is drawn again."""
    key = f"{words.split()[0].lower()}-{info.id}"
    st.button(words, key=key, type=kind, on_click=_carry_out, args=(do, info.id, settings))


def _carry_out(do: Callable[[str, Settings], None], run: str, settings: Settings) -> None:
    try:
        with explained_os_errors("That could not be done"):
            do(run, settings)
    except TLCoreError as error:  # the page is not drawn yet
        st.session_state[REFUSED] = error


def _show_refusal() -> None:
    error = st.session_state.pop(REFUSED, None)
    if isinstance(error, TLCoreError):
        show_error(error)


def _recipe(config: RunConfig) -> list[str]:
    """Return what sets a recipe apart at a glance, beside what the label says."""
    said = []
    if config.augmented_copies:
        said.append(count(config.augmented_copies, "stored view"))
    if config.on_the_fly_augmentation:
        said.append("fresh views")
    return said


def _figures(info: RunInfo) -> str:
    """Return a run's line: how well, how long, and when; its label says what from and on."""
    parts = []
    if info.val_accuracy is not None:
        parts.append(accuracy(info.val_accuracy, info.images.get("val", 0)))
    if info.val_loss is not None:
        parts.append(f"loss {info.val_loss:.3g}")
    if info.epochs:
        parts.append(count(info.epochs, "epoch"))
    parts += _recipe(info.config)
    if info.seconds:
        parts.append(f"took {duration(info.seconds)}")
    parts.append(ago(info.created))
    if info.data_hash:
        parts.append(f"data {info.data_hash[:8]}")
    return " · ".join(parts)


# Runs beside each other: their curves on one scale, and what differs between them.


MOST = 10  # runs on one chart
NAME_WIDTH = 150  # px of what differs


def compare_runs(watched: str, infos: Sequence[RunInfo], settings: Settings) -> None:
    """Offer to lay runs over each other, folded away until it is wanted."""
    if len(infos) < 2:
        return
    with st.expander("Compare runs", icon=":material/stacked_line_chart:"), boundary():
        known = {info.id: info for info in infos}
        labels = label_runs(infos)
        chosen = st.multiselect(
            "Runs",
            list(known),
            [watched] if watched in known else [],
            max_selections=MOST,
            format_func=distinct(known, labels.__getitem__),
            key="compare-runs",
            help=f"Up to {MOST}, those at work as well.",
        )
        if chosen:
            live = any(known[run].active for run in chosen)
            st.fragment(_beside, run_every=2.0 if live else None)(chosen, settings)
        with st.container(horizontal=True):  # written when they are asked for: there may be many
            st.download_button(
                "All runs, CSV", lambda: format_csv(tabulate_runs(infos)), "runs.csv", "text/csv"
            )
            st.download_button(
                "All runs, JSON",
                lambda: as_json(tabulate_runs(infos)),
                "runs.json",
                "application/json",
            )


def as_json(value: Any) -> str:
    """Return JSON that every reader takes: what is no finite number is null."""
    return json.dumps(_finite(value), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _beside(chosen: list[str], settings: Settings) -> None:
    with boundary():
        runs = [load_run(run, settings) for run in chosen]
        labels = label_runs(list_runs(settings))
        names = [labels[run] for run in chosen]
        histories = {name: run.history for name, run in zip(names, runs, strict=True)}
        figure = overlay(histories, colours(), template())
        st.caption("Of each run on its validation images.")
        words = f"Validation accuracy and loss of {count(len(runs), 'run')}"
        st.plotly_chart(figure, theme=None, key="overlay", config=PLAIN_CHART, alt=words)
        if missing := [name for name, history in histories.items() if lost(history)]:
            st.caption(f":material/warning: Not wholly on the chart: {plain('; '.join(missing))}. "
                       "The loss diverged.")  # fmt: skip
        if bare := [name for name, history in histories.items() if not history]:
            st.caption(f"Without an epoch there is no curve: {plain('; '.join(bare))}.")
        rows = {
            label(field): [_cell(value) for value in values]
            for field, values in compare_configurations(runs).items()
        }
        st.dataframe(
            pd.DataFrame.from_dict(rows, orient="index", columns=names),
            column_config={"_index": st.column_config.Column(width=NAME_WIDTH)},
        )


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
