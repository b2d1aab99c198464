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
from tlcore.ui.widgets import select, unique_labels

SIDE = 260  # px of a map on the page
SHARPNESS = 2  # pixels drawn for each of them
BEST = "best"
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
        st.markdown("**Grad-CAM: what supports the prediction**", help=HELP)
        colours = ",".join(f"rgb({r:.0f},{g:.0f},{b:.0f})" for r, g, b in RAMP)
        st.html(
            '<div class="scale"><span>little</span><i style="background:'
            f'linear-gradient(to right,{colours})"></i><span>most</span></div>'
        )
        opacity = st.slider("Opacity of the map", 0, 100, 60, format="%d%%", key="gradcam-opacity")
        requests = _select_requests(predictions, settings)
        explanations = explain(sample, requests, settings)
        for (ref, _, _), explanation in zip(requests, explanations, strict=True):
            with places[ref]:
                if isinstance(explanation, TLCoreError):
                    show_error(explanation)
                else:
                    _draw_map(sample, explanation, opacity / 100, settings)


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
            index = parse_whole_number(choices[is_head])  # a further head may have fewer classes
            if index is None or index >= len(prediction.labels):
                index = prediction.best
            requests.append((ref, index, _select_layer(ref, settings)))
    return requests


def _select_class(is_head: bool, prediction: Prediction) -> str:
    names = {
        str(row.index): f"{label(row.label)} · {probability(row.probability)}"
        for row in prediction.ranking()
    }
    names = {BEST: f"the most probable: {label(prediction.labels[prediction.best])}"} | names
    return select(
        "Class of your head" if is_head else "Class of ImageNet",
        list(names),
        Choice.HEAD_CLASS if is_head else Choice.CLASS,
        words=names.__getitem__,
    )


def _select_layer(ref: ModelRef, settings: Settings) -> str:
    """Choose a layer of a model; "" is the last one before pooling."""
    spatial = [info.layer.name for info in list_layers(ref, settings) if info.layer.spatial]
    names = ["", *reversed(spatial)]
    return st.selectbox(
        "Layer of your head's backbone" if ref.run else f"Layer of {ref.backbone}",
        names,
        format_func=unique_labels(names, lambda name: name or "the last one before pooling"),
        key=f"gradcam-layer-{ref.run or ref.backbone}",
        help="Late layers show what a thing is, early ones where its edges are.",
    )


def _draw_map(sample: Sample, explanation: Explanation, opacity: float, settings: Settings) -> None:
    """Draw one map over the image; name the class that it explains, and where it comes from."""
    pixels = np.asarray(model_input(sample, SIDE * SHARPNESS, explanation.fit, settings))
    heat = Image.fromarray(overlay_heat(pixels, explanation.heat, opacity))
    name = label(explanation.label)
    st.image(heat, width=SIDE, alt=f"What supports {name}")
    height, width = explanation.cam.shape
    note = f" · {explanation.note}" if explanation.note else ""
    source = f"Grad-CAM of {height} × {width} places in `{explanation.layer}`{note}"
    if not explanation.cam.max() > 0:
        source = f"nothing supports this class in `{explanation.layer}`"
    st.caption(
        f"**{escape_md(name)}**, {probability(explanation.probability)} · {source}",
        help=f"Computed in {duration(explanation.seconds)}.",
    )
