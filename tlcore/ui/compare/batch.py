"""Many images: predicted in chunks, from where an earlier click has stopped, and their results.

Predictions stay in the session under the content of the image and the model. A relabelled image
needs no new prediction; an exchanged image, a resumed run or a further head needs only its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.column_types import ColumnConfig

from tlcore.datasets.dataset import Sample
from tlcore.evaluation import batch_table as tables
from tlcore.evaluation.evaluation import unlabelled_note
from tlcore.evaluation.intervals import Proportion
from tlcore.evaluation.split_predictions import is_unchanged
from tlcore.models.predictions import BriefPrediction, ModelRef
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.text import csv_cell, name_download
from tlcore.training.provenance import find_splits, list_samples, read_splits
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs
from tlcore.ui.compare.sides import choose_models
from tlcore.ui.components.charts import accuracy_bars, draw_chart
from tlcore.ui.components.dataset_picker import open_dataset, select_dataset
from tlcore.ui.components.image_grid import GridImage, image_grid
from tlcore.ui.format import duration, escape_md, label, plural
from tlcore.ui.inference_requests import predict_batch
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.theme import colours
from tlcore.ui.widgets import unique_labels

CHUNK = 32  # images a request: a stop waits for one
SUBSETS = {"/all": "all images", "/train": "training split", "/val": "validation split"}  # no class
EXCHANGED = (
    "{} is gone or has been exchanged since it was added to its dataset. Add it again on the "
    "Upload page."
)
SHOWN_ERRORS = 5  # images without prediction that are named
SHOWN_DISAGREEMENTS = 12
THUMBNAIL = 146  # px
CELL = 30  # px of a row of the heat map
BASELINE_HELP = (
    "Each ImageNet class stands for the label that it goes with most often in the training split, "
    "a class that does not occur there for the label of its group (dogs, birds, vehicles …)."
)
share_column = partial(st.column_config.ProgressColumn, format="percent", min_value=0, max_value=1)
COLUMNS: dict[str, str | ColumnConfig] = {
    "file": "Image",
    "label": "Label",
    "imagenet": "ImageNet",
    "imagenet_probability": share_column("Probability (ImageNet)"),
    "head": "Your head",
    "head_probability": share_column("Probability (head)"),
    "head_correct": "Right",
    "agree": "Agree",
    "disagreement": share_column("Disagreement"),
    "group": "Group",
    "split": "Split",
}
Results = dict[tuple[str, ModelRef], BriefPrediction | str]  # by sha256 and model; or why none


def many_images(place: DeltaGenerator, settings: Settings) -> None:
    """Choose images and models in ``place``, predict what is missing, and draw the results."""
    with place:
        first, second, left, right = st.columns([3, 3, 5, 5], vertical_alignment="bottom")
    with first:
        dataset = open_dataset(select_dataset(settings), settings)
    networks, runs = choose_models(left, right, settings, one_image=False)
    if not networks:
        return
    splits = find_splits(dataset, runs[0] if runs else None) if len(dataset.classes) > 1 else {}
    images = list({each.sha256: each for each in reversed(dataset.samples)}.values())[::-1]
    parts = {each.sha256: f"/{splits.get(each.sha256)}" for each in images}
    options = [*(SUBSETS if splits else ["/all"]), *dataset.classes]
    part = second.selectbox(
        "Images",
        options,
        format_func=unique_labels(options, lambda name: SUBSETS.get(name) or label(name)),
        key=f"many-what-{dataset.name}",
    )
    samples = [each for each in images if part in ("/all", each.label, parts[each.sha256])]
    refs = [networks[0], *(info.ref for info in runs)]
    results: Results = st.session_state.setdefault("_batch", {})
    _predict_missing(results, samples, refs, settings)
    found = [results.get((one.sha256, ref)) for one in samples for ref in refs]
    for error in list(dict.fromkeys(one for one in found if isinstance(one, str)))[:SHOWN_ERRORS]:
        st.caption(f":material/warning: {escape_md(error)}")
    predictions = _predictions(results, samples, refs)
    if predictions:
        heads = [_batch_head(info, settings) for info in runs]
        train = [each for each in images if parts[each.sha256] == "/train"]
        baseline = None
        if not _missing(results, train, refs[:1]):
            known = _predictions(results, train, refs[:1])
            baseline = tables.fit_batch_baseline(known, splits)
        table = tables.build_batch_table(predictions, heads, baseline, splits)
        shown = [sample for sample, _ in predictions]  # the table's index counts them
        _draw_accuracies(table, heads)
        disagreements, pairs, rows = st.tabs(["Disagreements", "Class by class", "Every image"])
        with disagreements:
            _draw_disagreements(table, shown, settings)
        with pairs:
            _draw_pairs(table)
        with rows:
            _draw_table(table, shown)


def _missing(results: Results, samples: Sequence[Sample], refs: Sequence[ModelRef]) -> list[Sample]:
    return [one for one in samples if any((one.sha256, ref) not in results for ref in refs)]


def _predictions(
    results: Results, samples: Sequence[Sample], refs: Sequence[ModelRef]
) -> list[tuple[Sample, tuple[BriefPrediction, ...]]]:
    """Return the images with the predictions of all models; those that lack one are left out."""
    rows = []
    for sample in samples:
        row = [results.get((sample.sha256, ref)) for ref in refs]
        predictions = tuple(one for one in row if isinstance(one, BriefPrediction))
        if len(predictions) == len(refs):
            rows.append((sample, predictions))
    return rows


def _predict_missing(
    results: Results, samples: Sequence[Sample], refs: Sequence[ModelRef], settings: Settings
) -> None:
    """Offer to predict what is missing; any click interrupts it, and nothing is lost."""
    missing = _missing(results, samples, refs)
    if not missing:
        return
    place = st.empty()
    images, before = plural(len(samples), "image"), len(samples) - len(missing)
    words = f"Predict the other {len(missing):,} of {images}" if before else f"Predict {images}"
    if not place.button(words, type="primary", icon=":material/play_arrow:", key="many-start"):
        return
    with place.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0)
        st.button("Stop", icon=":material/stop:", key="many-stop")
    start = time.monotonic()
    while missing:
        done = len(samples) - len(missing)
        words = f"{done:,} of {images} · any click stops it, nothing is lost"
        if done > before:
            left = (time.monotonic() - start) * len(missing) / (done - before)
            words += f" · about {duration(max(1.0, left))} left"
        bar.progress(done / len(samples), words)
        _predict_next(results, missing[:CHUNK], refs, settings)
        missing = _missing(results, samples, refs)
    place.empty()


def _predict_next(
    results: Results, samples: Sequence[Sample], refs: Sequence[ModelRef], settings: Settings
) -> None:
    """Predict these images with the models that have no result for one of them."""
    lacking = [ref for ref in refs if any((one.sha256, ref) not in results for one in samples)]
    present = [sample for sample in samples if is_unchanged(sample)]
    rows = predict_batch([one.path for one in present], lacking, settings) if present else []
    row_of = dict(zip([one.sha256 for one in present], rows, strict=True))
    for sample in samples:
        row = row_of.get(sample.sha256, EXCHANGED.format(sample.file))
        for number, ref in enumerate(lacking):
            results[sample.sha256, ref] = row if isinstance(row, str) else row[number]


def _batch_head(info: RunInfo, settings: Settings) -> tables.BatchHead:
    learned = frozenset(sample.sha256 for sample in list_samples(info, "train"))
    title = label_runs(list_runs(settings))[info.id]
    return tables.BatchHead(title, read_splits(info.folder).classes, learned)


def _draw_accuracies(table: pd.DataFrame, heads: Sequence[tables.BatchHead]) -> None:
    """Draw ImageNet's accuracy and the heads' on one axis, and how often they agree."""
    rows: list[tuple[str, Proportion, str]] = []
    base = tables.compute_baseline_score(table)
    if base and table["imagenet_as_label"].notna().any():
        rows.append(("ImageNet alone, no head", base, colours().pretrained))
    for number, head in enumerate(heads, start=1):
        score = tables.compute_head_score(table, number)
        if score:
            name = "Your head" if number == 1 else f"Head {number}: {head.title}"
            rows.append((name, score, colours().head))
    if rows:
        st.markdown("**Accuracy on the validation split**", help=BASELINE_HELP)
        alt = "; ".join(f"{name}: {share.text}" for name, share, _ in rows)
        draw_chart(accuracy_bars(rows), "many-accuracy", alt)
    _draw_notes(table, base)


def _draw_notes(table: pd.DataFrame, base: Proportion | None) -> None:
    """Say what is not judged and why, and how often ImageNet and the head agree."""
    if table["label"].isna().all():
        st.caption("These images have no label, so no accuracy can be computed.")
    elif not table["imagenet_as_label"].notna().any():
        st.caption("Predict all images to see how accurate ImageNet's classes alone are.")
    elif unlabelled := tables.count_unlabelled(table):
        st.caption(f"{unlabelled_note(unlabelled)}.")
    if "head" in table and base and not tables.compute_head_score(table):
        st.caption(
            "Your head is not evaluated here: it was trained on these images, or has not learned "
            "their classes."
        )
    both = tables.compute_agreement(table)
    if both:
        st.caption(
            f"Both agree on {both.short_text} of {plural(both.images, 'image')}: those "
            "for which ImageNet's class stands for one of the head's classes."
        )


def _draw_disagreements(table: pd.DataFrame, samples: Sequence[Sample], settings: Settings) -> None:
    """Draw the images on which both are surest and differ; a click opens one."""
    if "disagreement" not in table or not (table["disagreement"] > 0).any():
        st.caption("No disagreement among these images.")
        return
    images = []
    row: Any
    for row in table[table["disagreement"] > 0].head(SHOWN_DISAGREEMENTS).itertuples():
        caption = (
            f"label: {label(row.label) if row.label else 'none'}\n"
            f"ImageNet: {row.imagenet} {probability(row.imagenet_probability)}\n"
            f"yours: {label(row.head)} {probability(row.head_probability)}"
        )
        sample = samples[row.Index]
        images.append(GridImage(sample.sha256, sample, sample.file, caption))
    st.caption("Click an image to see it large, with both answers.")
    image_grid(images, settings, key="disagreements", on_select=_open, size=THUMBNAIL)


def _open(ids: Sequence[str]) -> None:
    """Show the first of these images by itself."""
    choose(Choice.IMAGE, ids[0])
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
    rows, columns, counts = tables.count_pairs(table, column, against)
    figure = go.Figure()
    figure.add_heatmap(
        z=counts,
        x=[label(name) for name in columns],
        y=rows,
        text=[[str(number) if number else "" for number in row] for row in counts],
        texttemplate="%{text}",
        colorscale=[[0, colours().line], [1, colours().frozen]],
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{y} and %{x}: %{z}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False)
    figure.update_xaxes(side="top", automargin=True, showgrid=False)
    figure.update_layout(height=CELL * len(rows) + 60)
    draw_chart(figure, "many-heat", "Heat map")


def _draw_table(table: pd.DataFrame, samples: Sequence[Sample]) -> None:
    """Draw one row an image; a selected row opens its image."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Select a row to open its image.")
        csv = table.map(csv_cell).to_csv(index=False).encode()
        records = table.to_json(orient="records", indent=1).encode()
        for name, data, mime in (("CSV", csv, "text/csv"), ("JSON", records, "application/json")):
            file = name_download(chosen(Choice.DATASET), f"predictions.{name.lower()}")
            st.download_button(name, data, file, mime, icon=":material/download:")

    def open_row() -> None:
        for place in st.session_state["many-table"].selection.rows:
            _open([samples[table.index[place]].sha256])

    further = [
        name for name in map(str, table) if name.startswith("head ") and "learned" not in name
    ]
    st.dataframe(
        table,
        key="many-table",
        on_select=open_row,
        selection_mode="single-row",
        hide_index=True,
        height=420,
        column_order=[*(name for name in COLUMNS if name in table), *further],
        column_config=COLUMNS,
    )
