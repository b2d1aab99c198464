"""Charts of a channel and of a network's depth. Figures only; nothing is drawn on a page here."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from tlcore.models.maps.values import ChannelLook, LayerNumbers
from tlcore.percentages import percent
from tlcore.ui.theme import Colours

HEIGHT = 230  # px

# what the chart over depth can show: name → (title, whether it is a share)
MEASURES = {
    "zeros": ("Zeros: share of values that are exactly 0", True),
    "dead": ("Dead channels: share that is 0 everywhere", True),
    "mean": ("Mean of all values", False),
    "spread": ("Spread: standard deviation of all values", False),
}


def histogram(look: ChannelLook, tone: Colours, template: go.layout.Template) -> go.Figure:
    """How often each value occurs in one channel; the count's axis is logarithmic."""
    middles = [(a + b) / 2 for a, b in zip(look.edges, look.edges[1:], strict=False)]
    figure = go.Figure(layout={"template": template, "bargap": 0.05})
    figure.add_bar(x=middles, y=look.counts, marker_color=tone.pretrained)
    top = math.log10(max(1, *look.counts))
    figure.update_yaxes(type="log", title="pixels", dtick=1, range=[-0.3, top + 0.1])  # from 0.5
    figure.update_xaxes(title="value")
    figure.update_layout(height=HEIGHT, margin={"l": 48, "r": 8, "t": 8, "b": 44})
    if look.broken:
        words = f"{percent(look.broken)} are NaN or infinite, and left out"
        figure.update_layout(title={"text": words, "font": {"size": 13}}, margin={"t": 34})
    return figure


def over_depth(
    lines: Sequence[tuple[str, Sequence[LayerNumbers], str]],
    measure: str,
    layer: str,
    tone: Colours,
    template: go.layout.Template,
) -> go.Figure:
    """One measure of every layer, first to last.

    Args:
        lines: name, numbers and colour of each picture.
        measure: a key of ``MEASURES``.
        layer: the present one, marked.
    """
    figure = go.Figure(layout={"template": template})
    for name, numbers, colour in lines:
        figure.add_scatter(
            x=list(range(1, len(numbers) + 1)),
            y=[getattr(row, measure) for row in numbers],
            text=[row.name for row in numbers],
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
        height=HEIGHT + 60,
        margin={"l": 48, "r": 8, "t": 24, "b": 44},
        showlegend=len(lines) > 1,
        legend={"orientation": "h", "y": 1.12},
    )
    return figure
