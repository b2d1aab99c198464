"""A canvas to draw smooth shapes on, and the few means that every drawing shares.

Coordinates are pixels of the finished picture, x to the right and y down. Inside, everything is
drawn twice as large and averaged at the end, which smooths the edges. What will be out of focus
anyway is drawn and blurred at half the size: a whole set is drawn while a person waits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]  # RGB, 0 to 255
Point = tuple[float, float]

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Place:
    """Where a thing stands: its own coordinates, about -1 to 1, to those of the picture."""

    x: float  # of its origin
    y: float
    size: float  # pixels of one unit
    turn: float = 0.0  # radians, clockwise
    squeeze: float = 1.0  # of its height, for things seen from the side

    def all(self, points: Iterable[Point]) -> list[Point]:
        cos, sin = self.size * math.cos(self.turn), self.size * math.sin(self.turn)
        down, left = cos * self.squeeze, sin * self.squeeze
        return [(self.x + x * cos - y * left, self.y + x * sin + y * down) for x, y in points]


class Canvas:
    """A picture to draw on."""

    def __init__(self, ground: Image.Image, finer: float = 2.0) -> None:
        """Begin with a copy of `ground`; `finer` is how much larger everything is drawn."""
        self.width, self.height = ground.size
        self._finer = finer
        size = (round(self.width * finer), round(self.height * finer))
        self._image = ground.resize(size, Image.Resampling.BILINEAR)
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def shape(self, points: Iterable[Point], colour: Colour, alpha: float = 1.0) -> None:
        """Fill a polygon."""
        finer = self._finer
        outline = [(x * finer, y * finer) for x, y in points]
        self._draw.polygon(outline, fill=(*colour, round(255 * alpha)))

    def line(self, points: Iterable[Point], width: float, colour: Colour) -> None:
        """Draw a line through the points, at least as wide as can be seen."""
        finer = self._finer
        thick = max(1, round(width * finer))
        self._draw.line([(x * finer, y * finer) for x, y in points], fill=colour, width=thick)

    def finished(self, blur: float = 0.0) -> Image.Image:
        """The picture at its size; `blur` is the radius in its pixels, 0 for sharp."""
        if blur:
            soft = self._image.filter(ImageFilter.GaussianBlur(blur * self._finer))
            return soft.resize((self.width, self.height), Image.Resampling.BILINEAR)
        return self._image.reduce(round(self._finer))


def ellipse(x: float, y: float, wide: float, high: float, corners: int = 40) -> list[Point]:
    """The outline of an ellipse by its centre and half axes."""
    angles = (2 * math.pi * i / corners for i in range(corners))
    return [(x + wide * math.cos(a), y + high * math.sin(a)) for a in angles]


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two: `share` 0 gives the one, 1 the other; beyond is cut off."""
    share = min(max(share, 0.0), 1.0)
    return (
        round(one[0] + (other[0] - one[0]) * share),
        round(one[1] + (other[1] - one[1]) * share),
        round(one[2] + (other[2] - one[2]) * share),
    )


def lit(colour: Colour, light: float) -> Colour:
    """A colour in light: 1 leaves it, below 1 darkens, above brightens toward white."""
    return mix(BLACK, colour, light) if light <= 1 else mix(colour, WHITE, light - 1)


def varied(random: Random, colour: Colour, by: int = 14) -> Colour:
    """A colour a little beside the given one."""
    red, green, blue = (min(max(c + random.randint(-by, by), 0), 255) for c in colour)
    return red, green, blue


def gradient(size: tuple[int, int], colours: Sequence[Colour]) -> Image.Image:
    """Colours from top to bottom, evenly apart and blended."""
    column = Image.new("RGB", (1, len(colours)))
    column.putdata(list(colours))
    return column.resize(size, Image.Resampling.BICUBIC)


def noise(random: Random, size: tuple[int, int], across: int, down: int) -> Image.Image:
    """Soft random greys, mode L, with so many cells across and down."""
    cells = Image.frombytes("L", (across, down), random.randbytes(across * down))
    return cells.resize(size, Image.Resampling.BICUBIC)


def clouded(random: Random, size: tuple[int, int], across: int, down: int) -> Image.Image:
    """Noise with finer noise on it, mode L."""
    half = (size[0] // 2, size[1] // 2)  # soft anyway
    coarse = noise(random, half, across, down)
    middle = noise(random, half, across * 2, down * 2)
    fine = noise(random, half, across * 5, down * 5)
    clouds = Image.blend(Image.blend(coarse, middle, 0.38), fine, 0.18)
    return clouds.resize(size, Image.Resampling.BILINEAR)
