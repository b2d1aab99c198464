"""Faults that one picture shows by itself."""

from __future__ import annotations

from collections.abc import Callable

from tlcore.datasets.doctor.facts import Facts
from tlcore.datasets.formats import FORMATS, has_image_ending
from tlcore.percentages import percent

TINY = 64  # pixels; a shorter short side is blurred at every size a network takes
ELONGATED = 3.0  # long side by short side: the crop then keeps less than a third
_DEVIATION = 5.0  # grey levels; less is one colour, with the noise of a camera or a JPEG
_FLAT = 0.9  # share of one colour that only placeholders have ...
_FLAT_AND_FEW, _FEW = 0.8, 32  # ... or less of it, with as few colours as only drawings have

Test = Callable[[str, Facts], str]  # file's name, facts → what was found, "" for nothing


def _wrong_ending(file: str, facts: Facts) -> str:
    ending = file.rpartition(".")[2].lower() if "." in file.rpartition("/")[2] else ""
    if ending in FORMATS[facts.header.format].endings:
        return ""
    named = f"named .{ending}" if has_image_ending(file) or ending else "named without an ending"
    return f"a {facts.header.format} picture, {named}"


def _uniform(file: str, facts: Facts) -> str:
    few = facts.flat >= _FLAT_AND_FEW and facts.colours <= _FEW
    if facts.deviation < _DEVIATION or facts.flat >= _FLAT or few:
        return f"{percent(facts.flat)} of it is one colour"
    return ""


def _tiny(file: str, facts: Facts) -> str:
    return _size(facts) if min(facts.width, facts.height) < TINY else ""


def _elongated(file: str, facts: Facts) -> str:
    long, short = max(facts.width, facts.height), min(facts.width, facts.height)
    return f"{_size(facts)}, {long / short:.1f} to 1" if long > ELONGATED * short else ""


def _size(facts: Facts) -> str:
    return f"{facts.width} × {facts.height} pixels"


SINGLE: tuple[tuple[str, Test], ...] = (
    ("uniform", _uniform),
    ("tiny", _tiny),
    ("elongated", _elongated),
    ("wrong-ending", _wrong_ending),
    ("animated", lambda file, facts: facts.header.format if facts.header.animated else ""),
    ("rotated", lambda file, facts: _size(facts) + " upright" if facts.header.turned else ""),
    ("alpha", lambda file, facts: f"mode {facts.header.mode}" if facts.header.see_through else ""),
    ("cmyk", lambda file, facts: "mode CMYK" if facts.header.mode == "CMYK" else ""),
    ("deep", lambda file, facts: f"a {facts.header.format}" if facts.header.deep else ""),
)
