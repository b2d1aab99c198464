"""Numbers and texts as HTML. Every text goes through ``text``: names come from people's folders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from tlcore import percentages
from tlcore.evaluation.intervals import Proportion
from tlcore.evaluation.metrics import Calibration
from tlcore.percentages import percent, probability
from tlcore.text import count as count
from tlcore.training.history import Epoch

NONE = "–"  # where there is no number


def text(words: object) -> str:
    """Return plain words as HTML."""
    return escape(str(words), quote=True)


def exact(value: float, shown: str) -> str:
    """Return a rounded number that carries its exact value."""
    return f'<data value="{value!r}" title="{value:.6g}">{shown}</data>'


def marks_percent(value: float | None) -> str:
    """Return a counted share of 0…1, "94%", with its exact value."""
    return NONE if value is None else exact(value, text(percentages.percent(value)))


def share(found: Proportion | None, *, images: bool = True) -> str:
    """Return a share with its doubt: "94% (90–97, 153 images)"."""
    if found is None:
        return NONE
    counted = f", {count(found.images, 'image')}" if images else ""
    doubt = f"{percentages.bounds(found.low, found.high)}{counted}"
    return f'{percent(found.value)} <span class="doubt">({doubt})</span>'


def not_shown(number: int, noun: str, plural: str = "") -> str:
    """Return "1 more class is not shown.", "12 more classes are not shown."."""
    return f"{count(number, noun, plural)} {'is' if number == 1 else 'are'} not shown."


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return a table of cells that are HTML already; the first column names its row."""
    top = "".join(f"<th scope=col>{cell}</th>" for cell in head)
    body = "".join(
        f"<tr><th scope=row>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    start = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f'<div class=wide><table class="{kind}">{start}<tbody>{body}</tbody></table></div>'


def section(title: str, *parts: str, lead: str = "") -> str:
    """Return a section; parts that are empty are left out."""
    first = f"<p class=lead>{lead}</p>" if lead else ""
    return f"<section><h2>{text(title)}</h2>{first}{''.join(parts)}</section>"


def figure(drawing: str, words: str) -> str:
    """Return a drawing with a caption, both HTML already."""
    return f"<figure>{drawing}<figcaption>{words}</figcaption></figure>"


def listed(lines: Iterable[str], kind: str = "") -> str:
    """Return a list of HTML lines, or nothing."""
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f'<ul class="{kind}">{items}</ul>' if items else ""


# Charts as SVG: sharp on a screen and on paper, with words that can be searched and read aloud.
#
# Colours are those of the dashboard: what it was trained for in orange, what it brought in blue,
# what stands still in grey (Okabe and Ito, told apart with any kind of colour vision).


HEAD, PRETRAINED, GREY = "#D55E00", "#0072B2", "#8A95A3"
WIDE, HIGH = 420, 236  # of a chart of curves, in its own units
LEFT, RIGHT, TOP, BOTTOM = 44, 92, 12, 36  # margins
FEW = 40  # epochs, up to which each has a dot


@dataclass(frozen=True)
class Row:
    """One bar of a comparison."""

    name: str
    share: Proportion
    colour: str


def svg(width: float, height: float, inner: str, words: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{text(words)}">'
        f"{inner}</svg>"
    )


def curves(history: Sequence[Epoch], what: str, boundary: int | None) -> str:
    """Draw the curve of "accuracy" or "loss" for both parts.

    Args:
        history: at least one epoch.
        what: "accuracy" or "loss".
        boundary: the last epoch before the top blocks learned as well, or None.
    """
    train = [float(getattr(epoch, what)) for epoch in history]
    val = [float(getattr(epoch, f"val_{what}")) for epoch in history]
    low, high = (_floor(train + val), 1.0) if what == "accuracy" else (0.0, _ceiling(train + val))
    last = max(len(history), 2)
    train, val = (
        [value if math.isfinite(value) else high for value in part]  # no number: off the scale
        for part in (train, val)
    )

    def x(epoch: float) -> float:
        return LEFT + (epoch - 1) / (last - 1) * (WIDE - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HIGH - TOP - BOTTOM)

    shown = (lambda v: f"{v:.0%}") if what == "accuracy" else (lambda v: f"{v:.2g}")
    parts = [
        _grid(low, high, y, shown),
        _epochs(last, x),
        _mark(boundary, x),
        _line([(x(i), y(v)) for i, v in enumerate(train, 1)], GREY, 1.8),
        _line([(x(i), y(v)) for i, v in enumerate(val, 1)], HEAD, 2.4),
        _ends(x(len(history)), y(train[-1]), y(val[-1])),
    ]
    return svg(WIDE, HIGH, "".join(parts), f"Curve of the {what} over {len(history)} epochs")


def _floor(values: Sequence[float]) -> float:
    return min(math.floor(min(values) * 10) / 10, 0.9)


def _ceiling(values: Sequence[float]) -> float:
    """The next of 1, 2, 4, 6, 8 … above all values: a quarter of it is a round number."""
    highest = max([value for value in values if math.isfinite(value)] or [1.0]) or 1.0
    power = 10 ** math.floor(math.log10(highest))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= highest)


