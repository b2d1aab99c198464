"""Images of a view: a grid in which one selects, corrections, and the last selected one large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import Sample
from tlcore.errors import BadImage, TLCoreError
from tlcore.evaluation.corrections import load_run_dataset
from tlcore.evaluation.split_predictions import imagenet_ref
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.compare.gradcam import draw_maps
from tlcore.ui.components.framing import model_input
from tlcore.ui.components.image_grid import GridImage, select_images
from tlcore.ui.evaluation.corrections import change_since_run, correction_bar
from tlcore.ui.format import escape_md
from tlcore.ui.inference_requests import predict
from tlcore.ui.shell import COMPARE

SIDE = 320  # px of the large image


def selectable_images(
    run: Run,
    name: str,
    samples: Sequence[Sample],
    titles: Mapping[str, str],
    settings: Settings,
    *,
    selected: Sequence[Sample] = (),
    captions: Mapping[str, str] = MappingProxyType({}),
    below: DeltaGenerator | None = None,
) -> None:
    """Draw an image grid, the corrections of the selected images, and the last one large.

    Args:
        run: the run that classified the images.
        name: of the list of images; the selection is kept under it.
        samples: the images, in the order in which they are drawn.
        titles: one sentence on each image by its key.
        settings: the workspace.
        selected: the selection until an image is clicked.
        captions: a few words below the thumbnails, by the same keys.
        below: container of the large image; None for the place under the grid.
    """
    state = load_run_dataset(run.info, settings)
    by_key = {sample.key: sample for sample in samples}
    images, words = [], {}
    for key, sample in by_key.items():
        change = change_since_run(sample, state)
        words[key] = f"{titles[key]} ({change})" if change else titles[key]
        images.append(GridImage(key, sample, words[key], captions.get(key, ""), bool(change)))
    keys = select_images(name, images, settings) or [sample.key for sample in selected]
    correction_bar(run, [by_key[key] for key in keys], name, settings)
    if keys:
        with below or st.container():
            _draw_large(run, by_key[keys[-1]], words[keys[-1]], settings)


def _draw_large(run: Run, sample: Sample, caption: str, settings: Settings) -> None:
    """Draw an image large and, behind a switch, Grad-CAM of the pretrained network and the head."""
    try:
        image = model_input(sample, SIDE, run.info.config.fit, settings)
    except BadImage as error:
        st.caption(f":material/broken_image: {escape_md(str(error))}")
        return
    left, right = st.columns([3, 7], gap="medium", vertical_alignment="center")
    left.image(image, width="stretch", alt=sample.file)
    with right:
        st.markdown(escape_md(caption))
        st.caption(escape_md(sample.file))
        st.page_link(
            COMPARE.file,
            label="Open in Compare",
            icon=COMPARE.icon,
            query_params={
                "run": run.info.id,
                "dataset": run.info.config.dataset,
                "image": sample.sha256,
            },
        )
        show_gradcam = st.toggle(
            "Show what supports it",
            key="show-gradcam",
            help="Which places of the image support the class, for both models.",
        )
    if show_gradcam:
        _draw_gradcam(run, sample, settings)


def _draw_gradcam(run: Run, sample: Sample, settings: Settings) -> None:
    pretrained = imagenet_ref(run.info.config, settings)
    legend, left, right = st.columns([3, 4, 4], gap="medium")
    left.html('<p class="side pretrained">ImageNet</p>')
    right.html('<p class="side head">This run</p>')
    places = {run.info.ref: right} | ({pretrained: left} if pretrained else {})
    if pretrained is None:
        left.caption("ImageNet's weights with the 1000 classes are not on this machine.")
    predictions = zip(places, predict(sample, list(places), settings), strict=True)
    usable = {ref: each for ref, each in predictions if not isinstance(each, TLCoreError)}
    draw_maps(sample, usable, legend, places, settings)
