"""Charts of a data set. Figures only; nothing is drawn on a page here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from tlcore.ui.theme import Colours
from tlcore.ui.words import label

ROW = 34  # px of a class
HEIGHT = 260  # px of the sizes
NAMES = {"train": "training", "val": "validation", "test": "test", None: "not divided"}


def class_counts(
    counts: Mapping[str | None, Mapping[str, int]], tone: Colours, template: go.layout.Template
) -> go.Figure:
    """Bars of pictures per class, a piece for each part in the colours of a run's curves."""
    looks = {"train": tone.frozen, "val": tone.head, "test": tone.text, None: tone.line}
    figure = go.Figure(layout={"template": template, "barmode": "stack"})
    names: list[str] = []
    for part, by_class in counts.items():
        names = [label(name) for name in by_class]
        figure.add_bar(
            y=names,
            x=list(by_class.values()),
            name=NAMES[part],
            orientation="h",
            width=0.6,
            marker={"color": looks[part]},
            hovertemplate="%{y}: %{x} %{fullData.name}<extra></extra>",
        )
    figure.update_xaxes(rangemode="tozero", tickformat="d", nticks=6)
    figure.update_yaxes(autorange="reversed", automargin=True, gridcolor="rgba(0,0,0,0)")
    figure.update_layout(
        height=max(180, ROW * len(names) + 76),
        showlegend=len(counts) > 1,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        margin={"l": 8, "r": 8, "t": 30, "b": 30},
    )
    return figure


def sizes(
    pixels: Sequence[tuple[int, int]], tone: Colours, template: go.layout.Template
) -> go.Figure:
    """Width and height of every picture, equal ones as one larger dot; lines of equal aspect."""
    found = Counter(pixels)
    figure = go.Figure(layout={"template": template})
    top = max((max(size) for size in found), default=1) * 1.08
    for ratio, name in ((1.0, "1:1"), (4 / 3, "4:3"), (3 / 4, "3:4")):
        end = min(top, top / ratio)
        figure.add_scatter(
            x=[0, end * ratio],
            y=[0, end],
            mode="lines+text",
            text=["", name],
            textposition="bottom left",
            textfont={"color": tone.faint, "size": 12},
            line={"color": tone.line, "width": 1.5},
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=[width for width, _ in found],
        y=[height for _, height in found],
        customdata=list(found.values()),
        mode="markers",
        marker={
            "color": tone.faint,
            "opacity": 0.6,
            "size": [min(28.0, 5 + 2 * number**0.5) for number in found.values()],
        },
        hovertemplate="%{x} × %{y} pixels: %{customdata} pictures<extra></extra>",
    )
    figure.update_xaxes(range=[0, top], title="width, pixels")
    figure.update_yaxes(range=[0, top], title="height, pixels")
    figure.update_layout(height=HEIGHT, margin={"l": 56, "r": 8, "t": 8, "b": 44})
    return figure
