"""Runs beside each other: their curves on one scale, and what differs between them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from tlcore.settings import Settings
from tlcore.training.compare import as_csv, comparison, table
from tlcore.training.run import RunInfo
from tlcore.training.run_label import run_labels
from tlcore.training.store import list_runs, load_run
from tlcore.ui.plots import PLAIN_CHART
from tlcore.ui.selecting import distinct
from tlcore.ui.shell import boundary
from tlcore.ui.theme import colours, template
from tlcore.ui.tune.plots import lost, overlay
from tlcore.ui.words import count, label, plain

MOST = 10  # runs on one chart
NAME_WIDTH = 150  # px of what differs


def compare_runs(watched: str, infos: Sequence[RunInfo], settings: Settings) -> None:
    """Offer to lay runs over each other, folded away until it is wanted."""
    if len(infos) < 2:
        return
    with st.expander("Compare runs", icon=":material/stacked_line_chart:"), boundary():
        known = {info.id: info for info in infos}
        labels = run_labels(infos)
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
                "All runs, CSV", lambda: as_csv(table(infos)), "runs.csv", "text/csv"
            )
            st.download_button(
                "All runs, JSON", lambda: as_json(table(infos)), "runs.json", "application/json"
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
        labels = run_labels(list_runs(settings))
        names = [labels[run] for run in chosen]
        histories = {name: run.history for name, run in zip(names, runs, strict=True)}
        figure = overlay(histories, colours(), template())
        st.caption("Of each run on its validation pictures.")
        words = f"Validation accuracy and loss of {count(len(runs), 'run')}"
        st.plotly_chart(figure, theme=None, key="overlay", config=PLAIN_CHART, alt=words)
        if missing := [name for name, history in histories.items() if lost(history)]:
            st.caption(f":material/warning: Not wholly on the chart: {plain('; '.join(missing))}. "
                       "The loss diverged.")  # fmt: skip
        if bare := [name for name, history in histories.items() if not history]:
            st.caption(f"Without an epoch there is no curve: {plain('; '.join(bare))}.")
        rows = {
            label(field): [_cell(value) for value in values]
            for field, values in comparison(runs).items()
        }
        st.dataframe(
            pd.DataFrame.from_dict(rows, orient="index", columns=names),
            column_config={"_index": st.column_config.Column(width=NAME_WIDTH)},
        )


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
