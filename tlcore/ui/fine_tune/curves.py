"""Charts of runs: accuracy above loss, epoch by epoch. Figures only; nothing is drawn here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go
import streamlit as st

from tlcore.training.history import Epoch, Progress, Stage
from tlcore.training.run import Run, describe_overfitting
from tlcore.ui.components.charts import MANY, PLAIN_CHART
from tlcore.ui.format import count, duration
from tlcore.ui.theme import Colours, colours, template

HEIGHT = 430  # px of both panels
LEGEND_ROW = 24  # px
# what is drawn → its axis and the share of the height that it takes
PANELS = {"accuracy": ("y", (0.56, 1.0)), "loss": ("y2", (0.0, 0.44))}
DASHES = ("solid", "dash")  # the second round of colours is dashed
SPANS = {"head": "head", "fine-tune": "top blocks"}  # stage → its name on the chart


def curves(
    history: Sequence[Epoch],
    planned: Mapping[str, int],
    tone: Colours,
    template: go.layout.Template,
) -> go.Figure:
    """Accuracy and loss of both parts over all epochs that are planned, stage by stage.

    Args:
        history: the epochs so far; figures that are not finite are left out.
        planned: epochs of each stage, in their order; the axis shows them all from the start.
        tone: the theme's colours.
        template: the theme's look.
    """
    figure = _panels(history, ("", "val_"), sum(planned.values()), tone, template)
    parts = (("training", "", tone.frozen, 2.0, 5), ("validation", "val_", tone.head, 2.5, 6))
    for what in PANELS:
        for name, prefix, colour, width, dot in parts:
            figure.add_scatter(
                x=[event.epoch for event in history],
                y=[finite(getattr(event, prefix + what)) for event in history],
                yaxis=PANELS[what][0],
                name=f"{name} {what}",
                mode="lines+markers",
                line={"color": colour, "width": width},
                marker={"size": dot},
                hovertemplate=f"{_exact(what)}<extra>%{{fullData.name}}</extra>",
            )
    _name_stages(figure, planned, tone)
    figure.update_layout(hovermode="x unified", hoversubplots="axis", uirevision="same")
    return figure


def overlay(
    histories: Mapping[str, Sequence[Epoch]], tone: Colours, template: go.layout.Template
) -> go.Figure:
    """The validation curves of several runs by name, on one scale."""
    epochs = [event for history in histories.values() for event in history]
    last = max((event.epoch for event in epochs), default=1)
    figure = _panels(epochs, ("val_",), last, tone, template)
    for what, (axis, _) in PANELS.items():
        for place, (name, history) in enumerate(histories.items()):
            figure.add_scatter(
                x=[event.epoch for event in history],
                y=[finite(getattr(event, f"val_{what}")) for event in history],
                yaxis=axis,
                name=escape(name),
                legendgroup=name,
                showlegend=what == "accuracy",
                mode="lines" if len(history) > 1 else "markers",
                line={"color": MANY[place % len(MANY)], "width": 2, "dash": _dash(place)},
                hovertemplate=f"{_exact(what)} in epoch %{{x}}<extra>%{{fullData.name}}</extra>",
            )
    below = LEGEND_ROW * len(histories) + 12
    figure.update_layout(
        height=HEIGHT + below,
        margin={"b": 44 + below},
        showlegend=True,
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yanchor": "bottom",
            "yref": "container", "entrywidth": 1, "entrywidthmode": "fraction",
            "font": {"color": tone.faint, "size": 13},
        },
    )  # fmt: skip
    return figure


def finite(value: float) -> float | None:
    """Return a figure that can be drawn, or None: a run that diverges loses its numbers."""
    return value if math.isfinite(value) else None


def lost(history: Sequence[Epoch]) -> int:
    """Return how many epochs have a figure that cannot be drawn."""
    return sum(
        not all(
            map(math.isfinite, (event.loss, event.val_loss, event.accuracy, event.val_accuracy))
        )
        for event in history
    )


def _panels(
    epochs: Sequence[Epoch],
    drawn: Sequence[str],
    last: int,
    tone: Colours,
    template: go.layout.Template,
) -> go.Figure:
    """Two empty panels that share their epochs, as high as the parts that are drawn in them."""
    figure = go.Figure(layout={"template": template})
    for what, (axis, place) in PANELS.items():
        values = [getattr(event, part + what) for event in epochs for part in drawn]
        figure.update_layout({
            f"{axis[0]}axis{axis[1:]}": {
                "domain": place, "range": axis_range(what, values), "anchor": "x",
                "tickformat": ".0%" if what == "accuracy" else "",
            }
        })  # fmt: skip
        figure.add_annotation(
            text=f"<b>{what.capitalize()}</b>", x=0, xref="paper", xanchor="left", xshift=-44,
            y=place[1], yref="paper", yanchor="bottom", yshift=2, showarrow=False,
        )  # fmt: skip
    figure.update_xaxes(
        range=[0.5, max(last, 2) + 0.5], title="epoch", tickformat="d", anchor="y2",
        dtick=1 if last <= 12 else None,
    )  # fmt: skip
    # fixed margins: a longer label moves nothing
    figure.update_layout(height=HEIGHT, margin={"l": 48, "r": 8, "t": 26, "b": 44})
    return figure


def axis_range(what: str, values: Sequence[float]) -> tuple[float, float]:
    """Axes that move as seldom as they can: in tenths for accuracy, in halves for loss."""
    drawn = [value for value in values if math.isfinite(value)]
    if what == "accuracy":
        lowest = min(drawn, default=0.5)
        return max(0.0, int(min(lowest, 0.5) * 10) / 10), 1.01
    highest = max(drawn, default=1.0)
    return 0.0, max(0.5, (int(highest * 2.1) + 1) / 2)


def _name_stages(figure: go.Figure, planned: Mapping[str, int], tone: Colours) -> None:
    """Write each stage's name at its epochs, with a line where the next one begins."""
    first, last = 0.5, sum(planned.values()) + 0.5
    for place, (stage, epochs) in enumerate((name, n) for name, n in planned.items() if n):
        if place:
            line = {"color": tone.faint, "width": 1, "dash": "dot"}
            figure.add_shape(
                type="line", x0=first, x1=first, y0=0, y1=1, yref="paper", line=line
            )  # fmt: skip
        late = first > last * 0.75  # its name would not end before the chart does
        figure.add_annotation(
            text=SPANS[stage], x=last if late else first, xanchor="right" if late else "left",
            xshift=0 if late else 6, y=0.5, yref="paper", yanchor="middle", showarrow=False,
            font={"color": tone.faint, "size": 13},
        )  # fmt: skip
        first += epochs


