"""Charts: bars of an answer, curves of a run. Figures only; nothing is drawn on a page here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from tlcore.networks.answers import Ranked
from tlcore.runs.events import Epoch
from tlcore.ui.theme import Colours
from tlcore.ui.words import label, percent

ROW = 46  # px of a bar with its name above
THIN = 20  # px of a bar among very many
CURVE_HEIGHT = 280  # px
# Okabe and Ito's colours, told apart with any kind of colour vision.
MANY = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#999999", "#B8A500")


def bars(
    ranking: Sequence[Ranked], colour: str, tone: Colours, template: go.layout.Template
) -> go.Figure:
    """Horizontal bars, most probable on top, all on one scale from 0 to 100%.

    The name stands above its bar, so that no width is too narrow for it.
    """
    places = [row.rank for row in ranking]
    shares = [row.probability for row in ranking]
    hover = [
        f"{label(row.label)}<br>{row.probability:.6g}<br>logit {row.logit:.4g}" for row in ranking
    ]
    figure = go.Figure(layout={"template": template, "barmode": "overlay"})
    wide = {"y": places, "orientation": "h", "width": 0.26, "hoverinfo": "skip"}
    figure.add_bar(x=[1.0] * len(places), marker_color=tone.line, **wide)
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
        text=[f"<b>{percent(share)}</b>" for share in shares],
        textposition="middle left",
        **texts,
    )
    figure.update_xaxes(range=[0, 1], visible=False)
    figure.update_yaxes(range=[places[-1] + 0.35, places[0] - 0.65], visible=False)
    figure.update_layout(height=ROW * len(places) + 4, margin={"l": 0, "r": 0, "t": 2, "b": 2})
    return figure


def many_bars(
    ranking: Sequence[Ranked], colour: str, tone: Colours, template: go.layout.Template
) -> go.Figure:
    """Up to a thousand bars as thin rows, the name before its bar; the same scale as ``bars``."""
    places = [row.rank for row in ranking]
    figure = go.Figure(layout={"template": template})
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


def curves(
    history: Sequence[Epoch],
    what: str,
    epochs: int,
    boundary: int | None,
    tone: Colours,
    template: go.layout.Template,
) -> go.Figure:
    """The curve of "loss" or "accuracy" over all epochs that are planned.

    Args:
        history: the epochs so far.
        what: "loss" or "accuracy".
        epochs: how many there will be; the axis shows them all from the start.
        boundary: the last epoch before the top blocks learn as well, or None.
    """
    figure = go.Figure(layout={"template": template})
    x = [event.epoch for event in history]
    train = [getattr(event, what) for event in history]
    val = [getattr(event, f"val_{what}") for event in history]
    exact = "%{y:.2%}" if what == "accuracy" else "%{y:.4g}"
    hover = f"{exact}<extra>%{{fullData.name}}</extra>"
    look = {"x": x, "mode": "lines+markers", "hovertemplate": hover}
    figure.add_scatter(
        y=train,
        name="training",
        line={"color": tone.frozen, "width": 2},
        marker={"size": 5},
        **look,
    )
    figure.add_scatter(
        y=val,
        name="validation",
        line={"color": tone.head, "width": 2.5},
        marker={"size": 6},
        **look,
    )
    figure.update_xaxes(range=[0.5, max(epochs, 2) + 0.5], title="epoch", tickformat="d")
    if epochs <= 12:
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(range=_range(what, [*train, *val]))
    if what == "accuracy":
        figure.update_yaxes(tickformat=".0%")
    if boundary is not None:
        _mark(figure, boundary + 0.5, tone)
    figure.update_layout(
        height=CURVE_HEIGHT,
        margin={"l": 48, "r": 8, "t": 10, "b": 44},  # fixed: a longer label moves nothing
        hovermode="x unified",
        uirevision="same",
    )
    return figure


def overlay(
    histories: Mapping[str, Sequence[Epoch]],
    what: str,
    tone: Colours,
    template: go.layout.Template,
) -> go.Figure:
    """The validation curves of several runs by name, on one scale."""
    figure = go.Figure(layout={"template": template})
    values: list[float] = []
    for place, (name, history) in enumerate(histories.items()):
        y = [getattr(event, f"val_{what}") for event in history]
        values += y
        colour = MANY[place % len(MANY)]
        figure.add_scatter(
            x=[event.epoch for event in history], y=y, name=name, mode="lines",
            line={"color": colour, "width": 2},
        )  # fmt: skip
    figure.update_yaxes(range=_range(what, values))
    if what == "accuracy":
        figure.update_yaxes(tickformat=".0%")
    figure.update_xaxes(title="epoch", tickformat="d")
    figure.update_layout(
        height=CURVE_HEIGHT + 22 * len(histories),
        margin={"l": 48, "r": 8, "t": 10, "b": 44},
        legend={"orientation": "h", "y": -0.25, "font": {"color": tone.faint}},
    )
    return figure


def _range(what: str, values: Sequence[float]) -> tuple[float, float]:
    """Axes that move as seldom as they can: in tenths for accuracy, in halves for loss."""
    if what == "accuracy":
        lowest = min(values, default=0.5)
        return max(0.0, int(min(lowest, 0.5) * 10) / 10), 1.01
    highest = max(values, default=1.0)
    return 0.0, max(0.5, (int(highest * 2.1) + 1) / 2)


def _mark(figure: go.Figure, at: float, tone: Colours) -> None:
    figure.add_vline(
        x=at,
        line={"color": tone.faint, "width": 1, "dash": "dot"},
        annotation={
            "text": "top blocks learn too",
            "font": {"color": tone.faint, "size": 12},
            "textangle": -90,
            "xanchor": "right",
            "yanchor": "bottom",
            "y": 0.02,
            "yref": "paper",
        },
    )
