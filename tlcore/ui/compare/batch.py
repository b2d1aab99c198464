"""Many images: two accuracies on one axis, disagreements with captions, tables.

Predictions stay in the session under the content of the image and the model. A relabelled image
needs no new prediction; an exchanged image, a resumed run or a further head needs only its own; a
stop loses nothing.
"""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.column_types import ColumnConfig

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.evaluation.batch_table import (
    BatchHead,
    Score,
    build_batch_table,
    compute_agreement,
    compute_baseline_score,
    compute_head_score,
    count_pairs,
    fit_batch_baseline,
)
from tlcore.evaluation.evaluation import unlabelled_note
from tlcore.evaluation.intervals import Proportion, proportion_of
from tlcore.evaluation.predictions import is_unchanged
from tlcore.models.predictions import BriefPrediction, ModelRef
from tlcore.percentages import percent, probability
from tlcore.settings import Settings
from tlcore.text import csv_cell
from tlcore.training.provenance import Splits, find_splits, list_samples, read_classes
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs
from tlcore.ui.compare.sides import choose_sides
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.components.dataset_picker import open_dataset, select_dataset
from tlcore.ui.components.image_grid import GridImage, image_grid
from tlcore.ui.format import count, duration, label, plain
from tlcore.ui.questions import predict_batch
from tlcore.ui.state import Choice, choose
from tlcore.ui.theme import Colours, colours, template
from tlcore.ui.widgets import distinct

CHUNK = 32  # images a request: a stop waits for one
ALL, TRAIN, VAL = "/all", "/train", "/val"  # no class has such a name
SUBSETS = {ALL: "all images", TRAIN: "training split", VAL: "validation split"}
SPLIT_OF = {TRAIN: "train", VAL: "val"}
EXCHANGED = (
    "{} is gone or has been exchanged since it was added to its dataset. Add it again on the "
    "Upload page."
)
Models = tuple[ModelRef, ...]
SHOWN_ERRORS = 5  # images without prediction that are named
SHOWN_DISAGREEMENTS = 12
THUMBNAIL = 146  # px
CELL = 30  # px of a row of the heat map
TABLE_KEY = "many-table"
BASELINE_HELP = (
    "Each ImageNet class stands for the label that it goes with most often in the training split, "
    "a class that does not occur there for the label of its group (dogs, birds, vehicles …)."
)


@dataclass
class Batch:
    """The predictions for one dataset's images in this session.

    ``results`` has for an image's sha256 and a model the prediction, or in words why there is none.
    """

    dataset: str  # its name
    results: dict[tuple[str, ModelRef], BriefPrediction | str] = field(default_factory=dict)
    running: bool = False

    def missing_models(self, sample: Sample, refs: Models) -> Models:
        """Return the models that have no result for an image yet."""
        return tuple(ref for ref in refs if (sample.sha256, ref) not in self.results)

    def missing(self, samples: Sequence[Sample], refs: Models) -> list[Sample]:
        """Return the images that lack the result of a model."""
        return [sample for sample in samples if self.missing_models(sample, refs)]

    def predictions(
        self, samples: Sequence[Sample], refs: Models
    ) -> tuple[list[tuple[Sample, tuple[BriefPrediction, ...]]], list[str]]:
        """Return the images with the predictions of all models, and the errors of others."""
        complete, errors = [], []
        for sample in samples:
            results = [self.results.get((sample.sha256, ref)) for ref in refs]
            predictions = tuple(one for one in results if isinstance(one, BriefPrediction))
            if len(predictions) == len(refs):
                complete.append((sample, predictions))
            errors += [one for one in results if isinstance(one, str)][:1]
        return complete, errors

    def predict_next(self, missing: Sequence[Sample], refs: Models, settings: Settings) -> None:
        """Predict the next images: those that lack the same models as the first, decoded once."""
        lacking = self.missing_models(missing[0], refs)
        chunk = [s for s in missing if self.missing_models(s, refs) == lacking][:CHUNK]
        present = [sample for sample in chunk if is_unchanged(sample)]
        rows = predict_batch([s.path for s in present], lacking, settings) if present else []
        row_of = dict(zip([s.sha256 for s in present], rows, strict=True))
        for sample in chunk:
            row = row_of.get(sample.sha256, EXCHANGED.format(sample.file))
            for place, ref in enumerate(lacking):
                self.results[sample.sha256, ref] = row if isinstance(row, str) else row[place]


