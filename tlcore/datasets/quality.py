"""An image's fingerprint: 64 bits that survive another size, quality or exposure.

The perceptual hash of C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions
(2010): grey, 32 × 32 pixels, discrete cosine transform, and of its 8 × 8 lowest frequencies whether
each is above their median.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tlcore.datasets.image_io import FORMATS, Header, has_image_ending
from tlcore.percentages import percent

SIDE = 32  # pixels that are transformed
LOW = 8  # frequencies a direction that are kept


def phash(grey: NDArray[np.floating[Any]]) -> int:
    """The fingerprint of grey levels, float32 (32, 32): 0 to 2**64 - 1."""
    low = (_cosines() @ grey @ _cosines().T).ravel()
    middle = np.sort(low)[low.size // 2 - 1 : low.size // 2 + 1].sum() / 2
    return int.from_bytes(np.packbits(low > middle).tobytes(), "big")


@cache
def _cosines() -> NDArray[np.floating[Any]]:
    """The lowest rows of the DCT-II, the constant one left out: float32 (8, 32)."""
    rows = np.arange(1, LOW + 1)[:, None]
    columns = np.arange(SIDE)[None, :]
    waves: NDArray[np.floating[Any]] = np.cos(np.pi / SIDE * rows * (columns + 0.5))
    return waves.astype(np.float32)


# What the doctor keeps of an image from the one time it was decoded.


VERSION = 1  # of the measuring: facts of another version are measured again
LOOK = 16  # pixels a side of the small look that candidates for near duplicates are compared by
_REDUCED = 64  # pixels a side of the blended whole
_SAMPLED = 32  # pixels a side that are picked, not blended, to count flatness
COUNTED = 0.7  # share of one colour from which colours are counted: it takes long
_ALIKE = 8  # grey levels a channel within which two pixels are the same ground


@dataclass(frozen=True)
class Facts:
    """One file, by its content; nothing here depends on its name, label or split."""

    sha256: str
    header: Header
    width: int  # pixels, upright
    height: int
    deviation: float  # standard deviation of grey levels, 0 to 127.5
    flat: float  # share of one colour: of pixels within 8 levels of the median, 0 to 1
    colours: int  # distinct among 32 × 32 pixels, counted on a flat ground only; else 1024
    hash: int  # perceptual, 64 bits
    look: str  # RGB, 16 × 16, base64

    def to_json(self) -> dict[str, Any]:
        return {"version": VERSION, **vars(self), "header": vars(self.header)}

    def __post_init__(self) -> None:
        if len(base64.b64decode(self.look)) != LOOK * LOOK * 3:
            raise ValueError("the small look has another size")

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The small look: uint8 (16, 16, 3)."""
        raw = base64.b64decode(self.look)
        return np.frombuffer(raw, np.uint8).reshape(LOOK, LOOK, 3)


