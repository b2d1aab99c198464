"""Numbers and texts as HTML. Every text goes through ``text``: names come from people's folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from tlcore import percentages
from tlcore.evaluation.intervals import Share
from tlcore.text import count as count

NONE = "–"  # where there is no number


def text(words: object) -> str:
    """Return plain words as HTML."""
    return escape(str(words), quote=True)


def exact(value: float, shown: str) -> str:
    """Return a rounded number that carries its exact value."""
    return f'<data value="{value!r}" title="{value:.6g}">{shown}</data>'


def percent(value: float | None) -> str:
    """Return a counted share of 0…1, "94%", with its exact value."""
    return NONE if value is None else exact(value, text(percentages.percent(value)))


def share(found: Share | None, *, pictures: bool = True) -> str:
    """Return a share with its doubt: "94% (90–97, 153 pictures)"."""
    if found is None:
        return NONE
    counted = f", {count(found.pictures, 'picture')}" if pictures else ""
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
