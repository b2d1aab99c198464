"""The runs as a sortable table, in which one opens, compares, cancels and deletes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
import pandas as pd
import streamlit as st

from tlcore.datasets.sample_dataset import dataset_title
from tlcore.evaluation.intervals import wilson_interval
from tlcore.percentages import bounds
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors
from tlcore.training import store
from tlcore.training.config import OPTIONS
from tlcore.training.lifecycle import delete_run, stop_run
from tlcore.training.run import Listed, RunInfo, label_runs
from tlcore.training.status import DAMAGED, QUEUED, DamagedRun
from tlcore.ui.components.charts import draw_chart
from tlcore.ui.components.live import live
from tlcore.ui.components.recent_runs import STATUSES
from tlcore.ui.fine_tune.curves import count_diverged, finite, overlay_curves
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.shell import act_button
from tlcore.ui.state import Choice, choose, chosen, reset_widget, widget_generation

MOST = 10  # runs on one chart
TABLE = "runs"  # key of the table and of its generation
_COLUMNS = {
    "Accuracy": st.column_config.NumberColumn(format="percent", help="On the validation split."),
    "Loss": st.column_config.NumberColumn(format="%.3g", help="On the validation split."),
    "Took": st.column_config.NumberColumn(format="%.0f s"),
    "Started": st.column_config.DatetimeColumn(format="distance"),
    "Tags": st.column_config.ListColumn(),
}


def run_list(settings: Settings) -> None:
    """Draw all runs, folded, those of the chosen dataset first; live while one is active."""
    runs = len(store.scan_runs(settings))
    if not runs:
        return

    def is_active() -> bool:
        return any(info.active for info in store.list_runs(settings))

    with st.expander(f"All runs ({runs})", icon=":material/table_rows:", key="all-runs"):
        live(is_active, lambda: _draw_list(settings), every=2.0)


def _draw_list(settings: Settings) -> None:
    infos, dataset = store.scan_runs(settings), chosen(Choice.DATASET)
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

    def rows() -> list[dict[str, Any]]:  # made when they are downloaded
        return store.tabulate_runs(info for info in infos if isinstance(info, RunInfo))

    today = f"{date.today():%Y-%m-%d}"
    csv, json = (lambda: store.format_csv(rows())), (lambda: as_json(rows()))
    with st.container(horizontal=True):
        st.download_button("All runs, CSV", csv, f"runs {today}.csv", "text/csv")
        st.download_button("All runs, JSON", json, f"runs {today}.json", "application/json")


def _matches(info: Listed, words: str) -> bool:
    """Whether each word is in the name, notes, status, dataset or backbone of a run."""
    texts = [info.id, STATUSES[_status(info)][0]]
    if isinstance(info, RunInfo):
        texts += [info.notes.name, info.notes.note, *info.notes.tags]
        texts += [dataset_title(info.config.dataset), info.config.backbone]
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
    labels = label_runs(store.scan_runs(settings), accuracy=False)
    title, values = column
    more = [{title: values.get(info.id, "")} if title else {} for info in infos]
    rows = [_row(info, labels[info.id]) | cell for info, cell in zip(infos, more, strict=True)]
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
    images, interval = info.images.get("val", 0), ""
    if info.val_accuracy is not None and images:
        interval = f"{bounds(*wilson_interval(info.val_accuracy, images))}%"
    return row | {
        "Accuracy": info.val_accuracy,
        "95% interval": interval,
        "Loss": finite(info.val_loss),
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
    queued = [info.id for info in ticked if _status(info) == QUEUED]
    runs = [info for info in ticked if isinstance(info, RunInfo)]
    active = [info.id for info in runs if info.active]
    ended = [info.id for info in ticked if info.id not in active]
    with st.container(horizontal=True):
        if queued:
            words = f"Cancel {plural(len(queued), 'run')}"
            _action_button(words, "cancel", stop_run, queued, settings)
        if ended:
            words = f"Delete {plural(len(ended), 'run')}"
            with st.popover(words, icon=":material/delete:"):
                labels = label_runs(store.scan_runs(settings))
                names = "\n".join(f"- {escape_md(labels[run])}" for run in ended)
                st.write(f"Models, curves and notes are deleted for good, of\n\n{names}")
                _action_button(f"{words} now", "delete", delete_run, ended, settings)
    if len(runs) > 1:
        _compare_curves(runs[:MOST], settings)


def _action_button(
    words: str, key: str, act: Callable[[str, Settings], None], ids: list[str], settings: Settings
) -> None:
    def act_on_all() -> None:
        reset_widget(TABLE)
        with explained_os_errors("That could not be done"):
            for run in ids:
                act(run, settings)

    act_button(words, act_on_all, key=f"runs-{key}")


def _compare_curves(infos: Sequence[RunInfo], settings: Settings) -> None:
    """Draw the validation curves of runs over each other, and in what the runs differ."""
    runs = [store.load_run(info.id, settings) for info in infos]
    labels = label_runs(store.list_runs(settings))
    histories = {labels[run.info.id]: run.history for run in runs}
    st.caption("Each run on its validation split.")
    alt = f"Validation accuracy and loss of {plural(len(runs), 'run')}"
    draw_chart(overlay_curves(histories), "overlay", alt)
    if diverged := [name for name, history in histories.items() if count_diverged(history)]:
        st.caption(
            f":material/warning: Not all of it is drawn: {escape_md('; '.join(diverged))}. The "
            "loss diverged."
        )
    if bare := [name for name, history in histories.items() if not history]:
        st.caption(f"No epoch has ended, so there is no curve: {escape_md('; '.join(bare))}.")
    rows = {}
    for name, values in store.compare_configurations(runs).items():
        title = OPTIONS[name].label if name in OPTIONS else label(name).capitalize()
        rows[title] = [_cell(value) for value in values]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(histories))
    st.dataframe(frame, key="differences")


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def as_json(value: Any) -> bytes:
    """Return JSON that every reader accepts: numbers that are not finite become null."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
