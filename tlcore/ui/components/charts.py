"""Charts: how each is drawn on a page, and the bars of an answer."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from tlcore.evaluation.intervals import Proportion
from tlcore.models.predictions import Ranked
from tlcore.percentages import probability
from tlcore.ui.format import label
from tlcore.ui.theme import colours, template

ROW = 46  # px of a bar with its name above
THIN = 20  # px of a bar among very many
# Classes and runs: none of them has a colour of the two networks, so a dash or a symbol helps too.
MANY = ("#00896A", "#B4457F", "#8A7500", "#7A5BA8", "#7C8896", "#A3544B", "#2E9C9C", "#5C7F2B")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "x", "triangle-down")


def draw_chart(figure: go.Figure, key: str, alt: str, **options: Any) -> Any:
    """Draw a figure with our own template and without Plotly's tools; return its selection."""
    figure.update_layout(template=template())
    if "on_select" in options:  # a click selects, and not only a drag
        figure.update_layout(clickmode="event+select")
    plain = {"displayModeBar": False, "scrollZoom": False}
    return st.plotly_chart(figure, theme=None, key=key, config=plain, alt=alt, **options)


def probability_bars(ranking: Sequence[Ranked], colour: str) -> go.Figure:
    """Horizontal bars, most probable on top, all on one scale from 0 to 100%.

    The name stands above its bar, so that no width is too narrow for it.
    """
    places = [row.rank for row in ranking]
    shares = [row.probability for row in ranking]
    hover = [
        f"{label(row.label)}<br>{row.probability:.6g}<br>logit {row.logit:.4g}" for row in ranking
    ]
    figure = go.Figure(layout={"barmode": "overlay"})
    wide = {"y": places, "orientation": "h", "width": 0.26, "hoverinfo": "skip"}
    figure.add_bar(x=[1.0] * len(places), marker_color=colours().line, **wide)
    wide |= {"hovertext": hover, "hoverinfo": "text"}
    figure.add_bar(x=shares, marker_color=colour, name="probability", **wide)
    texts = {"mode": "text", "hoverinfo": "skip", "cliponaxis": False}
    above = [place - 0.34 for place in places]
    names = [label(row.label) for row in ranking]
    figure.add_scatter(
        x=[0.0] * len(places), y=above, text=names, textposition="middle right", **texts
    )
    figure.add_scatter(
        x=[1.0] * len(places),
        y=above,
        text=[f"<b>{probability(share)}</b>" for share in shares],
        textposition="middle left",
        **texts,
    )
    figure.update_xaxes(range=[0, 1], visible=False)
    figure.update_yaxes(range=[places[-1] + 0.35, places[0] - 0.65], visible=False)
    figure.update_layout(height=ROW * len(places) + 4, margin={"l": 0, "r": 0, "t": 2, "b": 2})
    return figure


def thin_bars(ranking: Sequence[Ranked], colour: str) -> go.Figure:
    """Up to a thousand bars as thin rows, on the scale of ``probability_bars``."""
    places = [row.rank for row in ranking]
    figure = go.Figure()
    figure.add_bar(
        x=[row.probability for row in ranking],
        y=places,
        orientation="h",
        width=0.6,
        marker_color=colour,
        hovertext=[f"{label(row.label)}<br>{row.probability:.6g}" for row in ranking],
        hoverinfo="text",
        cliponaxis=False,
    )
    names = [f"{row.rank}. {label(row.label)[:22]}" for row in ranking]
    figure.update_xaxes(range=[0, 1], tickformat=".0%", side="top")
    figure.update_yaxes(
        range=[places[-1] + 0.6, 0.4], tickvals=places, ticktext=names, showgrid=False
    )
    height = THIN * len(places) + 30
    figure.update_layout(height=height, margin={"l": 150, "r": 12, "t": 26, "b": 4})
    return figure


def accuracy_bars(rows: Sequence[tuple[str, Proportion, str]]) -> go.Figure:
    """Build bars on one scale from 0 to 100% with 95% intervals, the name above each.

    Args:
        rows: name, accuracy and colour of each.
    """
    tone = colours()
    figure = go.Figure(layout={"barmode": "overlay"})
    for place, (name, share, colour) in enumerate(rows):
        figure.add_bar(
            x=[share.value], y=[place], orientation="h", width=0.3, marker_color=colour,
            error_x={"type": "data", "symmetric": False, "array": [share.high - share.value],
                     "arrayminus": [share.value - share.low], "color": tone.text,
                     "thickness": 1.5, "width": 5},
            hovertext=f"{html.escape(name)}<br>{share.value:.4%}", hoverinfo="text",
            cliponaxis=False,
        )  # fmt: skip
        texts = ((0, html.escape(name), "right"), (1, f"<b>{share.text}</b>", "left"))
        for x, text, side in texts:
            figure.add_scatter(
                x=[x], y=[place - 0.36], mode="text", text=[text], hoverinfo="skip",
                textposition=f"middle {side}", cliponaxis=False,
            )  # fmt: skip
    figure.update_xaxes(range=[0, 1], tickformat=".0%", dtick=0.25)
    figure.update_yaxes(range=[len(rows) - 0.6, -0.7], visible=False)
    figure.update_layout(height=ROW * len(rows) + 34, margin={"l": 8, "r": 8, "t": 2, "b": 26})
    return figure
