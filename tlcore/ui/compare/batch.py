"""Many images: predicted in chunks, from where an earlier click has stopped.

Predictions stay in the session under the content of the image and the model. A relabelled image
needs no new prediction; an exchanged image, a resumed run or a further head needs only its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.evaluation.batch_table import BatchHead, build_batch_table, fit_batch_baseline
from tlcore.evaluation.split_predictions import is_unchanged
from tlcore.models.predictions import BriefPrediction, ModelRef
from tlcore.settings import Settings
from tlcore.training.provenance import Splits, find_splits, list_samples, read_splits
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs
from tlcore.ui.compare.batch_results import draw_results
from tlcore.ui.compare.sides import choose_models
from tlcore.ui.components.dataset_picker import open_dataset, select_dataset
from tlcore.ui.format import duration, escape_md, label, plural
from tlcore.ui.inference_requests import predict_batch
from tlcore.ui.widgets import unique_labels

CHUNK = 32  # images a request: a stop waits for one
SUBSETS = {"/all": "all images", "/train": "training split", "/val": "validation split"}  # no class
EXCHANGED = (
    "{} is gone or has been exchanged since it was added to its dataset. Add it again on the "
    "Upload page."
)
SHOWN_ERRORS = 5  # images without prediction that are named
Models = tuple[ModelRef, ...]


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

    def stop(self) -> None:
        """Stop after the present chunk."""
        self.running = False


def many_images(place: DeltaGenerator, settings: Settings) -> None:
    """Choose images and models in ``place``, predict what is missing, and draw the results."""
    with place:
        first, second, left, right = st.columns([3, 3, 5, 5], vertical_alignment="bottom")
    with first:
        dataset = open_dataset(select_dataset(settings), settings)
    sides = choose_models(left, right, settings, one_image=False)
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
        st.caption(f":material/warning: {escape_md(error)}")
    if predictions:
        heads = [_batch_head(info, settings) for info in runs]
        train = [s for s in _unique(dataset) if splits.get(s.sha256) == "train"]
        baseline = None
        if not batch.missing(train, (network,)):
            baseline = fit_batch_baseline(batch.predictions(train, (network,))[0], splits)
        table = build_batch_table(predictions, heads, baseline, splits)
        draw_results(table, heads, dataset, settings)


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
    options = [*(SUBSETS if splits else ["/all"]), *dataset.classes]
    subset = st.selectbox(
        "Images",
        options,
        format_func=unique_labels(options, lambda name: SUBSETS.get(name) or label(name)),
        key=f"many-what-{dataset.name}",
    )
    return [
        sample
        for sample in _unique(dataset)
        if subset in ("/all", sample.label, f"/{splits.get(sample.sha256)}")
    ]


def _batch_head(info: RunInfo, settings: Settings) -> BatchHead:
    trained_on = frozenset(sample.sha256 for sample in list_samples(info, "train"))
    return BatchHead(
        label_runs(list_runs(settings))[info.id], read_splits(info.folder).classes, trained_on
    )


def _predict_missing(
    batch: Batch, samples: Sequence[Sample], refs: Models, settings: Settings
) -> None:
    """Offer to predict what is missing; once started, go on until all is there or a click stops."""
    row = st.container(horizontal=True, vertical_alignment="center")
    missing = batch.missing(samples, refs)
    done = before = len(samples) - len(missing)
    if not batch.running:
        words = f"Predict {plural(len(missing), 'image')}"
        if done:
            words = f"Predict the other {len(missing):,} of {plural(len(samples), 'image')}"
        icon = ":material/play_arrow:"
        if row.button(words, type="primary", icon=icon, key="many-start"):
            batch.running = True
            st.rerun()
        return
    with row:
        bar = st.progress(0.0)
        st.button("Stop", icon=":material/stop:", key="many-stop", on_click=batch.stop)
    start = time.monotonic()
    while missing:  # any click interrupts here; the next run of the page continues
        words = f"{done:,} of {plural(len(samples), 'image')}"
        if done > before:
            left = (time.monotonic() - start) * len(missing) / (done - before)
            words += f" · about {duration(max(1.0, left))} left"
        bar.progress(done / len(samples), words)
        batch.predict_next(missing, refs, settings)
        missing = batch.missing(samples, refs)
        done = len(samples) - len(missing)
    batch.stop()
    st.rerun()  # the page once more, without the bar
