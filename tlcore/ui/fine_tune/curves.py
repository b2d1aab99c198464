"""Accuracy and loss of runs, epoch by epoch, and what fine-tuning brought."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go
import streamlit as st

from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.training.history import Epoch, Progress, Stage
from tlcore.training.run import Run, describe_overfitting
from tlcore.ui.components.charts import MANY, draw_chart
from tlcore.ui.evaluation.metrics import draw_fine_tuning_effect
from tlcore.ui.format import duration, plural
from tlcore.ui.theme import colours

HEIGHT = 430  # px of both panels
LEGEND_ROW = 24  # px
# metric → its axis and the share of the height that it takes
PANELS = {"accuracy": ("y", (0.56, 1.0)), "loss": ("y2", (0.0, 0.44))}
DASHES = ("solid", "dash")  # the second round of colours is dashed
STAGE_NAMES = {"head": "head", "fine-tune": "fine-tuning"}
LEGEND = """<div class="legend"><span class="validation">validation</span>
<span>training</span></div>"""
TICKS = 5  # at most, between the ends of an axis
APART = 0.09  # of the axis between the values at the ends of two lines


def curves_view(run: Run, settings: Settings) -> None:
    """Draw the curves of a run that has ended, with what fine-tuning brought."""
    draw_curves(run)
    draw_fine_tuning_effect(run)


def draw_curves(run: Run) -> None:
    """Draw accuracy and loss of all epochs; nothing for a run that ended before its first."""
    history = run.history
    if not history and not run.info.active:
        return
    st.html(LEGEND)
    words = f"Accuracy and loss over {plural(len(history), 'epoch')}"
    draw_chart(build_curves(history, _planned(run)), "curves", words)
    if words := describe_overfitting(run):
        st.info(words, icon=":material/u_turn_right:")
    if stages := _stages(run):
        st.caption(f"Stages: {' → '.join(stages)}")
    if diverged := count_diverged(history):
        st.warning(
            f"The loss of {plural(diverged, 'epoch')} is no finite number and is not drawn: the "
            "run has diverged. Run it again with a lower learning rate.",
            icon=":material/trending_up:",
        )


def build_curves(history: Sequence[Epoch], planned: Mapping[str, int]) -> go.Figure:
    """Build training and validation accuracy and loss over all planned epochs.

    Args:
        history: the epochs so far; values that are not finite are left out.
        planned: epochs of each stage, in order; the axis holds all of them from the start.
    """
    tone = colours()
    figure = _panels(history, ("", "val_"), sum(planned.values()))
    lines = (("training", "", tone.frozen, 2.0, 5), ("validation", "val_", tone.text, 2.5, 6))
    for metric, (axis, _) in PANELS.items():
        _label_ends(figure, history, metric, axis)
        for name, prefix, colour, width, dot in lines:
            figure.add_scatter(
                x=[epoch.epoch for epoch in history],
                y=[finite(getattr(epoch, prefix + metric)) for epoch in history],
                yaxis=axis,
                name=f"{name} {metric}",
                mode="lines+markers",
                line={"color": colour, "width": width},
                marker={"size": dot},
                hovertemplate=f"{_exact(metric)}<extra>%{{fullData.name}}</extra>",
            )
    _name_stages(figure, planned)
    figure.update_xaxes(unifiedhovertitle={"text": "epoch %{x}"})
    figure.update_layout(hovermode="x unified", hoversubplots="axis", uirevision="same")
    figure.update_layout(margin={"r": 46})  # for the values at the ends of the lines
    return figure


def _label_ends(figure: go.Figure, history: Sequence[Epoch], metric: str, axis: str) -> None:
    """Write the last value of both lines at their ends, far enough apart to be read."""
    if not history or any(finite(getattr(history[-1], p + metric)) is None for p in ("", "val_")):
        return
    train, val = (getattr(history[-1], prefix + metric) for prefix in ("", "val_"))
    low, high = figure.layout[f"yaxis{axis[1:]}"].range
    near = abs(train - val) < APART * (high - low)
    for value, is_higher, colour in (
        (train, train > val, colours().faint),
        (val, val >= train, colours().text),
    ):
        text = percent(value) if metric == "accuracy" else f"{value:.3g}"
        figure.add_annotation(
            text=text, x=history[-1].epoch, y=value, yref=axis, xanchor="left", xshift=7,
            yshift=(8 if is_higher else -8) if near else 0, showarrow=False,
            font={"color": colour, "size": 13},
        )  # fmt: skip


def overlay_curves(histories: Mapping[str, Sequence[Epoch]]) -> go.Figure:
    """Build the validation curves of several runs by name, on one scale."""
    epochs = [epoch for history in histories.values() for epoch in history]
    figure = _panels(epochs, ("val_",), max((epoch.epoch for epoch in epochs), default=1))
    for metric, (axis, _) in PANELS.items():
        for place, (name, history) in enumerate(histories.items()):
            dash = DASHES[place // len(MANY) % len(DASHES)]
            figure.add_scatter(
                x=[epoch.epoch for epoch in history],
                y=[finite(getattr(epoch, f"val_{metric}")) for epoch in history],
                yaxis=axis,
                name=escape(name),
                legendgroup=name,
                showlegend=metric == "accuracy",
                mode="lines" if len(history) > 1 else "markers",
                line={"color": MANY[place % len(MANY)], "width": 2, "dash": dash},
                hovertemplate=f"{_exact(metric)} in epoch %{{x}}<extra>%{{fullData.name}}</extra>",
            )
    below = LEGEND_ROW * len(histories) + 12
    figure.update_layout(
        height=HEIGHT + below,
        margin={"b": 44 + below},
        showlegend=True,
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yanchor": "bottom",
            "yref": "container", "entrywidth": 1, "entrywidthmode": "fraction",
            "font": {"color": colours().faint, "size": 13},
        },
    )  # fmt: skip
    return figure


def count_diverged(history: Sequence[Epoch]) -> int:
    """Return how many epochs have a value that is not finite and cannot be drawn."""
    values = [(each.loss, each.val_loss, each.accuracy, each.val_accuracy) for each in history]
    return sum(not all(map(math.isfinite, each)) for each in values)


def finite(value: float | None) -> float | None:
    """Return a number that can be shown; None for any other."""
    return value if value is not None and math.isfinite(value) else None


def _panels(epochs: Sequence[Epoch], prefixes: Sequence[str], last: int) -> go.Figure:
    """Build two empty panels over the same epochs that hold the values drawn in them."""
    figure = go.Figure()
    for metric, (axis, domain) in PANELS.items():
        values = [getattr(epoch, prefix + metric) for epoch in epochs for prefix in prefixes]
        low, high, step = fit_axis(metric, values)
        room = (high - low) * 0.04  # for half a dot
        figure.update_layout({
            f"{axis[0]}axis{axis[1:]}": {
                "domain": domain, "range": (low - room, high + room), "anchor": "x",
                "tick0": low, "dtick": step, "tickformat": ".0%" if metric == "accuracy" else "",
            }
        })  # fmt: skip
        figure.add_annotation(
            text=f"<b>{metric.capitalize()}</b>", x=0, xref="paper", xanchor="left", xshift=-44,
            y=domain[1], yref="paper", yanchor="bottom", yshift=2, showarrow=False,
        )  # fmt: skip
    figure.update_xaxes(
        range=[0.5, max(last, 2) + 0.5], title="epoch", tickformat="d", anchor="y2",
        dtick=1 if last <= 12 else None,
    )  # fmt: skip
    # fixed margins: a longer label moves nothing
    figure.update_layout(height=HEIGHT, margin={"l": 48, "r": 8, "t": 26, "b": 44})
    return figure


def fit_axis(metric: str, values: Sequence[float]) -> tuple[float, float, float]:
    """Return the ends of an axis that holds the values, both on a tick, and the ticks' distance:
    1, 2 or 5 times a power of ten, of an accuracy at least one percent."""
    shown = [value for value in values if math.isfinite(value)] or [0.5, 1.0]
    lowest, highest = min(shown), max(shown)
    least = max(highest - lowest, abs(highest) * 1e-3, 0.02 if metric == "accuracy" else 1e-3)
    power = 10.0 ** math.floor(math.log10(least / TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * TICKS >= least)
    step = max(step, 0.01) if metric == "accuracy" else step
    low, high = math.floor(lowest / step + 1e-9), math.ceil(highest / step - 1e-9)
    return low * step, max(high, low + 1) * step, step


def _name_stages(figure: go.Figure, planned: Mapping[str, int]) -> None:
    """Write each stage's name at its first epoch, with a line between the stages."""
    tone, last = colours(), sum(planned.values()) + 0.5
    first = 0.5
    for place, (stage, epochs) in enumerate((name, n) for name, n in planned.items() if n):
        if place:
            line = {"color": tone.faint, "width": 1, "dash": "dot"}
            figure.add_shape(
                type="line", x0=first, x1=first, y0=0, y1=1, yref="paper", line=line
            )  # fmt: skip
        late = first > last * 0.75  # the name would not fit behind it
        figure.add_annotation(
            text=STAGE_NAMES[stage], x=last if late else first,
            xanchor="right" if late else "left", xshift=0 if late else 6, y=0.5, yref="paper",
            yanchor="middle", showarrow=False, font={"color": tone.faint, "size": 13},
        )  # fmt: skip
        first += epochs


