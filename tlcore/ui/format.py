"""Numbers and names for people: with a unit, and no more figures than are significant."""

from __future__ import annotations

import re
import time

from tlcore.evaluation.intervals import Proportion, wilson_interval
from tlcore.models.imagenet import imagenet_word
from tlcore.percentages import percent
from tlcore.text import plural as plural

_MARKDOWN = re.compile(r"([\\*_$\[\]<>~#|:])")
_ICON = re.compile(r":(?=[a-z0-9_+/-]+:)")  # ":material/star:" is read behind a backslash too


def accuracy(share: float, images: int) -> str:
    """Return an accuracy with its doubt: "94% (90–97, 153 images)"."""
    if not images:
        return percent(share)
    return Proportion(share, *wilson_interval(share, images), images).text


def duration(seconds: float) -> str:
    """Return "15 ms", "2.4 s", "48 s", "3 min 5 s", "1 h 4 min"."""
    if seconds < 0.995:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def time_ago(moment: float, now: float | None = None) -> str:
    """Return how long ago a moment (s since 1970) was: "just now", "5 min ago", "3 days ago"."""
    seconds = max(0.0, (time.time() if now is None else now) - moment)
    for unit, length in (("day", 86400), ("hour", 3600)):
        if seconds >= length:
            return f"{plural(int(seconds // length), unit)} ago"
    return f"{int(seconds // 60)} min ago" if seconds >= 60 else "just now"


def non_breaking(text: str) -> str:
    """Return a text that no line end tears apart: "1.3 s"."""
    return text.replace(" ", "\u00a0")


def signed(number: float) -> str:
    """Return three figures with a true minus sign: "−36.8"."""
    return f"{number:.3g}".replace("-", "−")


def label(name: str) -> str:
    """Return a class name as words: "great grey owl", of an ImageNet id "tabby (n02123045)"."""
    return imagenet_word(name).replace("_", " ")


def escape_md(text: str) -> str:
    """Return a text for Markdown that shows as it is, but for `code` between backticks."""

    def shown(part: str) -> str:
        return _MARKDOWN.sub(r"\\\1", _ICON.sub(":\u2060", part))

    parts = text.split("`")
    if len(parts) % 2 == 0:  # an unpaired backtick is one more sign to show
        return shown(text).replace("`", "\\`")
    return "`".join(part if place % 2 else shown(part) for place, part in enumerate(parts))
