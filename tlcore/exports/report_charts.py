"""Charts of a report as SVG: sharp on a screen and on paper, with searchable text.

Colours are those of the dashboard: the custom head orange, the pretrained network blue, what is
frozen grey (Okabe and Ito, told apart with any kind of colour vision).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from tlcore.evaluation.metrics import Calibration
from tlcore.percentages import percent, probability
from tlcore.text import plural
from tlcore.training.history import Epoch

HEAD, PRETRAINED, GREY, DARK_GREY = "#D55E00", "#0072B2", "#8A95A3", "#5F6B7A"
WIDTH, HEIGHT = 420, 236  # of a chart of curves, in its own units
LEFT, RIGHT, TOP, BOTTOM = 44, 328, 12, 200  # edges of its axes
MAX_DOTS = 40  # epochs, up to which each has a dot


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
    last = max(len(history), 2)

    def x(epoch: float) -> float:
        return LEFT + (epoch - 1) / (last - 1) * (RIGHT - LEFT)

    def y(value: float) -> float:
        shown = value if math.isfinite(value) else high  # not finite: off the scale
        return TOP + (high - shown) / (high - low) * (BOTTOM - TOP)

    parts = [_text((LEFT + RIGHT) / 2, HEIGHT - 3, "epoch", "middle")]
    for value in (low + (high - low) * step / 4 for step in range(5)):
        label = f"{value:.0%}" if metric == "accuracy" else f"{value:.2g}"
        parts.append(f'<path class=grid d="M{LEFT} {y(value):.1f}H{RIGHT}"/>')
        parts.append(_text(LEFT - 6, y(value) + 4, label, "end"))
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if last / s <= 10)
    for epoch in sorted({1, *range(step, last + 1, step)}):
        parts.append(_text(x(epoch), BOTTOM + 16, str(epoch), "middle"))
    if boundary is not None:
        at = x(boundary + 0.5)
        parts.append(f'<path class=mark d="M{at:.1f} {TOP}V{BOTTOM}"/>')
        parts.append(_upright(at - 4, BOTTOM - 6, "fine-tuning", "start"))
    for values, colour, width in ((train, GREY, 1.8), (val, HEAD, 2.4)):
        points = [(x(epoch), y(value)) for epoch, value in enumerate(values, start=1)]
        parts.append(_line(points, colour, width))
    parts.append(_line_names(x(len(history)) + 9, y(train[-1]) + 4, y(val[-1]) + 4))
    return _svg(WIDTH, HEIGHT, parts, f"Curve of the {metric} over {len(history)} epochs")


def draw_reliability(calibration: Calibration) -> Markup:
    """Return accuracy over confidence as SVG; a calibrated model lies on the diagonal."""
    left, top, span = 58.0, 14.0, 220.0

    def x(value: float) -> float:
        return left + value * span

    def y(value: float) -> float:
        return top + (1 - value) * span

    parts = [f'<path class=mark d="M{x(0)} {y(0)}L{x(1)} {y(1)}"/>']
    for value in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<path class=grid d="M{left} {y(value):.1f}H{x(1):.1f}"/>')
        parts.append(_text(left - 6, y(value) + 4, f"{value:.0%}", "end"))
        parts.append(_text(x(value), y(0) + 16, f"{value:.0%}", "middle"))
    most = max(each.images for each in calibration.bins)
    for each in calibration.bins:
        sure, right = escape(probability(each.confidence)), escape(percent(each.accuracy))
        parts.append(
            f'<circle cx="{x(each.confidence):.1f}" cy="{y(each.accuracy):.1f}" '
            f'r="{3 + 9 * math.sqrt(each.images / most):.1f}" fill="{HEAD}" fill-opacity=".8">'
            f"<title>{plural(each.images, 'image')}, confidence {sure}, accuracy {right}</title>"
            "</circle>"
        )
    parts.append(_text(x(0.5), y(0) + 33, "confidence", "middle"))
    parts.append(_upright(12, y(0.5), "accuracy", "middle"))
    return _svg(300, 274, parts, "Reliability diagram")


def _svg(width: float, height: float, parts: Sequence[str], description: str) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(description)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text class=tick x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def _upright(x: float, y: float, words: str, anchor: str) -> str:
    place = f"translate({x:.1f} {y:.1f}) rotate(-90)"
    return f'<text class=tick transform="{place}" text-anchor="{anchor}">{words}</text>'


def _axis_limits(metric: str, values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis; a loss ends at 1, 2, 4, 6 or 8 × a power of ten: a quarter of
    it is a round number."""
    if metric == "accuracy":
        return min(math.floor(min(values) * 10) / 10, 0.9), 1.0
    highest = max((value for value in values if math.isfinite(value)), default=1.0) or 1.0
    power = 10 ** math.floor(math.log10(highest))
    return 0.0, next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= highest)


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
        f'<text class=name x="{x:.1f}" y="{y:.1f}" fill="{colour}">{name}</text>'
        for name, y, colour in (("training", train, DARK_GREY), ("validation", val, HEAD))
    )