def _exact(metric: str) -> str:
    return "%{y:.2%}" if metric == "accuracy" else "%{y:.4g}"


def _planned(run: Run) -> dict[str, int]:
    """Return the epochs of each stage: as planned while it trains, as they were once it ended."""
    history, config = run.history, run.info.config
    done = {stage: sum(epoch.stage == stage for epoch in history) for stage in STAGE_NAMES}
    if not run.info.active:
        return done
    head = done["head"] if done["fine-tune"] else config.epochs  # it may have stopped early
    return {"head": head, "fine-tune": config.fine_tune_epochs}


def _stages(run: Run) -> list[str]:
    """Return the stages with their times: "features of 244 images in 3.2 s"."""
    begun = next((e for e in run.events if isinstance(e, Stage) and e.stage == "features"), None)
    words = []
    if begun is not None:
        ends = [e.time for e in run.events if isinstance(e, Progress) and e.stage == "features"]
        took = f" in {duration(ends[-1] - begun.time)}" if ends else ""
        images = plural(begun.steps, "image")
        words.append(f"features of {images}{took}" if begun.steps else "features from the cache")
    for stage, name in STAGE_NAMES.items():
        epochs = [epoch for epoch in run.history if epoch.stage == stage]
        if epochs:
            seconds = sum(epoch.seconds for epoch in epochs)
            words.append(f"{name}: {plural(len(epochs), 'epoch')} in {duration(seconds)}")
    return words
