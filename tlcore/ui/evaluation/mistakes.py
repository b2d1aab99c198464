"""The images that a view has found: chosen by a click, mended, and the last one seen large."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import Sample
from tlcore.errors import BadImage
from tlcore.evaluation.corrections import load_run_dataset
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.metrics import list_cell
from tlcore.evaluation.predictions import SplitPredictions, imagenet_ref
from tlcore.models.predictions import ModelRef, Prediction
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.compare.gradcam import draw_maps
from tlcore.ui.components.clickable import clickable
from tlcore.ui.components.framing import square
from tlcore.ui.components.image_grid import Told, faces
from tlcore.ui.evaluation.corrections import now, repair
from tlcore.ui.evaluation.metrics import MOST, choose_part, matrix_html
from tlcore.ui.format import count, label, plain
from tlcore.ui.questions import evaluate_run, predict
from tlcore.ui.widgets import distinct


def images(
    run: Run,
    place: str,
    samples: Sequence[Sample],
    words: Callable[[Sample], str],
    settings: Settings,
    *,
    chosen: Sequence[Sample] = (),
    below: DeltaGenerator | None = None,
) -> None:
    """Show thumbnails, what can be done with the chosen ones, and the last click large.

    Args:
        run: whose images they are.
        place: name of what is shown; another name begins with nothing chosen.
        samples: all of them, in their order.
        words: what is said of one of them.
        settings: where their set lies.
        chosen: those that count as chosen until one is clicked.
        below: where the large image goes; without it under the thumbnails.
    """
    state = load_run_dataset(run.info, settings)
    told = {sample.key: Told(words(sample), now(sample, state)) for sample in samples}
    picked = faces(place, samples, told, settings) or list(chosen)
    repair(run, picked, settings)
    if picked:
        with below or st.container():
            large(run, picked[-1], told[picked[-1].key].whole, settings)


# One image large, with what is known of it, and where both networks looked.


SIDE = 320  # px


def large(run: Run, sample: Sample, told: str, settings: Settings) -> None:
    """Show an image and, at a click, the Grad-CAM of ImageNet's side and of the head's."""
    try:
        image = square(sample, SIDE, run.info.config.fit, settings)
    except BadImage as fault:
        st.caption(f":material/broken_image: {plain(str(fault))}")
        return
    left, right = st.columns([3, 7], gap="medium", vertical_alignment="center")
    left.image(image, width="stretch", alt=sample.file)
    with right:
        st.markdown(plain(told))
        st.caption(plain(sample.file))
        why = st.toggle("Where did they look?", key="review-why", help="Grad-CAM of both sides.")
    if why:
        _both(run, sample, settings)


def _both(run: Run, sample: Sample, settings: Settings) -> None:
    """Draw where ImageNet's network and this head find their answer to one image."""
    ref: ModelRef | None = imagenet_ref(run.info.config, settings)
    refs = [run.info.ref] if ref is None else [ref, run.info.ref]
    legend = st.container()
    left, right = st.columns(2, gap="large")
    left.html('<p class="side pretrained">ImageNet</p>')
    right.html('<p class="side head">This head</p>')
    if ref is None:
        left.caption("ImageNet's weights with the 1000 classes are not here.")
    predictions = dict(zip(refs, predict(sample, refs, settings), strict=True))
    predicted = {ref: one for ref, one in predictions.items() if isinstance(one, Prediction)}
    places = {ref: right if ref.run else left for ref in refs}
    draw_maps(sample, predicted, legend, places, settings)


# From a cell of the confusion matrix to its images, worst first, and to their repair.


def mistakes_view(run: Run, settings: Settings) -> None:
    """The matrix, the cell that is looked at, its images and what can be done with them."""
    part = choose_part(run, settings)
    found, judged = evaluate_run(run.info.id, part, settings)
    left, right = st.columns([5, 7], gap="large")
    with left:
        true, said = _matrix(found, f"cell-{run.info.id}-{part}")
    below = st.container()
    with right:
        st.markdown(_title(found, true, said))
        here = {
            judged.samples[place].key: place for place in list_cell(judged, true, said).tolist()
        }
        images(
            run,
            f"{run.info.id}-{judged.split}-{true}-{said}",
            [judged.samples[place] for place in here.values()],
            lambda sample: _told(judged, here[sample.key]),
            settings,
            below=below,
        )


def _matrix(found: Evaluation, key: str) -> tuple[int, int]:
    """Let the person choose a cell, by a click or from the list."""
    place = st.container()
    true, said = _cell_select(found, key)
    with place:
        clickable(
            matrix_html(found, (true, said)),
            key=f"matrix-{key}",
            on_pick=lambda name: st.session_state.update({key: name}),
        )
        few = f"the {MOST} classes with the most mistakes, " if len(found.classes) > MOST else ""
        st.caption(f"Rows: {few}as labelled. Columns: what the head says. Click a cell.")
    return true, said


def _cell_select(found: Evaluation, key: str) -> tuple[int, int]:
    """The cells that hold images as a list, mistakes first: the same choice by keyboard."""
    cells = {
        f"{true}-{said}": (true, said)
        for true, row in enumerate(found.confusion_matrix)
        for said, number in enumerate(row)
        if number
    }
    order = sorted(cells, key=lambda name: _order(found, *cells[name]))
    if st.session_state.get(key) not in cells:
        st.session_state[key] = order[0]
    name = st.selectbox(
        "Images that are",
        order,
        format_func=distinct(order, lambda name: _words(found, *cells[name])),
        key=key,
    )
    return cells[name]


def _order(found: Evaluation, true: int, said: int) -> tuple[bool, int]:
    return true == said, -found.confusion_matrix[true][said]


def _words(found: Evaluation, true: int, said: int) -> str:
    own, other = label(found.classes[true]), label(found.classes[said])
    how = "and recognised" if true == said else f"and called {other}"
    return f"{own} {how}: {found.confusion_matrix[true][said]:,}"


def _title(found: Evaluation, true: int, said: int) -> str:
    number = found.confusion_matrix[true][said]
    own, other = plain(label(found.classes[true])), plain(label(found.classes[said]))
    if true == said:
        return f"**{count(number, 'image')} of {own} recognised**, the least sure first"
    return f"**{count(number, 'image')} of {own} called {other}**, the surest mistakes first"


def _told(judged: SplitPredictions, place: int) -> str:
    answer = label(judged.classes[int(judged.predicted[place])])
    return (
        f"Labelled {label(judged.samples[place].label)}; the head says {answer} with "
        f"{probability(float(judged.confidence[place]))}"
    )
