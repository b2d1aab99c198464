"""The Compare page for one image: the framed image, two answers, two Grad-CAM maps, details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import UNLABELLED, Dataset, Sample
from tlcore.datasets.geometry import FITS
from tlcore.errors import TLCoreError
from tlcore.models.predictions import ModelRef, Prediction
from tlcore.settings import Settings
from tlcore.training.provenance import list_samples
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs
from tlcore.ui.compare.answers import (
    calibration_expander,
    class_table,
    head_answer,
    pretrained_answer,
    threshold_expander,
)
from tlcore.ui.compare.gradcam import draw_maps
from tlcore.ui.compare.quick_train import quick_train
from tlcore.ui.compare.shapes import shapes_expander
from tlcore.ui.compare.sides import ComparedModels, choose_models
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.components.framing import draw_crop, fit_help
from tlcore.ui.components.image_picker import image_picker
from tlcore.ui.components.run_picker import describe_classes, has_unknown_label, training_images
from tlcore.ui.format import escape_md, label
from tlcore.ui.inference_requests import predict
from tlcore.ui.shell import boundary, show_error
from tlcore.ui.state import Choice, chosen
from tlcore.ui.theme import colours
from tlcore.ui.widgets import segments

SIDE = 330  # px of the longer side of the image on the page
FIT_NAMES = {"crop": "Crop", "squash": "Squash", "pad": "Pad"}
Predictions = Mapping[ModelRef, Prediction | TLCoreError]


def one_image(place: DeltaGenerator, settings: Settings) -> None:
    """Choose an image in ``place`` and draw all about it, by one request for all predictions."""
    with place:
        sample = image_picker(settings, training_images)
    dataset = open_dataset(chosen(Choice.DATASET), settings)
    with st.container(key="one-image"):
        image, left, right = st.columns(3, gap="medium")
    answers = left.container(key="answer-left"), right.container(key="answer-right")
    sides = choose_models(*answers, settings)
    with image, boundary():
        _framed_image(sample, sides, settings)
    refs = [*sides.networks, *(info.ref for info in sides.runs)]
    with answers[0]:
        predictions = dict(zip(refs, predict(sample, refs, settings), strict=True))
        for ref in sides.networks[:1]:
            _draw_network("network-0", ref, predictions)
    with answers[1], boundary():
        for info in sides.runs[:1]:
            _draw_head("head-0", info, sample, predictions, settings)
        if not sides.runs:
            quick_train(dataset, sides.networks[0] if sides.networks else None, settings)
    _draw_maps((image, left, right), sample, sides, predictions, settings)
    _draw_details(sample, dataset, sides, predictions, settings)


def _framed_image(sample: Sample, sides: ComparedModels, settings: Settings) -> None:
    """Draw the image with what the backbone sees of it, its label, and the geometry."""
    place = st.container()
    fit = segments("Geometry", list(FITS), Choice.FIT, words=FIT_NAMES.__getitem__)
    drawing, width, height = draw_crop(sample, fit, settings, colours().pretrained)
    shown = (width, height) if fit == "crop" else (1, 1)  # otherwise it is the square itself
    place.image(
        drawing,
        width=round(SIDE * shown[0] / max(shown)),
        alt=f"{sample.file}, labelled {sample.label}",
    )
    seen_as = f"{width} × {height} pixels; the network gets {sides.size} × {sides.size}.\n\n"
    place.caption(_label_text(sample, sides.runs), help=seen_as + fit_help())


def _label_text(sample: Sample, runs: Sequence[RunInfo]) -> str:
    """Return "label ants · not seen in training"."""
    named = sample.label != UNLABELLED
    text = f"label **{escape_md(label(sample.label))}**" if named else "no label"
    if not runs:
        return text
    trained = any(sample.sha256 == other.sha256 for other in list_samples(runs[0], "train"))
    return f"{text} · {'seen in training' if trained else 'not seen in training'}"


def _draw_network(key: str, ref: ModelRef, predictions: Predictions) -> None:
    prediction = predictions[ref]
    if isinstance(prediction, TLCoreError):
        show_error(prediction)
    else:
        pretrained_answer(key, prediction)


def _draw_head(
    key: str, info: RunInfo, sample: Sample, predictions: Predictions, settings: Settings
) -> None:
    prediction = predictions[info.ref]
    if isinstance(prediction, TLCoreError):
        show_error(prediction)
    else:
        head_answer(key, prediction, info, sample, settings)


def _draw_maps(
    columns: tuple[DeltaGenerator, DeltaGenerator, DeltaGenerator],
    sample: Sample,
    sides: ComparedModels,
    predictions: Predictions,
    settings: Settings,
) -> None:
    """Draw a Grad-CAM map for each model; further models below, with their answers."""
    legend, left, right = columns
    places = {}
    for number, ref in enumerate(sides.networks):
        with left:
            if number:
                st.markdown(f"**{ref.backbone}**")
                _draw_network(f"network-{number}", ref, predictions)
            places[ref] = st.container()
    titles = label_runs(list_runs(settings))
    for number, info in enumerate(sides.runs):
        with right:
            if number:
                st.markdown(f"**{escape_md(titles[info.id])}**")
                if has_unknown_label(info, sample):
                    st.caption(f":material/info: {describe_classes(info)}")
                _draw_head(f"head-{number}", info, sample, predictions, settings)
            places[info.ref] = st.container()
    predicted = {ref: one for ref, one in predictions.items() if isinstance(one, Prediction)}
    if predicted:
        draw_maps(sample, predicted, legend, places, settings)


def _draw_details(
    sample: Sample,
    dataset: Dataset,
    sides: ComparedModels,
    predictions: Predictions,
    settings: Settings,
) -> None:
    """Draw what is folded: threshold, calibration, path of shapes, all classes."""
    titles = label_runs(list_runs(settings))
    for info in sides.runs:
        head = f" of {escape_md(titles[info.id])}" if len(sides.runs) > 1 else ""
        prediction = predictions[info.ref]
        if isinstance(prediction, Prediction):
            if len(prediction.labels) == 2 and not has_unknown_label(info, sample):
                threshold_expander(prediction, info, head)
            with boundary():
                calibration_expander(info, settings, head)
    for ref in sides.networks[:1]:
        run = sides.runs[0] if sides.runs else None
        with boundary():
            shapes_expander(sample, ref, run, len(dataset.classes), settings)
        prediction = predictions[ref]
        if isinstance(prediction, Prediction):
            class_table(prediction)
