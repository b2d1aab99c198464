"""Runs beside each other: their curves on one scale, and what differs between them."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from tlcore.runs.compare import as_csv, comparison, table
from tlcore.runs.store import RunInfo, list_runs, load_run
from tlcore.settings import Settings
from tlcore.ui.compare_view import PLAIN_CHART
from tlcore.ui.plots import overlay
from tlcore.ui.sets import set_title
from tlcore.ui.shell import boundary
from tlcore.ui.theme import colours, template
from tlcore.ui.words import percent

MOST = 10  # runs on one chart


def run_title(info: RunInfo) -> str:
    """A run's name, or what it learned from and on."""
    return info.notes.name or f"{set_title(info.config.dataset)} · {info.config.backbone}"


def compare_runs(watched: str, settings: Settings) -> None:
    """Offer to lay runs over each other, folded away until it is wanted."""
    ended = [info for info in list_runs(settings) if not info.active]
    if len(ended) < 2:
        return
    with st.expander("Compare runs", icon=":material/stacked_line_chart:"), boundary():
        known = {info.id: info for info in ended}
        chosen = st.multiselect(
            "Runs",
            list(known),
            [watched] if watched in known else [],
            max_selections=MOST,
            format_func=lambda run: _said(known[run]),
            key="compare-runs",
        )
        if chosen:
            _beside(chosen, settings)
        rows = table(ended)
        with st.container(horizontal=True):
            st.download_button("All runs, CSV", as_csv(rows), "runs.csv", "text/csv")
            st.download_button(
                "All runs, JSON", json.dumps(rows, indent=1), "runs.json", "application/json"
            )


def _beside(chosen: list[str], settings: Settings) -> None:
    runs = [load_run(run, settings) for run in chosen]
    names = [_said(run.info) for run in runs]
    for column, what in zip(st.columns(2, gap="medium"), ("accuracy", "loss"), strict=True):
        with column:
            st.markdown(f"**Validation {what}**")
            figure = overlay(
                {name: run.history for name, run in zip(names, runs, strict=True)},
                what,
                colours(),
                template(),
            )
            st.plotly_chart(figure, theme=None, key=f"overlay-{what}", config=PLAIN_CHART)
    rows = {field: [_cell(value) for value in values] for field, values in comparison(runs).items()}
    st.dataframe(pd.DataFrame.from_dict(rows, orient="index", columns=names))


def _said(info: RunInfo) -> str:
    figure = "" if info.val_accuracy is None else f", {percent(info.val_accuracy)}"
    return f"{run_title(info)}{figure} ({info.id[4:]})"  # the id: two may be alike


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
