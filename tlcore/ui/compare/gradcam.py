"""Grad-CAM: which places of the image support a class, one map for each model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import Sample
from tlcore.errors import TLCoreError
from tlcore.models.gradcam import RAMP, Explanation, overlay_heat
from tlcore.models.predictions import ModelRef, Prediction
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.text import parse_whole_number
from tlcore.ui.components.framing import model_input
from tlcore.ui.format import duration, escape_md, label
from tlcore.ui.inference_requests import explain, list_layers
from tlcore.ui.shell import boundary, show_error
from tlcore.ui.state import Choice
from tlcore.ui.widgets import select

SIDE = 260  # px of a map on the page
SHARPNESS = 2  # pixels drawn for each of them
BEST = "best"
OPACITY = "gradcam-opacity"  # key of the slider
DEFAULT_OPACITY = 60  # %
LAST = "the last one before pooling"
HELP = (
    "Grad-CAM weights the maps of a layer with the gradient of the class's logit. Yellow places "
    "support the class most, uncoloured ones not at all."
)


def draw_maps(
    sample: Sample,
    predictions: Mapping[ModelRef, Prediction],
    legend: DeltaGenerator,
    places: Mapping[ModelRef, DeltaGenerator],
    settings: Settings,
) -> None:
    """Draw one map for each model, all by one request, and one legend with what is adjustable.

    Args:
        sample: the image.
        predictions: of the models whose maps are drawn.
        legend: where legend, opacity and, folded, class and layers are drawn.
        places: where each model's map is drawn.
        settings: where models are.
    """
    with legend, boundary():
        _draw_legend()
        requests = _select_requests(predictions, settings)
        explanations = explain(sample, requests, settings)
        for (ref, _, _), explanation in zip(requests, explanations, strict=True):
            with places[ref]:
                if isinstance(explanation, TLCoreError):
                    show_error(explanation)
                else:
                    _draw_map(sample, explanation, settings)


def _draw_legend() -> None:
    st.markdown("**Grad-CAM: what supports the prediction**", help=HELP)
    colours = ",".join(f"rgb({r:.0f},{g:.0f},{b:.0f})" for r, g, b in RAMP)
    st.html(
        f'<div class="scale"><span>little</span><i style="background:linear-gradient(to right,'
        f'{colours})"></i><span>most</span></div>'
    )
    st.slider("Opacity of the map", 0, 100, DEFAULT_OPACITY, format="%d%%", key=OPACITY)


def _select_requests(
    predictions: Mapping[ModelRef, Prediction], settings: Settings
) -> list[tuple[ModelRef, int, str]]:
    """Choose a class for ImageNet and one for heads, and each model's layer."""
    choices: dict[bool, str] = {}  # by whether the model is a head
    requests = []
    with st.popover("Class and layer", icon=":material/tune:", type="tertiary"):
        for ref, prediction in predictions.items():
            is_head = bool(ref.run)
            if is_head not in choices:
                choices[is_head] = _select_class(is_head, prediction)
            index = class_index(choices[is_head], prediction)
            requests.append((ref, index, _select_layer(ref, settings)))
    return requests


def _select_class(is_head: bool, prediction: Prediction) -> str:
    ranking = prediction.ranking()
    names = {str(row.index): label(row.label) for row in ranking}
    shares = {str(row.index): probability(row.probability) for row in ranking}
    return select(
        "Class of your head" if is_head else "Class of ImageNet",
        [BEST, *names],
        Choice.HEAD_CLASS if is_head else Choice.CLASS,
        words=lambda key: (
            f"the most probable: {label(ranking[0].label)}"
            if key == BEST
            else f"{names[key]} · {shares[key]}"
        ),
    )


def _select_layer(ref: ModelRef, settings: Settings) -> str:
    names = [info.layer.name for info in list_layers(ref, settings) if info.layer.spatial]
    layer = st.selectbox(
        "Layer of your head's backbone" if ref.run else f"Layer of {ref.backbone}",
        [LAST, *reversed(names)],
        key=f"gradcam-layer-{ref.run or ref.backbone}",
        help="Late layers show what a thing is, early ones where its edges are.",
    )
    return "" if layer == LAST else layer


def class_index(choice: str, prediction: Prediction) -> int:
    """Return the class that a choice names; the most probable one where it names none."""
    index = parse_whole_number(choice)
    if index is not None and index < len(prediction.labels):
        return index
    return prediction.ranking(1)[0].index


def _draw_map(sample: Sample, explanation: Explanation, settings: Settings) -> None:
    """Draw one map over the image, and name the class that it explains."""
    opacity = int(st.session_state.get(OPACITY, DEFAULT_OPACITY)) / 100
    pixels = np.asarray(model_input(sample, SIDE * SHARPNESS, explanation.fit, settings))
    name = label(explanation.label)
    st.image(
        Image.fromarray(overlay_heat(pixels, explanation.heat, opacity)),
        width=SIDE,
        alt=f"What supports {name}",
    )
    st.caption(
        f"**{escape_md(name)}**, {probability(explanation.probability)} · {map_text(explanation)}",
        help=f"Computed in {duration(explanation.seconds)}.",
    )


def map_text(explanation: Explanation) -> str:
    """Return where a map comes from."""
    height, width = explanation.cam.shape
    if not explanation.cam.max() > 0:
        return f"nothing supports this class in `{explanation.layer}`"
    note = f" · {explanation.note}" if explanation.note else ""
    return f"Grad-CAM of {height} × {width} places in `{explanation.layer}`{note}"
