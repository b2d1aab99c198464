"""The results for many images: accuracies on one axis, disagreements with captions, tables."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from tlcore.datasets.dataset import Dataset
from tlcore.evaluation.batch_table import (
    BatchHead,
    compute_agreement,
    compute_baseline_score,
    compute_head_score,
    count_pairs,
    count_unlabelled,
)
from tlcore.evaluation.evaluation import unlabelled_note
from tlcore.evaluation.intervals import Proportion
from tlcore.percentages import percent, probability
from tlcore.settings import Settings
from tlcore.text import csv_cell
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.components.image_grid import GridImage, image_grid
from tlcore.ui.format import label, plural
from tlcore.ui.state import Choice, choose
from tlcore.ui.theme import colours, template
from tlcore.ui.widgets import unique_labels

SHOWN_DISAGREEMENTS = 12
THUMBNAIL = 146  # px
CELL = 30  # px of a row of the heat map
TABLE_KEY = "many-table"
BASELINE_HELP = (
    "Each ImageNet class stands for the label that it goes with most often in the training split, "
    "a class that does not occur there for the label of its group (dogs, birds, vehicles …)."
)


def _share_column(title: str) -> ColumnConfig:
    return st.column_config.ProgressColumn(title, format="percent", min_value=0, max_value=1)


COLUMNS: dict[str, str | ColumnConfig] = {
    "file": "Image",
    "label": "Label",
    "imagenet": "ImageNet",
    "imagenet_probability": _share_column("Probability (ImageNet)"),
    "head": "Your head",
    "head_probability": _share_column("Probability (head)"),
    "head_correct": "Right",
    "agree": "Agree",
    "disagreement": _share_column("Disagreement"),
    "group": "Group",
    "split": "Split",
}


def draw_results(
    table: pd.DataFrame, heads: Sequence[BatchHead], dataset: Dataset, settings: Settings
) -> None:
    """Draw what came of many predictions.

    Args:
        table: one row an image, as ``build_batch_table`` returns it.
        heads: in the order of its columns.
        dataset: that the images are of.
        settings: where thumbnails are stored.
    """
    _draw_accuracies(table, heads)
    disagreements, pairs, rows = st.tabs(["Disagreements", "Class by class", "Every image"])
    with disagreements:
        _draw_disagreements(table, dataset, settings)
    with pairs:
        _draw_pairs(table)
    with rows:
        _draw_table(table, dataset)


def _draw_accuracies(table: pd.DataFrame, heads: Sequence[BatchHead]) -> None:
    """Draw ImageNet's accuracy and the heads' on one axis, and how often they agree."""
    rows: list[tuple[str, Proportion, str]] = []
    base = compute_baseline_score(table)
    if base and table["imagenet_as_label"].notna().any():
        rows.append(("ImageNet alone, no head", base, colours().pretrained))
    for number, head in enumerate(heads, start=1):
        score = compute_head_score(table, number)
        if score:
            name = "Your head" if number == 1 else f"Head {number}: {head.title}"
            rows.append((name, score, colours().head))
    if rows:
        st.markdown("**Accuracy on the validation split**", help=BASELINE_HELP)
        alt = "; ".join(f"{name}: {share.text}" for name, share, _ in rows)
        figure = _accuracy_figure(rows)
        st.plotly_chart(figure, theme=None, key="many-accuracy", config=PLAIN_CHART, alt=alt)
    for note in _accuracy_notes(table, base):
        st.caption(note)


def _accuracy_notes(table: pd.DataFrame, base: Proportion | None) -> list[str]:
    """Return what is not judged and why, and how often ImageNet and the head agree."""
    notes = []
    if table["label"].isna().all():
        notes.append("These images have no label, so no accuracy can be computed.")
    elif not table["imagenet_as_label"].notna().any():
        notes.append("Predict all images to see how accurate ImageNet's classes alone are.")
    elif unlabelled := count_unlabelled(table):
        notes.append(f"{unlabelled_note(unlabelled)}.")
    if "head" in table and base and not compute_head_score(table):
        notes.append(
            "Your head is not evaluated here: it was trained on these images, or has not learned "
            "their classes."
        )
    both = compute_agreement(table)
    if both:
        notes.append(
            f"Both agree on {both.short_text} of {plural(both.images, 'image')}: those "
            "for which ImageNet's class stands for one of the head's classes."
        )
    return notes


def _accuracy_figure(rows: Sequence[tuple[str, Proportion, str]]) -> go.Figure:
    """Accuracies (name, value, colour) with their 95% intervals on one axis, the first on top."""
    figure = go.Figure(layout={"template": template()})
    for name, share, colour in rows:
        figure.add_scatter(
            x=[share.value],
            y=[name],
            error_x={"array": [share.high - share.value], "arrayminus": [share.value - share.low]},
            mode="markers+text",
            text=[f"<b>{percent(share.value)}</b>"],
            textposition="top center",
            marker={"color": colour, "size": 12},
            hovertemplate=f"{html.escape(share.text)}<extra></extra>",
        )
    figure.update_xaxes(range=[0, 1.03], tickformat=".0%", dtick=0.25)
    figure.update_yaxes(range=[len(rows) - 0.6, -0.8], automargin=True, showgrid=False)
    figure.update_layout(height=52 * len(rows) + 44, margin={"l": 0, "r": 12, "t": 0, "b": 24})
    return figure


def _draw_disagreements(table: pd.DataFrame, dataset: Dataset, settings: Settings) -> None:
    """Draw the images on which both are surest and differ; a click opens one."""
    if "disagreement" not in table or not (table["disagreement"] > 0).any():
        st.caption("No disagreement among these images.")
        return
    by_file = {sample.file: sample for sample in dataset.samples}
    worst = table[table["disagreement"] > 0].head(SHOWN_DISAGREEMENTS)
    rows: list[Any] = list(worst.itertuples())
    images = [
        GridImage(by_file[row.file].sha256, by_file[row.file], row.file, _caption(row))
        for row in rows
    ]
    image_grid(
        images,
        settings,
        key="disagreements",
        on_select=lambda ids: _open(ids[0]),
        size=THUMBNAIL,
    )


def _caption(row: Any) -> str:
    """Return the label and both answers of a row of the table."""
    return (
        f"label {label(row.label) if row.label else 'none'}\n"
        f"ImageNet {row.imagenet} {probability(row.imagenet_probability)}\n"
        f"head {label(row.head)} {probability(row.head_probability)}"
    )


def _open(sha256: str) -> None:
    """Show an image by itself."""
    choose(Choice.IMAGE, sha256)
    choose(Choice.CLASS_FILTER, "")
    choose(Choice.STRIP_PAGE, "")
    choose(Choice.COMPARE_VIEW, "one")


def _draw_pairs(table: pd.DataFrame) -> None:
    """Draw how often each ImageNet class, or group, goes with each label, as a heat map."""
    against = "head" if "head" in table else "label"
    whose = "your head's answer" if against == "head" else "the label"
    st.caption(f"How often ImageNet's answer (a row) goes with {whose} (a column).")
    names = {"imagenet": "Classes", "group": "Groups"}
    column = st.segmented_control(
        "Rows",
        list(names),
        default="imagenet",
        format_func=unique_labels(names, names.__getitem__),
        label_visibility="collapsed",
        required=True,
        key="many-rows",
    )
    rows, columns, counts = count_pairs(table, column, against)
    figure = go.Figure(layout={"template": template()})
    figure.add_heatmap(
        z=counts,
        x=[label(name) for name in columns],
        y=rows,
        text=[[str(number) if number else "" for number in row] for row in counts],
        texttemplate="%{text}",
        colorscale=[[0, colours().line], [1, colours().pretrained]],
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{y} and %{x}: %{z}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False)
    figure.update_xaxes(side="top", automargin=True, showgrid=False)
    figure.update_layout(height=CELL * len(rows) + 60)
    st.plotly_chart(figure, theme=None, key="many-heat", config=PLAIN_CHART, alt="Heat map")


def _draw_table(table: pd.DataFrame, dataset: Dataset) -> None:
    """Draw one row an image; a selected row opens its image."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Select a row to open its image.")
        csv = table.map(csv_cell).to_csv(index=False).encode()
        records = table.to_json(orient="records", indent=1).encode()
        for name, data, mime in (("CSV", csv, "text/csv"), ("JSON", records, "application/json")):
            file = f"{dataset.name} predictions.{name.lower()}"
            st.download_button(name, data, file, mime, icon=":material/download:")
    by_file = {sample.file: sample.sha256 for sample in dataset.samples}

    def open_row() -> None:
        for place in st.session_state[TABLE_KEY].selection.rows:
            _open(by_file[table["file"].iloc[place]])

    further = [name for name in map(str, table) if name.startswith("head ")]
    st.dataframe(
        table,
        key=TABLE_KEY,
        on_select=open_row,
        selection_mode="single-row",
        hide_index=True,
        height=420,
        column_order=[
            *(name for name in COLUMNS if name in table),
            *(name for name in further if "learned" not in name),
        ],
        column_config=COLUMNS,
    )
