"""Charts of an evaluation. Figures only; nothing is drawn on a page here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from tlcore.evaluation.curves import AtThreshold, Curves
from tlcore.evaluation.intervals import Share
from tlcore.models.calibration import Calibration
from tlcore.percentages import percent, probability
from tlcore.ui.theme import Colours
from tlcore.ui.words import count

ROW = 54  # px of a share with its name above
SQUARE = 300  # px of a diagram


@dataclass(frozen=True)
class Named:
    """A share with its name and colour."""

    name: str
    share: Share
    colour: str


def shares(rows: Sequence[Named], tone: Colours, template: go.layout.Template) -> go.Figure:
    """Shares on one scale from 0 to 100%: a dot with its 95% interval, the name above."""
    figure = go.Figure(layout={"template": template})
    for place, row in enumerate(rows):
        share = row.share
        figure.add_scatter(
            x=[share.low, share.high], y=[place, place], mode="lines", hoverinfo="skip",
            line={"color": row.colour, "width": 3}, opacity=0.45, cliponaxis=False,
        )  # fmt: skip
        figure.add_scatter(
            x=[share.value], y=[place], mode="markers", marker={"size": 13, "color": row.colour},
            hovertext=f"{row.name}<br>{share.value:.4%}", hoverinfo="text", cliponaxis=False,
        )  # fmt: skip
        for x, text, where in ((0, row.name, "right"), (1, f"<b>{share.words}</b>", "left")):
            figure.add_scatter(
                x=[x], y=[place - 0.36], mode="text", text=[text], hoverinfo="skip",
                textposition=f"middle {where}", cliponaxis=False,
            )  # fmt: skip
    figure.update_xaxes(range=[0, 1], tickformat=".0%", dtick=0.25)
    figure.update_yaxes(range=[len(rows) - 0.6, -0.7], visible=False)
    figure.update_layout(height=ROW * len(rows) + 40, margin={"l": 8, "r": 8, "t": 2, "b": 26})
    return figure


def reliability(found: Calibration, tone: Colours, template: go.layout.Template) -> go.Figure:
    """How often it was right, over how sure it was; a perfect network lies on the diagonal."""
    figure = _square(tone, template, "how sure it was", "how often it was right")
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip",
        line={"color": tone.frozen, "dash": "dot", "width": 1.5},
    )  # fmt: skip
    most = max(each.answers for each in found.bins)
    figure.add_scatter(
        x=[each.confidence for each in found.bins],
        y=[each.accuracy for each in found.bins],
        mode="lines+markers",
        line={"color": tone.head, "width": 2},
        marker={"size": [7 + 15 * (each.answers / most) ** 0.5 for each in found.bins]},
        hovertext=[
            f"{count(each.answers, 'answer')}<br>{probability(each.confidence)} sure, "
            f"{percent(each.accuracy)} right"
            for each in found.bins
        ],
        hoverinfo="text",
        cliponaxis=False,
    )
    return figure


def roc(found: Curves, at: AtThreshold, tone: Colours, template: go.layout.Template) -> go.Figure:
    """What is found over what is called so by mistake, with the chosen threshold marked."""
    figure = _square(tone, template, "false alarms", "found")
    _line(figure, [0, *found.false_positives], [0, *found.recall], tone)
    if at.recall and at.specificity:
        _point(figure, 1 - at.specificity.value, at.recall.value, tone)
    return figure


def precision_recall(
    found: Curves, at: AtThreshold, tone: Colours, template: go.layout.Template
) -> go.Figure:
    """How much of what is called so is so, over what is found."""
    figure = _square(tone, template, "found (recall)", "right of those called so (precision)")
    _line(figure, [0, *found.recall], [found.precision[0], *found.precision], tone)
    if at.recall and at.precision:
        _point(figure, at.recall.value, at.precision.value, tone)
    return figure


def _square(tone: Colours, template: go.layout.Template, across: str, up: str) -> go.Figure:
    figure = go.Figure(layout={"template": template})
    figure.update_xaxes(range=[0, 1.01], tickformat=".0%", title=across)
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%", title=up)
    figure.update_layout(height=SQUARE, margin={"l": 60, "r": 12, "t": 10, "b": 44})
    return figure


def _line(figure: go.Figure, x: Sequence[float], y: Sequence[float], tone: Colours) -> None:
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"color": tone.head, "width": 2.5},
        hovertemplate="%{x:.1%}, %{y:.1%}<extra></extra>",
    )  # fmt: skip


def _point(figure: go.Figure, x: float, y: float, tone: Colours) -> None:
    figure.add_scatter(
        x=[x], y=[y], mode="markers", hoverinfo="skip", cliponaxis=False,
        marker={"size": 14, "color": tone.ground, "line": {"color": tone.head, "width": 3}},
    )  # fmt: skip