def _exact(what: str) -> str:
    return "%{y:.2%}" if what == "accuracy" else "%{y:.4g}"


def _dash(place: int) -> str:
    return DASHES[place // len(MANY) % len(DASHES)]


# The curves of a run: what it learned, epoch by epoch and stage by stage.


LEGEND = """<div class="legend"><span class="head">on images it has not seen
(validation)</span> <span>on those it learns from (training)</span></div>"""
NAMES = {"head": "head", "fine-tune": "top blocks"}


def run_curves(run: Run) -> None:
    """Draw accuracy and loss of all epochs; nothing for a run that ended before its first."""
    history = run.history
    if not history and not run.info.active:
        return
    st.html(LEGEND)
    planned = _planned(run)
    last = history[-1].time if history else 0.0
    drawn = (run.info.id, len(history), last, tuple(planned.items()), str(colours()))
    words = f"Curves of accuracy and loss over {count(len(history), 'epoch')}"
    figure = _figure(drawn, planned, history)
    st.plotly_chart(figure, theme=None, key="curves", config=PLAIN_CHART, alt=words)
    if words := describe_overfitting(run):
        st.info(words, icon=":material/u_turn_right:")
    if stages := _stages(run):
        st.caption(f"Stages: {' → '.join(stages)}")
    if missing := lost(history):
        st.warning(
            f"The loss of {count(missing, 'epoch')} is no finite number and is not on the chart: "
            "it has diverged. Run it again with a lower learning rate.",
            icon=":material/trending_up:",
        )


def _planned(run: Run) -> dict[str, int]:
    """The epochs of each stage: as planned while it works, as they were when it has ended."""
    history, config = run.history, run.info.config
    done = {stage: sum(epoch.stage == stage for epoch in history) for stage in NAMES}
    if not run.info.active:
        return done
    head = done["head"] if done["fine-tune"] else config.epochs  # it may have stopped early
    return {"head": head, "fine-tune": config.fine_tune_epochs}


def _stages(run: Run) -> list[str]:
    """The stages with what they took: "features of 244 images: 3.2 s"."""
    said = []
    begun = [event for event in run.events if isinstance(event, Stage)]
    features = [event for event in begun if event.stage == "features"]
    if features and not features[0].steps:
        said.append("features kept from an earlier run")
    elif features:
        seen = [event for event in run.events
                if isinstance(event, Progress) and event.stage == "features"]  # fmt: skip
        waited = [event.time for event in seen if not event.done]
        loaded = waited[-1] if waited else features[0].time
        took = ""
        if len(features) == 1 and seen and seen[-1].done:
            took = f": {duration(seen[-1].time - loaded)}"
            if waited:
                said.append(f"network loaded: {duration(loaded - features[0].time)}")
        said.append(f"features of {count(features[0].steps, 'image')}{took}")
    for stage, name in NAMES.items():
        epochs = [epoch for epoch in run.history if epoch.stage == stage]
        if epochs:
            seconds = sum(epoch.seconds for epoch in epochs)
            said.append(f"{name}: {count(len(epochs), 'epoch')} in {duration(seconds)}")
    return said


@st.cache_resource(show_spinner=False, max_entries=64)
def _figure(
    drawn: tuple[object, ...], _planned: Mapping[str, int], _history: Sequence[Epoch]
) -> go.Figure:
    """Draw the curves once for everybody who looks at the run: each page asks once a second.

    Args:
        drawn: what the figure depends on; the other arguments are what it is made of.
    """
    return curves(_history, _planned, colours(), template())
