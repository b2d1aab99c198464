"""Why: where each side looked for a class, both maps over the same image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

from tlcore.datasets.dataset import Sample
from tlcore.models.predictions import Explanation, ModelRef, Prediction, overlay
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.text import whole_number
from tlcore.training.run import RunInfo
from tlcore.ui.components.framing import square
from tlcore.ui.components.run_picker import further_title
from tlcore.ui.format import duration, label, plain
from tlcore.ui.questions import explain, list_layers, predict
from tlcore.ui.state import Choice
from tlcore.ui.widgets import select

SIDE = 448  # px of the image under the map
BEST = "best"
DEFAULT_OPACITY = 60  # %
LAST = "the last one before pooling"


@dataclass(frozen=True)
class Look:
    """How the maps are drawn."""

    opacity: float  # 0…1


def look_options() -> Look:
    """The slider for both maps."""
    opacity = st.slider(
        "Colour over the image",
        0,
        100,
        DEFAULT_OPACITY,
        format="%d%%",
        key="why-opacity",
        help="Grad-CAM: yellow places spoke most for the class, uncoloured ones not at all.",
    )
    return Look(opacity / 100)


def why_networks(
    sample: Sample, refs: list[ModelRef], look: Look, settings: Settings
) -> list[Prediction]:
    """Draw each pretrained network's map for the chosen ImageNet class."""
    answers = []
    for place, ref in enumerate(refs):
        answer = predict(sample, ref, settings)
        if not place:
            chosen = _class("Its reason for", answer, Choice.CLASS)
        else:
            st.markdown(f"**{ref.backbone}**")
        index = _index(chosen, answer)
        _draw(sample, ref, index, f"why-net-{place}", look, settings)
        answers.append(answer)
    return answers


def why_heads(sample: Sample, runs: list[RunInfo], look: Look, settings: Settings) -> None:
    """Draw each head's map for the chosen class of its own."""
    for place, info in enumerate(runs):
        ref = info.ref
        answer = predict(sample, ref, settings)
        if not place:
            chosen = _class("Its reason for", answer, Choice.HEAD_CLASS)
        else:
            further_title(info, sample, settings)
        _draw(sample, ref, _index(chosen, answer), f"why-head-{place}", look, settings)


def _class(title: str, answer: Prediction, choice: Choice) -> str:
    ranking = answer.ranking()
    names = {str(row.index): label(row.label) for row in ranking}
    shares = {str(row.index): probability(row.probability) for row in ranking}
    best = label(ranking[0].label)
    return select(
        title,
        [BEST, *names],
        choice,
        words=lambda key: (
            f"its first choice: {best}" if key == BEST else f"{names[key]} · {shares[key]}"
        ),
    )


def _index(chosen: str, answer: Prediction) -> int:
    index = whole_number(chosen)
    if index is not None and index < len(answer.labels):
        return index
    return answer.ranking(1)[0].index


def _draw(
    sample: Sample, ref: ModelRef, index: int, key: str, look: Look, settings: Settings
) -> None:
    layer = _layer(ref, key, settings)
    found = explain(sample, ref, index, layer, settings)
    image = Image.fromarray(
        overlay(np.asarray(square(sample, SIDE, found.fit, settings)), found.heat, look.opacity)
    )
    side = "orange" if found.source == "run" else "blue"
    what = label(found.label)
    st.image(image, width="stretch", alt=f"Where the network looked for {what}")
    st.markdown(f":{side}[●] **{plain(what)}**, {probability(found.probability)}")
    st.caption(_words(found))


def _layer(ref: ModelRef, key: str, settings: Settings) -> str:
    """The layer that is looked at, folded away; "" for the last one."""
    with st.popover("Layer", icon=":material/layers:", type="tertiary"):
        names = [place.layer.name for place in list_layers(ref, settings) if place.layer.spatial]
        picked = st.selectbox(
            "Look at the maps of",
            [LAST, *reversed(names)],
            key=f"{key}-layer",
            help="Later layers know what a thing is, earlier ones where its edges are.",
        )
    return "" if picked == LAST else picked


def _words(found: Explanation) -> str:
    height, width = found.cam.shape
    if not found.cam.max() > 0:
        return "Nothing in the image speaks for this class in this layer."
    note = f" {found.note[:1].upper()}{found.note[1:]}." if found.note else ""
    return (
        f"Grad-CAM of {height} × {width} places in `{found.layer}`, in "
        f"{duration(found.seconds)}.{note}"
    )