def many_images(place: DeltaGenerator, settings: Settings) -> None:
    """Choose images and models in ``place``, predict what is missing, and draw the results."""
    with place:
        first, second, left, right = st.columns([3, 3, 5, 5], vertical_alignment="bottom")
    with first:
        dataset = open_dataset(select_dataset(settings), settings)
    sides = choose_sides(left, right, settings)
    if not sides.networks:
        return
    network, runs = sides.networks[0], sides.runs
    splits = find_splits(dataset, runs[0] if runs else None) if len(dataset.classes) > 1 else {}
    with second:
        samples = _select_samples(dataset, splits)
    refs = (network, *(info.ref for info in runs))
    batch = _batch_of(dataset.name)
    if batch.missing(samples, refs):
        _predict_missing(batch, samples, refs, settings)
    predictions, errors = batch.predictions(samples, refs)
    for error in errors[:SHOWN_ERRORS]:
        st.caption(f":material/warning: {plain(error)}")
    if not predictions:
        return
    train = [s for s in _unique(dataset) if splits.get(s.sha256) == "train"]
    baseline = None
    if not batch.missing(train, (network,)):
        baseline = fit_batch_baseline(batch.predictions(train, (network,))[0], splits)
    heads = [_batch_head(info, settings) for info in runs]
    table = build_batch_table(predictions, heads, baseline, splits)
    _draw_accuracies(table, heads)
    disagreements, pairs, rows = st.tabs(["Disagreements", "Class by class", "Every image"])
    with disagreements:
        _draw_disagreements(table, dataset, settings)
    with pairs:
        _draw_pairs(table)
    with rows:
        _draw_table(table, dataset)


def _batch_of(dataset: str) -> Batch:
    """Return this session's predictions for a dataset; those for another one are dropped."""
    batch = st.session_state.get("_batch")
    if not isinstance(batch, Batch) or batch.dataset != dataset:
        batch = st.session_state["_batch"] = Batch(dataset)
    return batch


def _unique(dataset: Dataset) -> list[Sample]:
    """Return the images of a dataset, of copies the first."""
    unique = {sample.sha256: sample for sample in reversed(dataset.samples)}
    return sorted(unique.values(), key=lambda sample: sample.file)


def _select_samples(dataset: Dataset, splits: Splits) -> list[Sample]:
    options = [ALL, *(SPLIT_OF if splits else ()), *dataset.classes]
    subset = st.selectbox(
        "Images",
        options,
        format_func=distinct(options, lambda name: SUBSETS.get(name) or label(name)),
        key=f"many-what-{dataset.name}",
    )
    samples = _unique(dataset)
    if subset in SPLIT_OF:
        return [s for s in samples if splits.get(s.sha256) == SPLIT_OF[subset]]
    return [sample for sample in samples if subset in (ALL, sample.label)]


def _predict_missing(
    batch: Batch, samples: Sequence[Sample], refs: Models, settings: Settings
) -> None:
    """Offer to predict what is missing; once started, go on until all is there or a click stops."""
    place = st.empty()
    missing = batch.missing(samples, refs)
    done = len(samples) - len(missing)
    if not batch.running:
        words = f"Predict {count(len(missing), 'image')}"
        if done:
            words = f"Predict the other {len(missing):,} of {count(len(samples), 'image')}"
        icon = ":material/play_arrow:"
        if place.button(words, type="primary", icon=icon, key="many-start"):
            batch.running = True
            st.rerun()
        return
    with place.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0)
        st.button("Stop", icon=":material/stop:", key="many-stop", on_click=_stop, args=(batch,))
    start, done_before = time.monotonic(), done
    while missing:  # any click interrupts here; the next run of the page continues
        words = f"{done:,} of {count(len(samples), 'image')}"
        if done > done_before:
            left = (time.monotonic() - start) * len(missing) / (done - done_before)
            words += f" · about {duration(max(1.0, left))} left"
        bar.progress(done / len(samples), words)
        batch.predict_next(missing, refs, settings)
        missing = batch.missing(samples, refs)
        done = len(samples) - len(missing)
    batch.running = False
    place.empty()


def _stop(batch: Batch) -> None:
    batch.running = False


def _batch_head(info: RunInfo, settings: Settings) -> BatchHead:
    trained_on = frozenset(sample.sha256 for sample in list_samples(info, "train"))
    return BatchHead(label_runs(list_runs(settings))[info.id], read_classes(info), trained_on)


