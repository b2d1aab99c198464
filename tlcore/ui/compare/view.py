"""The Compare page for one image: the framed image, two answers, two Grad-CAM maps, details."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import UNLABELLED, Dataset, Sample
from tlcore.datasets.geometry import FITS
from tlcore.datasets.sample_dataset import dataset_title
from tlcore.models.predictions import ModelRef, Prediction
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.provenance import list_samples
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs, load_run, load_run_info
from tlcore.ui.compare import answers
from tlcore.ui.compare.gradcam import draw_maps
from tlcore.ui.compare.shapes import shapes_expander, summary_expander
from tlcore.ui.compare.sides import choose_models
from tlcore.ui.components import run_picker
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.components.framing import LONG_SIDE, draw_crop, fit_help
from tlcore.ui.components.image_picker import image_picker
from tlcore.ui.components.live import live
from tlcore.ui.components.run_progress import count_runs_before, describe_progress
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.inference_requests import predict
from tlcore.ui.services import start_run_once
from tlcore.ui.shell import FINE_TUNE, UPLOAD, boundary
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.theme import LIGHT
from tlcore.ui.widgets import segments

FIT_NAMES = {"crop": "Crop", "squash": "Squash", "pad": "Pad"}
NAMED = 5  # classes


def one_image(place: DeltaGenerator, settings: Settings) -> None:
    """Choose an image in ``place`` and draw all about it, by one request for all predictions."""
    with place:
        sample = image_picker(settings, run_picker.training_images)
    dataset = open_dataset(chosen(Choice.DATASET), settings)
    with st.container(key="one-image"):
        image, left, right = st.columns(3, gap="medium")
    tops = left.container(key="answer-left"), right.container(key="answer-right")
    networks, runs = choose_models(*tops, settings)
    with image, boundary():
        _framed_image(sample, networks, runs, settings)
    refs = [*networks, *(info.ref for info in runs)]
    with tops[0]:
        predictions = dict(zip(refs, predict(sample, refs, settings), strict=True))
    labels = label_runs(list_runs(settings))
    titles = {info.ref: escape_md(labels[info.id]) for info in runs}
    sides = (
        (left, tops[0], [(ref, None, ref.backbone) for ref in networks]),
        (right, tops[1], [(info.ref, info, titles[info.ref]) for info in runs]),
    )
    places = {}  # of the maps
    for column, top, models in sides:
        for number, (ref, info, title) in enumerate(models):
            with column if number else top, boundary():
                answers.draw_answer(predictions[ref], info, title if number else "", sample)
            places[ref] = column.container()
    if not runs:
        with tops[1], boundary():
            _quick_train(dataset, networks[0] if networks else None, settings)
    predicted = {ref: one for ref, one in predictions.items() if isinstance(one, Prediction)}
    if predicted:
        draw_maps(sample, predicted, image, places, settings)
    for info in runs:
        name = f" of {titles[info.ref]}" if len(runs) > 1 else ""
        if info.ref in predicted:
            answers.head_expanders(predicted[info.ref], info, name, sample, settings)
    for ref in networks[:1]:
        with boundary():
            run = next(iter(runs), None)
            shapes_expander(sample, ref, run, len(dataset.classes), settings)
            summary_expander(ref, run, settings)
        if ref in predicted:
            answers.class_table(predicted[ref])


def _framed_image(
    sample: Sample, networks: Sequence[ModelRef], runs: Sequence[RunInfo], settings: Settings
) -> None:
    """Draw the image with what the backbone sees of it, its label, and the geometry."""
    place = st.container()
    fit = segments("Geometry", list(FITS), Choice.FIT, words=FIT_NAMES.__getitem__)
    drawing, width, height = draw_crop(sample, fit, settings, LIGHT.text)
    shown = (width, height) if fit == "crop" else (1, 1)  # otherwise it is the square itself
    place.image(
        drawing,
        width=round(LONG_SIDE * shown[0] / max(shown)),
        alt=f"{sample.file}, labelled {sample.label}",
    )
    seen_as = f"{width} × {height} pixels"
    if networks:
        seen_as += f"; the network gets {networks[0].size} × {networks[0].size}"
    text = "no label"
    if sample.label != UNLABELLED:
        text = f"label **{escape_md(label(sample.label))}**"
    if runs:
        trained = any(sample.sha256 == other.sha256 for other in list_samples(runs[0], "train"))
        text += f" · {'seen in training' if trained else 'not seen in training'}"
    place.caption(text, help=f"{seen_as}.\n\n{fit_help()}")
    others = sorted({info.config.fit for info in runs} - {fit})
    if networks and others:
        st.caption(
            f"ImageNet's network gets this framing. Your head was trained with *{others[0]}* and "
            "gets that: the two maps show different parts of the image."
        )


def _quick_train(dataset: Dataset, ref: ModelRef | None, settings: Settings) -> None:
    """No head yet: offer to train one on this dataset with one click, or show how far it is."""
    _check_end(settings)
    run = chosen(Choice.QUICK_RUN)
    if run:
        live(lambda: load_run_info(run, settings).active, lambda: _draw_progress(run, settings))
        return
    with st.container(border=True):
        st.markdown(f"**No head yet for “{escape_md(dataset_title(dataset.name))}”.**")
        if len(dataset.classes) < 2:
            st.markdown("Training needs two classes: label images, or add some of another class.")
        elif ref is None:
            st.markdown("Its answer appears here, on the same scale, once one has been trained.")
        else:
            _offer_training(dataset, ref, settings)
        st.page_link(FINE_TUNE.file, label="Choose the training options", icon=FINE_TUNE.icon)
        st.page_link(UPLOAD.file, label="Upload your own images first", icon=UPLOAD.icon)


def _offer_training(dataset: Dataset, ref: ModelRef, settings: Settings) -> None:
    names = ", ".join(label(name) for name in dataset.classes[:NAMED])
    more = " …" if len(dataset.classes) > NAMED else ""
    st.markdown(
        f"It has {plural(len(dataset.samples), 'image')} of {escape_md(names)}{more}. The backbone "
        "stays frozen and only a small head is trained: about half a minute."
    )
    words = f"Train on these {len(dataset.classes)} classes"
    if st.button(words, type="primary", icon=":material/school:", key="quick-train"):
        config = RunConfig(
            dataset=dataset.name, backbone=ref.backbone, size=ref.size, random_weights=ref.random
        )
        choose(Choice.QUICK_RUN, start_run_once(config, settings))
        st.rerun()


def _check_end(settings: Settings) -> None:
    """Once the run has ended, propose its head; one that failed may be tried again."""
    run = chosen(Choice.QUICK_RUN)
    info = next((info for info in list_runs(settings) if info.id == run), None)
    if info is not None and info.active:
        return
    choose(Choice.QUICK_RUN, "")
    if info is not None and info.model:
        run_picker.propose_head(run)
        st.rerun()
    if info is not None and info.error:
        st.warning(escape_md(info.error), icon=":material/error:")


def _draw_progress(run: str, settings: Settings) -> None:
    share, words = describe_progress(load_run(run, settings), count_runs_before(run, settings))
    st.progress(share, text=words)
    st.page_link(
        FINE_TUNE.file,
        label="Watch its curves",
        icon=FINE_TUNE.icon,
        query_params={"run": run, "view": "curves"},
    )
