"""Which places of the image support a class, one map for each model: exact, or by Grad-CAM."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import Sample
from tlcore.errors import TLCoreError
from tlcore.models.gradcam import RAMP, SIGNED, Explanation, overlay_heat
from tlcore.models.predictions import ModelRef, Prediction
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.text import parse_whole_number
from tlcore.ui.components.framing import model_input
from tlcore.ui.format import duration, escape_md, label
from tlcore.ui.inference_requests import explain, list_layers
from tlcore.ui.shell import boundary, show_error
from tlcore.ui.state import Choice, chosen
from tlcore.ui.widgets import select, unique_labels

SIDE = 260  # px of a map on the page
BEST = "best"
EXACT = "What adds up to the answer"
EXACT_HELP = (
    "These networks end in average pooling and one dense layer: the logit of a class is exactly "
    "the sum of what each cell of the last feature maps contributes, plus a bias. Softmax or "
    "sigmoid turns logits into probabilities. Both maps have one scale."
)
GRADCAM = "Grad-CAM: where, not how much"
GRADCAM_HELP = (
    "Grad-CAM weights the maps of a layer with the gradient of the class's logit. Yellow places "
    "support the class most, uncoloured ones not at all. Each map is scaled to its own maximum: it "
    "shows where, not how much."
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
        top = st.container()
        opacity = st.slider("Opacity of the map", 0, 100, 60, format="%d%%", key="gradcam-opacity")
        requests = _select_requests(predictions, settings)
        explanations = explain(sample, requests, settings)
        shown = [each for each in explanations if isinstance(each, Explanation)]
        exact = [each.contributions for each in shown if each.contributions is not None]
        reach = max([float(np.abs(each).max()) for each in exact], default=0.0)
        with top:
            _draw_legends(reach, len(exact), len(shown))
        several = len({each.fit for each in shown}) > 1
        for (ref, _, _), explanation in zip(requests, explanations, strict=True):
            with places[ref]:
                if isinstance(explanation, TLCoreError):
                    show_error(explanation)
                else:
                    framing = f" · {explanation.fit}" if several else ""
                    _draw_map(sample, explanation, opacity / 100, reach, framing, settings)


def _draw_legends(reach: float, exact: int, shown: int) -> None:
    """Draw the scale of the exact maps in logits, and that of Grad-CAM, if there are such maps."""
    legends = (
        (exact > 0, EXACT, EXACT_HELP, SIGNED, (f"−{reach:.2g} against", f"for +{reach:.2g}")),
        (shown > exact, GRADCAM, GRADCAM_HELP, RAMP, ("little", "most")),
    )
    for is_used, title, help, ramp, (low, high) in legends:
        if is_used:
            colours = ",".join(f"rgb({r:.0f},{g:.0f},{b:.0f})" for r, g, b in ramp)
            st.markdown(f"**{title}**", help=help)
            st.html(
                f'<div class="scale"><span>{low}</span><i style="background:'
                f'linear-gradient(to right,{colours})"></i><span>{high}</span></div>'
            )


def _select_requests(
    predictions: Mapping[ModelRef, Prediction], settings: Settings
) -> list[tuple[ModelRef, int, str]]:
    """Choose a class for ImageNet and one for heads, and each model's layer."""
    box = st.expander(  # beside the maps
        "Class and layer", icon=":material/tune:", key="class-and-layer", on_change="rerun"
    )
    requests, drawn = [], set[bool]()
    with box:
        for ref, prediction in predictions.items():
            is_head = bool(ref.run)
            if box.open and is_head not in drawn:
                _select_class(is_head, prediction)
            drawn.add(is_head)
            index = parse_whole_number(chosen(Choice.HEAD_CLASS if is_head else Choice.CLASS))
            if index is None or index >= len(prediction.labels):  # a further head may have fewer
                index = prediction.best
            requests.append((ref, index, _select_layer(ref, bool(box.open), settings)))
    return requests


def _select_class(is_head: bool, prediction: Prediction) -> None:
    names = {
        str(row.index): f"{label(row.label)} · {probability(row.probability)}"
        for row in prediction.ranking()
    }
    names = {BEST: f"the most probable: {label(prediction.labels[prediction.best])}"} | names
    select(
        "Class of your head" if is_head else "Class of ImageNet",
        list(names),
        Choice.HEAD_CLASS if is_head else Choice.CLASS,
        words=names.__getitem__,
    )


def _select_layer(ref: ModelRef, is_open: bool, settings: Settings) -> str:
    """Choose a layer of a model; "" is the last one before pooling, which needs no TensorFlow."""
    key = f"gradcam-layer-{ref.run or ref.backbone}"
    if not (is_open or st.session_state.get(key)):
        return ""
    spatial = [info.layer.name for info in list_layers(ref, settings) if info.layer.spatial]
    names = ["", *reversed(spatial)]
    return st.selectbox(
        "Layer of your head's backbone" if ref.run else f"Layer of {ref.backbone}",
        names,
        format_func=unique_labels(names, lambda name: name or "the last one before pooling"),
        key=key,
        help="Late layers show what a thing is, early ones where its edges are.",
    )


def _draw_map(
    sample: Sample,
    explanation: Explanation,
    opacity: float,
    reach: float,
    framing: str,
    settings: Settings,
) -> None:
    """Draw one map over the image; name the class that it explains, and where it comes from.

    ``reach`` is the contribution that has the full colour, in logits.
    """
    pixels = np.asarray(model_input(sample, SIDE, explanation.fit, settings))
    exact, name = explanation.contributions, label(explanation.label)
    heat = explanation.heat if exact is None else exact / np.float32(reach or 1)
    drawn = overlay_heat(pixels, heat, opacity, signed=exact is not None)
    st.image(Image.fromarray(drawn), width=SIDE, alt=f"What supports {name}")
    height, width = explanation.cam.shape
    layer = f"`{explanation.layer}`" if explanation.layer else "the last maps before pooling"
    source = f"Grad-CAM of {height} × {width} places in {layer}"
    if exact is not None:
        source = sum_text(explanation)
    elif not explanation.cam.max() > 0:
        source = f"nothing supports this class in {layer}"
    note = f" · {explanation.note}" if explanation.note else ""
    st.caption(
        f"**{escape_md(name)}** · {source}, probability "
        f"{probability(explanation.probability)}{framing}{note}",
        help=f"The {height} × {width} cells of {layer}. Computed in "
        f"{duration(explanation.seconds)}.",
    )


def sum_text(explanation: Explanation) -> str:
    """Return a sum that adds up as it is rounded: "49 cells +7.1, bias −0.2, logit 6.9"."""
    bias, logit = round(explanation.bias, 2), round(explanation.logit, 2)
    cells, bias_text = (f"{number:+.2f}".replace("-", "−") for number in (logit - bias, bias + 0.0))
    total = f"{logit:.2f}".replace("-", "−")
    return f"{explanation.cam.size} cells {cells}, bias {bias_text}, logit {total}"
