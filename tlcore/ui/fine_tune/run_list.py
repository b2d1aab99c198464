"""The runs as a sortable table, in which one opens, compares, cancels and deletes them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from tlcore.datasets.sample_dataset import dataset_title
from tlcore.evaluation.intervals import wilson_interval
from tlcore.percentages import bounds
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors
from tlcore.training.config import OPTIONS
from tlcore.training.lifecycle import delete_run, stop_run
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.status import DAMAGED, FAILED, FINISHED, QUEUED, RUNNING, STOPPED, DamagedRun
from tlcore.training.store import (
    compare_configurations,
    format_csv,
    list_runs,
    load_run,
    scan_runs,
    tabulate_runs,
)
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.components.live import live
from tlcore.ui.components.run_picker import show_damage
from tlcore.ui.fine_tune.curves import count_diverged, overlay_curves
from tlcore.ui.format import accuracy, duration, escape_md, label, plural, time_ago
from tlcore.ui.shell import FINE_TUNE, boundary
from tlcore.ui.state import Choice, choose, chosen, reset_widget, widget_generation

RECENT = 4  # runs on Home
MOST = 10  # runs on one chart
TABLE = "runs"  # key of the table and of its generation
Listed = RunInfo | DamagedRun
# status → word, icon and colour of its badge
STATUSES = {
    QUEUED: ("queued", ":material/hourglass_empty:", "gray"),
    RUNNING: ("running", ":material/autorenew:", "blue"),
    FINISHED: ("finished", ":material/check:", "green"),
    STOPPED: ("stopped", ":material/stop:", "gray"),
    FAILED: ("failed", ":material/error:", "red"),
    DAMAGED: ("damaged", ":material/broken_image:", "orange"),
}
_COLUMNS = {
    "Accuracy": st.column_config.NumberColumn(format="percent", help="On the validation split."),
    "Loss": st.column_config.NumberColumn(format="%.3g", help="On the validation split."),
    "Took": st.column_config.NumberColumn(format="%.0f s"),
    "Started": st.column_config.DatetimeColumn(format="distance"),
    "Tags": st.column_config.ListColumn(),
}


def status_badge(status: str) -> None:
    """Draw the status of a run."""
    word, icon, colour = STATUSES[status]
    st.badge(word, icon=icon, color=colour)  # type: ignore[arg-type]


def recent_runs(settings: Settings) -> None:
    """Draw the newest runs, each a link, or how to make the first."""
    infos = scan_runs(settings)
    if not infos:
        st.caption("No runs yet. The first takes about half a minute on the sample.")
        st.page_link(FINE_TUNE.file, label="Train on your classes", icon=FINE_TUNE.icon)
        return
    labels = label_runs(infos)
    for info in infos[:RECENT]:
        with st.container(border=True, gap="xsmall", key=f"run-{info.id}"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _recent_title(info, labels[info.id])
                status_badge(_status(info))
                for tag in info.notes.tags if isinstance(info, RunInfo) else ():
                    st.badge(escape_md(tag), color="gray")
            if isinstance(info, RunInfo):
                st.caption(_recent_line(info))
            show_damage([info.damage] if isinstance(info, DamagedRun) else info.damage)
    if len(infos) > RECENT:
        st.page_link(FINE_TUNE.file, label=f"All {len(infos)} runs", icon=FINE_TUNE.icon)


def _recent_title(info: Listed, title: str) -> None:
    if isinstance(info, DamagedRun):
        st.markdown(f"**{escape_md(title)}**", width="content")
    else:
        st.page_link(FINE_TUNE.file, label=f"**{escape_md(title)}**", query_params={"run": info.id})


def _recent_line(info: RunInfo) -> str:
    facts = []
    if info.val_accuracy is not None:
        facts.append(accuracy(info.val_accuracy, info.images.get("val", 0)))
    if info.seconds:
        facts.append(f"took {duration(info.seconds)}")
    return " · ".join([*facts, time_ago(info.created)])


def run_list(settings: Settings) -> None:
    """Draw all runs, folded, those of the chosen dataset first; live while one is active."""
    infos = scan_runs(settings)
    if not infos:
        return
    with st.expander(f"All runs ({len(infos)})", icon=":material/table_rows:", key="all-runs"):
        live(lambda: _any_active(settings), lambda: _draw_list(settings), every=2.0)


def _any_active(settings: Settings) -> bool:
    return any(info.active for info in list_runs(settings))


def _draw_list(settings: Settings) -> None:
    infos = scan_runs(settings)
    dataset = chosen(Choice.DATASET)
    infos.sort(key=lambda info: isinstance(info, DamagedRun) or info.config.dataset != dataset)
    words = st.text_input(
        "Filter",
        key="runs-filter",
        placeholder="name, tag, note, status, dataset or backbone",
        label_visibility="collapsed",
    )
    shown = [info for info in infos if _matches(info, words)]
    if not shown:
        st.caption("No run matches.")
        return
    ticked = runs_table(shown, settings, name=TABLE)
    _draw_actions([info for info in shown if info.id in ticked], settings)
    runs = [info for info in infos if isinstance(info, RunInfo)]
    with st.container(horizontal=True):  # written when they are downloaded
        st.download_button(
            "All runs, CSV", lambda: format_csv(tabulate_runs(runs)), "runs.csv", "text/csv"
        )
        st.download_button(
            "All runs, JSON", lambda: as_json(tabulate_runs(runs)), "runs.json", "application/json"
        )


def _matches(info: Listed, words: str) -> bool:
    """Whether each word is in the name, notes, status, dataset or backbone of a run."""
    texts = [info.id, STATUSES[_status(info)][0]]
    if isinstance(info, RunInfo):
        notes, config = info.notes, info.config
        texts += [
            notes.name,
            *notes.tags,
            notes.note,
            dataset_title(config.dataset),
            config.backbone,
        ]
    text = " ".join(texts).lower()
    return all(word in text for word in words.lower().split())


def runs_table(
    infos: Sequence[Listed],
    settings: Settings,
    *,
    name: str,
    column: tuple[str, Mapping[str, str]] = ("", {}),
) -> list[str]:
    """Draw runs as a table that sorts by any column; a click on a cell opens its run.

    Args:
        infos: the rows.
        settings: the workspace.
        name: of the table, for its selection.
        column: title and values by run id of one more column.

    Returns:
        The ids of the runs whose rows are ticked.
    """
    labels = label_runs(scan_runs(settings), accuracy=False)
    rows = [_row(info, labels[info.id]) for info in infos]
    title, values = column
    if title:
        rows = [
            row | {title: values.get(info.id, "")} for row, info in zip(rows, infos, strict=True)
        ]
    ids = [info.id for info in infos]
    event = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config=_COLUMNS,
        placeholder="",
        key=f"{name}-{widget_generation(name)}",
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"],
    )
    cells = event.selection.cells
    if cells and cells[0][0] < len(ids):
        choose(Choice.RUN, ids[cells[0][0]])
        choose(Choice.RUN_VIEW, "")
        reset_widget(name)
        st.rerun()
    return [ids[row] for row in event.selection.rows if row < len(ids)]


def _status(info: Listed) -> str:
    return DAMAGED if isinstance(info, DamagedRun) else info.status


def _row(info: Listed, title: str) -> dict[str, Any]:
    row: dict[str, Any] = {"Run": title, "Status": STATUSES[_status(info)][0]}
    started = pd.Timestamp(info.created, unit="s", tz="UTC")
    if isinstance(info, DamagedRun):
        return row | {"Started": started, "Note": info.damage.description}
    images = info.images.get("val", 0)
    interval = ""
    if info.val_accuracy is not None and images:
        interval = f"{bounds(*wilson_interval(info.val_accuracy, images))}%"
    return row | {
        "Accuracy": info.val_accuracy,
        "95% interval": interval,
        "Loss": _finite(info.val_loss),
        "Epochs": info.epochs or None,
        "Took": info.seconds,
        "Started": started,
        "Tags": list(info.notes.tags),
        "Note": " ".join([*(each.description for each in info.damage), info.notes.note]).strip(),
        "Data": info.data_hash[:8],
    }


def _draw_actions(ticked: Sequence[Listed], settings: Settings) -> None:
    """Draw what can be done with the ticked runs, and their curves over each other."""
    if not ticked:
        st.caption("Click a run to open it. Tick runs to compare, cancel or delete them.")
        return
    queued = [info for info in ticked if _status(info) == QUEUED]
    ended = [info for info in ticked if not (isinstance(info, RunInfo) and info.active)]
    with st.container(horizontal=True):
        if queued:
            _action_button(
                f"Cancel {plural(len(queued), 'run')}", "cancel", stop_run, queued, settings
            )
        if ended:
            words = plural(len(ended), "run")
            with st.popover(f"Delete {words}", icon=":material/delete:"):
                st.write("Models, curves and notes are deleted for good.")
                _action_button(f"Delete {words} now", "delete", delete_run, ended, settings)
    runs = [info for info in ticked if isinstance(info, RunInfo)]
    if len(runs) > 1:
        _compare_curves(runs[:MOST], settings)


def _action_button(
    words: str,
    key: str,
    act: Callable[[str, Settings], None],
    infos: Sequence[Listed],
    settings: Settings,
) -> None:
    def act_on_all() -> None:  # before the list is drawn again
        reset_widget(TABLE)
        with boundary(), explained_os_errors("That could not be done"):
            for info in infos:
                act(info.id, settings)

    st.button(words, key=f"runs-{key}", type="primary", on_click=act_on_all)


def _compare_curves(infos: Sequence[RunInfo], settings: Settings) -> None:
    """Draw the validation curves of runs over each other, and in what the runs differ."""
    runs = [load_run(info.id, settings) for info in infos]
    labels = label_runs(list_runs(settings))
    names = [labels[info.id] for info in infos]
    histories = {name: run.history for name, run in zip(names, runs, strict=True)}
    st.caption("Each run on its validation split.")
    st.plotly_chart(
        overlay_curves(histories),
        theme=None,
        key="overlay",
        config=PLAIN_CHART,
        alt=f"Validation accuracy and loss of {plural(len(runs), 'run')}",
    )
    if diverged := [name for name, history in histories.items() if count_diverged(history)]:
        st.caption(
            f":material/warning: Not all of it is drawn: {escape_md('; '.join(diverged))}. The "
            "loss diverged."
        )
    if bare := [name for name, history in histories.items() if not history]:
        st.caption(f"No epoch has ended, so there is no curve: {escape_md('; '.join(bare))}.")
    rows = {
        OPTIONS[field].label if field in OPTIONS else label(field).capitalize(): [
            _cell(value) for value in values
        ]
        for field, values in compare_configurations(runs).items()
    }
    st.dataframe(pd.DataFrame.from_dict(rows, orient="index", columns=names), key="differences")


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def as_json(value: Any) -> str:
    """Return JSON that every reader accepts: numbers that are not finite become null."""
    return json.dumps(_without_nan(value), indent=1, allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return _finite(value) if isinstance(value, float) else value