def _grid(
    low: float, high: float, y: Callable[[float], float], shown: Callable[[float], str]
) -> str:
    lines = []
    for place in range(5):
        value = low + (high - low) * place / 4
        lines.append(f'<path class=grid d="M{LEFT} {y(value):.1f}H{WIDE - RIGHT}"/>')
        lines.append(
            f'<text class=tick x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{shown(value)}</text>"
        )
    return "".join(lines)


def _epochs(last: int, x: Callable[[float], float]) -> str:
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if last / s <= 10)
    shown = [1, *(epoch for epoch in range(step, last + 1, step) if epoch > 1)]
    ticks = "".join(
        f'<text class=tick x="{x(epoch):.1f}" y="{HIGH - BOTTOM + 16}" text-anchor="middle">'
        f"{epoch}</text>"
        for epoch in shown
    )
    middle = (LEFT + WIDE - RIGHT) / 2
    return f'{ticks}<text class=tick x="{middle}" y="{HIGH - 3}" text-anchor="middle">epoch</text>'


def _mark(boundary: int | None, x: Callable[[float], float]) -> str:
    if boundary is None:
        return ""
    at = x(boundary + 0.5)
    return (
        f'<path class=mark d="M{at:.1f} {TOP}V{HIGH - BOTTOM}"/><text class=tick '
        f'transform="translate({at - 4:.1f} {HIGH - BOTTOM - 6}) rotate(-90)">'
        "top blocks learn too</text>"
    )


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 0.4:g}" fill="{colour}"/>'
        for x, y in points
        if len(points) <= FEW
    )
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>{dots}'


def _ends(x: float, train: float, val: float) -> str:
    """Names at the ends of the lines, far enough apart to be read."""
    if abs(train - val) < 14:
        middle, sign = (train + val) / 2, 1 if train >= val else -1
        train, val = middle + 7 * sign, middle - 7 * sign
    return "".join(
        f'<text class=name x="{x + 9:.1f}" y="{y + 4:.1f}" fill="{colour}">{name}</text>'
        for name, y, colour in (("training", train, "#5F6B7A"), ("validation", val, HEAD))
    )


def bars(rows: Sequence[Row]) -> str:
    """Draw shares one below the other on a scale from 0 to 100%, each with its 95% interval.

    In HTML, not SVG: the words keep their size on a narrow screen.
    """

    def bar(row: Row) -> str:
        low, high = row.share.low * 100, row.share.high * 100
        return (
            f"<div class=bar><span>{text(row.name)}</span><b>{text(percent(row.share.value))}</b>"
            f'<i><em style="width:{row.share.value * 100:.2f}%;background:{row.colour}"></em>'
            f'<u style="left:{low:.2f}%;width:{high - low:.2f}%"></u></i></div>'
        )

    return f"<div class=bars>{''.join(map(bar, rows))}</div>"


def reliability(found: Calibration) -> str:
    """Draw how sure it was against how often it was right; on the diagonal it is honest."""
    side, left = 300.0, 58.0
    span = side - left - 22

    def x(value: float) -> float:
        return left + value * span

    def y(value: float) -> float:
        return 14 + (1 - value) * span

    ticks = "".join(
        f'<path class=grid d="M{left} {y(v):.1f}H{x(1):.1f}"/>'
        f'<text class=tick x="{left - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.0%}</text>'
        f'<text class=tick x="{x(v):.1f}" y="{y(0) + 16:.1f}" text-anchor="middle">{v:.0%}</text>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    )
    most = max(each.images for each in found.bins)
    dots = "".join(
        f'<circle cx="{x(each.confidence):.1f}" cy="{y(each.accuracy):.1f}" '
        f'r="{3 + 9 * math.sqrt(each.images / most):.1f}" fill="{HEAD}" fill-opacity=".8">'
        f"<title>{count(each.images, 'answer')}, {text(probability(each.confidence))} sure, "
        f"{text(percent(each.accuracy))} right</title></circle>"
        for each in found.bins
    )
    diagonal = f'<path class=mark d="M{x(0)} {y(0)}L{x(1)} {y(1)}"/>'
    names = (
        f'<text class=tick x="{x(0.5)}" y="{y(0) + 33:.1f}" text-anchor="middle">'
        "how sure it was</text>"
        f'<text class=tick transform="translate(12 {y(0.5)}) rotate(-90)" text-anchor="middle">'
        "how often it was right</text>"
    )
    return svg(side, 274, ticks + diagonal + dots + names, "Reliability diagram")
