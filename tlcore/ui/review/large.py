"""One picture large, with what is known of it, and where both networks looked."""

from __future__ import annotations

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.errors import BadImage
from tlcore.evaluation.predictions import imagenet_of
from tlcore.models.answers import Pretrained
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.compare.why import look_options, why_heads, why_networks
from tlcore.ui.seen import square
from tlcore.ui.words import plain

SIDE = 320  # px


def large(run: Run, sample: Sample, told: str, settings: Settings) -> None:
    """Show a picture and, at a click, the Grad-CAM of ImageNet's side and of the head's."""
    try:
        picture = square(sample, SIDE, run.info.config.fit, settings)
    except BadImage as fault:
        st.caption(f":material/broken_image: {plain(str(fault))}")
        return
    left, right = st.columns([3, 7], gap="medium", vertical_alignment="center")
    left.image(picture, width="stretch", alt=sample.file)
    with right:
        st.markdown(plain(told))
        st.caption(plain(sample.file))
        why = st.toggle("Where did they look?", key="review-why", help="Grad-CAM of both sides.")
    if why:
        _both(run, sample, settings)


def _both(run: Run, sample: Sample, settings: Settings) -> None:
    look = look_options()
    left, right = st.columns(2, gap="large")
    ref: Pretrained | None = imagenet_of(run.info.config, settings)
    with left:
        st.html('<p class="side pretrained">ImageNet</p>')
        if ref is None:
            st.caption("ImageNet's weights with the 1000 classes are not here.")
        else:
            why_networks(sample, [ref], look, settings)
    with right:
        st.html('<p class="side head">This head</p>')
        why_heads(sample, [run.info], look, settings)
