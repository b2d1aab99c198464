"""The faults that the doctor knows: what each is called, what it costs, what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

LEFT_OUT, DECIDE, HANDLED = "left out", "decide", "handled"


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    name: str
    title: str  # in the plural, without a number
    level: str  # "left out" on arrival, to "decide" about, or "handled" for the person
    consequence: str  # what happens if nothing is done, one sentence
    mend: str = ""  # what "fix all" does, in words; "" where there is nothing to exclude


_ALL = (
    Kind(
        "leak",
        "Same picture in two parts",
        DECIDE,
        "Learned by heart in one part and asked for in the other, it makes the accuracy look "
        "better than it is.",
        "Exclude the copies in training",
    ),
    Kind(
        "two-labels",
        "Same picture under two labels",
        DECIDE,
        "Whatever the head answers, one of the two labels counts it as wrong.",
        "Exclude all their copies",
    ),
    Kind(
        "uniform",
        "Empty or placeholder pictures",
        DECIDE,
        "Nearly all of one colour: nothing of the class can be learned from it.",
        "Exclude them",
    ),
    Kind(
        "duplicate",
        "Exact copies",
        DECIDE,
        "The same file twice counts twice, and says nothing new.",
        "Exclude all but one",
    ),
    Kind(
        "near-duplicate",
        "Near copies",
        DECIDE,
        "The same picture in another size, quality or exposure counts twice, and may end up in "
        "two parts.",
        "Exclude all but the largest",
    ),
    Kind(
        "tiny",
        "Tiny pictures",
        DECIDE,
        "Blown up to the size a network looks at, it is a blur.",
        "Exclude them",
    ),
    Kind(
        "elongated",
        "Very long or tall pictures",
        DECIDE,
        "The crop that a network sees keeps only a small part of it.",
        "Exclude them",
    ),
    Kind(
        "truncated",
        "Truncated or damaged files",
        LEFT_OUT,
        "Part of the file is missing: it was left out, bring it again if you have it whole.",
    ),
    Kind(
        "unreadable",
        "Files that are no pictures",
        LEFT_OUT,
        "It could not be read as a picture and was left out.",
    ),
    Kind("too-large", "Files beyond the limits", LEFT_OUT, "It was left out: make it smaller."),
    Kind(
        "wrong-ending",
        "Names that end wrongly",
        HANDLED,
        "We read it by its content; other programs may refuse it or pass it over.",
        "Exclude them",
    ),
    Kind(
        "animated",
        "Animations and many-page files",
        HANDLED,
        "Only its first picture is used.",
        "Exclude them",
    ),
    Kind(
        "rotated",
        "Turned by the camera's mark",
        HANDLED,
        "We turn it upright; programs that pass the mark over see it lying on its side.",
        "Exclude them",
    ),
    Kind(
        "alpha",
        "See-through pictures",
        HANDLED,
        "We lay it on white; on another ground it would look different.",
        "Exclude them",
    ),
    Kind(
        "cmyk",
        "Colours for print (CMYK)",
        HANDLED,
        "We convert it without its colour profile: its colours may be a little off.",
        "Exclude them",
    ),
    Kind(
        "deep",
        "More than 8 bits a channel",
        HANDLED,
        "We bring it to 8 bits by the full range: a picture that uses little of it looks dark.",
        "Exclude them",
    ),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})
