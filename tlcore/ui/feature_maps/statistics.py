"""The Statistics tab: zeros, dead channels, mean and spread of every layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from tlcore.activations.values import (
    ActivationRequest,
    LayerStatistics,
)
from tlcore.datasets.dataset import Sample
from tlcore.models.summary import Layer
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.feature_maps.comparison import other_image
from tlcore.ui.format import label, signed
from tlcore.ui.inference_requests import activation_request, layer_statistics
from tlcore.ui.theme import Colours, colours, template

# What a chart over depth can show: field of LayerStatistics → title, and whether it is a share.
MEASURES = {
    "zeros": ("Zeros: share of values that are exactly 0", True),
    "dead": ("Dead channels: share that is 0 everywhere", True),
    "mean": ("Mean of all values", False),
    "spread": ("Standard deviation of all values", False),
}
HEIGHT = 290  # px of a chart


def statistics_tab(
    sample: Sample, request: ActivationRequest, layer: Layer, settings: Settings
) -> None:
    """Draw the layer in numbers, and all layers over depth, beside another image."""
    statistics = layer_statistics(request, settings)
    tone = colours()
    lines = [(label(sample.label), statistics, tone.pretrained)]
    other = other_image(sample, settings)
    if other is not None:
        others = layer_statistics(activation_request(other, request.ref), settings)
        lines.insert(0, (f"{label(other.label)} (other)", others, tone.frozen))  # drawn below
    row = next((row for row in statistics if row.name == layer.name), None)
    if row:
        _draw_row(row)
    places = [*st.columns(2, gap="medium"), *st.columns(2, gap="medium")]
    for place, (measure, (title, _)) in zip(places, MEASURES.items(), strict=True):
        figure = over_depth(lines, measure, layer.name, tone, template())
        place.caption(title)
        place.plotly_chart(
            figure, theme=None, config=PLAIN_CHART, key=f"depth-{measure}", alt=title
        )


def _draw_row(row: LayerStatistics) -> None:
    st.markdown(
        f"This layer: **{percent(row.zeros)}** zeros, **{percent(row.dead)}** dead channels, "
        f"mean **{signed(row.mean)}**, standard deviation **{signed(row.spread)}**."
    )
    if not (math.isfinite(row.mean) and math.isfinite(row.spread)):
        st.warning(
            "Some values of this layer are NaN or infinite, or too large for a mean.",
            icon=":material/warning:",
        )


def over_depth(
    lines: Sequence[tuple[str, Sequence[LayerStatistics], str]],
    measure: str,
    layer: str,
    tone: Colours,
    style: go.layout.Template,
) -> go.Figure:
    """One measure of every layer, first to last.

    Args:
        lines: name, statistics and colour of each image.
        measure: a key of ``MEASURES``.
        layer: the present one, marked.
        tone: the theme's colours.
        style: the theme's template.
    """
    figure = go.Figure(layout={"template": style})
    for name, statistics, colour in lines:
        figure.add_scatter(
            x=list(range(1, len(statistics) + 1)),
            y=[getattr(row, measure) for row in statistics],
            text=[row.name for row in statistics],
            name=name,
            mode="lines",
            line={"color": colour, "width": 2},
            hovertemplate="%{text}<br>%{y:.3g}",
        )
    names = [row.name for row in lines[0][1]]
    if layer in names:
        figure.add_vline(x=names.index(layer) + 1, line={"color": tone.faint, "dash": "dot"})
    figure.update_xaxes(title="layer, from the pixels to the answer", tickformat="d")
    if MEASURES[measure][1]:
        figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 48, "r": 8, "t": 24, "b": 44},
        showlegend=len(lines) > 1,
        legend={"orientation": "h", "y": 1.12},
    )
    return figure