def _draw_accuracies(table: pd.DataFrame, heads: Sequence[BatchHead]) -> None:
    """Draw ImageNet's accuracy and the heads' on one axis, and how often they agree."""
    tone = colours()
    rows: list[tuple[str, Proportion, str]] = []
    base = compute_baseline_score(table)
    if base.images and table["imagenet_as_label"].notna().any():
        rows.append(("ImageNet alone, no head", _proportion(base), tone.pretrained))
    for number, head in enumerate(heads, start=1):
        score = compute_head_score(table, number)
        if score.images:
            name = "Your head" if number == 1 else f"Head {number}: {head.title}"
            rows.append((name, _proportion(score), tone.head))
    if rows:
        st.markdown("**Accuracy on the validation split**", help=BASELINE_HELP)
        figure = accuracy_figure(rows, tone, template())
        alt = "; ".join(f"{name}: {share.text}" for name, share, _ in rows)
        st.plotly_chart(figure, theme=None, key="many-accuracy", config=PLAIN_CHART, alt=alt)
    for note in _accuracy_notes(table, base):
        st.caption(note)


def _proportion(score: Score) -> Proportion:
    return proportion_of(score.correct, score.images)


def _accuracy_notes(table: pd.DataFrame, base: Score) -> list[str]:
    """Return what is not judged and why, and how often ImageNet and the head agree."""
    notes = []
    if table["label"].isna().all():
        notes.append("These images have no label: there is no right answer to compare with.")
    elif not table["imagenet_as_label"].notna().any():
        notes.append("Predict all images to see how accurate ImageNet's classes alone are.")
    elif base.unlabelled:
        notes.append(f"{unlabelled_note(base.unlabelled)}.")
    if "head" in table and base.images and not compute_head_score(table).images:
        notes.append(
            "Your head is not judged here: it was trained on these images, or has not learned "
            "their classes."
        )
    both = compute_agreement(table)
    if both.images:
        notes.append(
            f"Both agree on {_proportion(both).short_text} of {count(both.images, 'image')}: those "
            "for which ImageNet's class stands for one of the head's classes."
        )
    return notes


def accuracy_figure(
    rows: Sequence[tuple[str, Proportion, str]], tone: Colours, style: go.layout.Template
) -> go.Figure:
    """Accuracies with their 95% intervals on one axis from 0 to 100%.

    Args:
        rows: name, accuracy and colour of each, the first on top.
        tone: the theme's colours.
        style: the theme's template.
    """
    figure = go.Figure(layout={"template": style})
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
    """Draw how often each ImageNet class, or group, goes with each label."""
    against = "head" if "head" in table else "label"
    whose = "your head's answer" if against == "head" else "the label"
    st.caption(f"How often ImageNet's answer (a row) goes with {whose} (a column).")
    names = {"imagenet": "Classes", "group": "Groups"}
    column = st.segmented_control(
        "Rows",
        list(names),
        default="imagenet",
        format_func=names.__getitem__,
        label_visibility="collapsed",
        required=True,
        key="many-rows",
    )
    figure = heat_map(*count_pairs(table, column, against), colours(), template())
    st.plotly_chart(figure, theme=None, key="many-heat", config=PLAIN_CHART, alt="Heat map")


def heat_map(
    rows: list[str],
    columns: list[str],
    counts: np.ndarray,
    tone: Colours,
    style: go.layout.Template,
) -> go.Figure:
    """Counts as cells, darker for more, each with its number."""
    figure = go.Figure(layout={"template": style})
    figure.add_heatmap(
        z=counts,
        x=[label(name) for name in columns],
        y=rows,
        text=[[str(number) if number else "" for number in row] for row in counts],
        texttemplate="%{text}",
        colorscale=[[0, tone.line], [1, tone.pretrained]],
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{y} and %{x}: %{z}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False)
    figure.update_xaxes(side="top", automargin=True, showgrid=False)
    figure.update_layout(height=CELL * len(rows) + 60)
    return figure


def _draw_table(table: pd.DataFrame, dataset: Dataset) -> None:
    """Draw one row an image; a selected row opens its image."""
    name = dataset.name
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Select a row to open its image.")
        csv = table.map(csv_cell).to_csv(index=False).encode()
        records = table.to_json(orient="records", indent=1).encode()
        icon = ":material/download:"
        st.download_button("CSV", csv, f"{name} predictions.csv", "text/csv", icon=icon)
        st.download_button(
            "JSON", records, f"{name} predictions.json", "application/json", icon=icon
        )
    by_file = {sample.file: sample.sha256 for sample in dataset.samples}

    def open_row() -> None:
        for place in st.session_state[TABLE_KEY].selection.rows:
            _open(by_file[table["file"].iloc[place]])

    more = [column for column in map(str, table) if column.startswith("head ")]
    more = [column for column in more if "learned" not in column]
    st.dataframe(
        table,
        key=TABLE_KEY,
        on_select=open_row,
        selection_mode="single-row",
        hide_index=True,
        height=420,
        column_order=[*(column for column in COLUMNS if column in table), *more],
        column_config=COLUMNS,
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
