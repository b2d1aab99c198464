"""Charts of a report: SVG and HTML bars, sharp on a screen and on paper, with searchable text.

Colours are those of the dashboard: the custom head orange, the pretrained network blue, what is
frozen grey (Okabe and Ito, told apart with any kind of colour vision).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from tlcore.evaluation.intervals import Proportion
from tlcore.evaluation.metrics import Calibration
from tlcore.percentages import percent, probability
from tlcore.text import plural
from tlcore.training.history import Epoch

HEAD, PRETRAINED, GREY, DARK_GREY = "#D55E00", "#0072B2", "#8A95A3", "#5F6B7A"
WIDTH, HEIGHT = 420, 236  # of a chart of curves, in its own units
LEFT, RIGHT, TOP, BOTTOM = 44, 92, 12, 36  # margins
MAX_DOTS = 40  # epochs, up to which each has a dot
Scale = Callable[[float], float]


@dataclass(frozen=True)
class Bar:
    """One bar of a comparison."""

    name: str
    share: Proportion
    colour: str


def draw_bars(bars: Sequence[Bar]) -> Markup:
    """Return shares one below the other on a scale from 0 to 100%, each with its 95% interval.

    In HTML, not SVG: the text keeps its size on a narrow screen.
    """
    rows = [
        f"<div class=bar><span>{escape(bar.name)}</span>"
        f"<b>{escape(percent(bar.share.value))}</b>"
        f'<i><em style="width:{bar.share.value:.2%};background:{bar.colour}"></em>'
        f'<u style="left:{bar.share.low:.2%};width:{bar.share.high - bar.share.low:.2%}"></u></i>'
        "</div>"
        for bar in bars
    ]
    return Markup(f"<div class=bars>{''.join(rows)}</div>")


def draw_curve(history: Sequence[Epoch], metric: str, boundary: int | None) -> Markup:
    """Return the curve of a metric for training and validation as SVG.

    Args:
        history: at least one epoch.
        metric: "accuracy" or "loss".
        boundary: the last epoch of the head alone, where fine-tuning follows; else None.
    """
    train = [float(getattr(epoch, metric)) for epoch in history]
    val = [float(getattr(epoch, f"val_{metric}")) for epoch in history]
    low, high = _axis_limits(metric, [*train, *val])
    train, val = (
        [value if math.isfinite(value) else high for value in values]  # not finite: off the scale
        for values in (train, val)
    )
    last = max(len(history), 2)

    def x(epoch: float) -> float:
        return LEFT + (epoch - 1) / (last - 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    form = ".0%" if metric == "accuracy" else ".2g"
    parts = [
        _grid([low + (high - low) * step / 4 for step in range(5)], y, form),
        _epoch_ticks(last, x),
        _boundary(boundary, x),
        _line([(x(i), y(value)) for i, value in enumerate(train, 1)], GREY, 1.8),
        _line([(x(i), y(value)) for i, value in enumerate(val, 1)], HEAD, 2.4),
        _line_names(x(len(history)), y(train[-1]), y(val[-1])),
    ]
    return _svg(WIDTH, HEIGHT, parts, f"Curve of the {metric} over {len(history)} epochs")


def draw_reliability(calibration: Calibration) -> Markup:
    """Return accuracy over confidence as SVG; a calibrated model lies on the diagonal."""
    left, top, span = 58.0, 14.0, 220.0

    def x(value: float) -> float:
        return left + value * span

    def y(value: float) -> float:
        return top + (1 - value) * span

    steps = (0, 0.25, 0.5, 0.75, 1)
    grid = [
        f'<path class=grid d="M{left} {y(v):.1f}H{x(1):.1f}"/>'
        + _text(left - 6, y(v) + 4, f"{v:.0%}", anchor="end")
        + _text(x(v), y(0) + 16, f"{v:.0%}", anchor="middle")
        for v in steps
    ]
    most = max(each.images for each in calibration.bins)
    dots = [
        f'<circle cx="{x(each.confidence):.1f}" cy="{y(each.accuracy):.1f}" '
        f'r="{3 + 9 * math.sqrt(each.images / most):.1f}" fill="{HEAD}" fill-opacity=".8">'
        f"<title>{plural(each.images, 'image')}, confidence "
        f"{escape(probability(each.confidence))}, accuracy {escape(percent(each.accuracy))}"
        "</title></circle>"
        for each in calibration.bins
    ]
    diagonal = f'<path class=mark d="M{x(0)} {y(0)}L{x(1)} {y(1)}"/>'
    names = _text(x(0.5), y(0) + 33, "confidence", anchor="middle") + (
        f'<text class=tick transform="translate(12 {y(0.5)}) rotate(-90)" text-anchor="middle">'
        "accuracy</text>"
    )
    return _svg(300, 274, [*grid, diagonal, *dots, names], "Reliability diagram")


def _svg(width: float, height: float, parts: Sequence[str], description: str) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(description)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, words: str, *, anchor: str) -> str:
    return f'<text class=tick x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def _axis_limits(metric: str, values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis; a loss ends at 1, 2, 4, 6 or 8 × a power of ten: a quarter of
    it is a round number."""
    if metric == "accuracy":
        return min(math.floor(min(values) * 10) / 10, 0.9), 1.0
    highest = max((value for value in values if math.isfinite(value)), default=1.0) or 1.0
    power = 10 ** math.floor(math.log10(highest))
    return 0.0, next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= highest)


def _grid(values: Sequence[float], y: Scale, form: str) -> str:
    return "".join(
        f'<path class=grid d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}"/>'
        + _text(LEFT - 6, y(value) + 4, format(value, form), anchor="end")
        for value in values
    )


def _epoch_ticks(last: int, x: Scale) -> str:
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if last / s <= 10)
    epochs = [1, *(epoch for epoch in range(step, last + 1, step) if epoch > 1)]
    ticks = [_text(x(epoch), HEIGHT - BOTTOM + 16, str(epoch), anchor="middle") for epoch in epochs]
    name = _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 3, "epoch", anchor="middle")
    return "".join([*ticks, name])


def _boundary(boundary: int | None, x: Scale) -> str:
    if boundary is None:
        return ""
    at = x(boundary + 0.5)
    return (
        f'<path class=mark d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}"/><text class=tick '
        f'transform="translate({at - 4:.1f} {HEIGHT - BOTTOM - 6}) rotate(-90)">'
        "fine-tuning</text>"
    )


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 0.4:g}" fill="{colour}"/>'
        for x, y in points
        if len(points) <= MAX_DOTS
    )
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>{dots}'


def _line_names(x: float, train: float, val: float) -> str:
    """Return names at the ends of the lines, far enough apart to be read."""
    if abs(train - val) < 14:
        middle, sign = (train + val) / 2, 1 if train >= val else -1
        train, val = middle + 7 * sign, middle - 7 * sign
    return "".join(
        f'<text class=name x="{x + 9:.1f}" y="{y + 4:.1f}" fill="{colour}">{name}</text>'
        for name, y, colour in (("training", train, DARK_GREY), ("validation", val, HEAD))
    )