def measure(image: Image.Image, header: Header, sha256: str) -> Facts:
    """Look at a decoded image (RGB, upright); a third of the time it took to decode it."""
    small = _reduced(image)
    grey = np.asarray(small.convert("L"), np.float32)
    flat, colours = _ground(grey, image)
    blocks = grey.reshape(SIDE, _REDUCED // SIDE, SIDE, _REDUCED // SIDE)
    look = small.resize((LOOK, LOOK), Image.Resampling.BOX).tobytes()
    return Facts(
        sha256,
        header,
        image.width,
        image.height,
        round(float(grey.std()), 2),
        round(flat, 4),
        colours,
        phash(blocks.mean(axis=(1, 3))),
        base64.b64encode(look).decode("ascii"),
    )


def _reduced(image: Image.Image) -> Image.Image:
    """The whole image as 64 × 64 means, a quick halving first; the box keeps edges in place."""
    factor = max(1, min(image.size) // _REDUCED)
    quick = image.reduce(factor) if factor > 1 else image
    box = (0.0, 0.0, image.width / factor, image.height / factor)
    return quick.resize((_REDUCED, _REDUCED), Image.Resampling.BOX, box=box)


def _ground(grey: NDArray[np.floating[Any]], image: Image.Image) -> tuple[float, int]:
    """The share of one colour in an image, and how many there are beside it.

    Most images have no ground in their grey levels already, and are not looked at in colour.
    """
    levels = grey.ravel()
    median = np.partition(levels, levels.size // 2)[levels.size // 2]
    flat = np.count_nonzero(np.abs(levels - median) <= _ALIKE) / levels.size
    if flat < COUNTED:
        return flat, _SAMPLED**2
    sampled = image.resize((_SAMPLED, _SAMPLED), Image.Resampling.NEAREST)
    pixels = np.asarray(sampled).reshape(-1, 3).astype(np.int16)
    ground = np.median(pixels, axis=0)
    near = (np.abs(pixels - ground) <= _ALIKE).all(axis=1)
    return np.count_nonzero(near) / len(pixels), len(np.unique(pixels, axis=0))


# Faults that one image shows by itself.


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
    return f"a {facts.header.format} image, {named}"


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


# The faults that the doctor knows: what each is called, what it costs, what mends it.


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
        "Same image in two parts",
        DECIDE,
        "Learned by heart in one part and asked for in the other, it makes the accuracy look "
        "better than it is.",
        "Exclude the copies in training",
    ),
    Kind(
        "two-labels",
        "Same image under two labels",
        DECIDE,
        "Whatever the head answers, one of the two labels counts it as wrong.",
        "Exclude all their copies",
    ),
    Kind(
        "uniform",
        "Empty or placeholder images",
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
        "The same image in another size, quality or exposure counts twice, and may end up in "
        "two parts.",
        "Exclude all but the largest",
    ),
    Kind(
        "tiny",
        "Tiny images",
        DECIDE,
        "Blown up to the size a network looks at, it is a blur.",
        "Exclude them",
    ),
    Kind(
        "elongated",
        "Very long or tall images",
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
        "Files that are no images",
        LEFT_OUT,
        "It could not be read as an image and was left out.",
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
        "Only its first image is used.",
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
        "See-through images",
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
        "We bring it to 8 bits by the full range: an image that uses little of it looks dark.",
        "Exclude them",
    ),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})


# Classes with too few images, and with how many they would be enough.


ENOUGH = 20  # images of a class: 16 to learn from, 4 to judge by
UNEVEN = 3.0  # how often the largest class may hold the smallest


@dataclass(frozen=True)
class Shortage:
    """A class that needs more images."""

    label: str
    have: int
    enough: int  # images in all that would be
    words: str  # why, and what to do


def shortages(counts: Mapping[str, int]) -> tuple[Shortage, ...]:
    """The classes that are too small by themselves or beside the largest, smallest first."""
    largest = max(counts.values(), default=0)
    found = [
        short
        for label, have in sorted(counts.items(), key=lambda item: (item[1], item[0]))
        if (short := _too_few(label, have) or _uneven(label, have, largest)) is not None
    ]
    return tuple(found)


def _too_few(label: str, have: int) -> Shortage | None:
    if have >= ENOUGH:
        return None
    return Shortage(
        label,
        have,
        ENOUGH,
        f"{have} so far, {ENOUGH - have} more make the {ENOUGH} from which a head learns and can "
        "be judged.",
    )


def _uneven(label: str, have: int, largest: int) -> Shortage | None:
    enough = math.ceil(largest / UNEVEN)
    if have >= enough:
        return None
    return Shortage(
        label,
        have,
        enough,
        f"{have} beside {largest} in the largest class: always guessing that class is right on "
        f"{percent(largest / (have + largest))} of the two. With {enough}, a third of it, that "
        f"falls to {percent(largest / (enough + largest))}. Add {enough - have}, or use fewer of "
        "the others.",
    )
