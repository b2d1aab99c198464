"""A sailboat: hull, mast and two or three sails that catch the light, mirrored in the water."""

from __future__ import annotations

from random import Random

from PIL import Image

from tlcore.datasets.drawn import scenes
from tlcore.datasets.drawn.canvas import WHITE, Canvas, Colour, Place, Point, lit, mix, varied

_SAILS: tuple[Colour, ...] = (
    (246, 244, 238), (246, 244, 238), (246, 244, 238), (236, 226, 200), (170, 60, 46),
    (228, 200, 90), (60, 96, 150),
)  # fmt: skip
_HULLS: tuple[Colour, ...] = (
    (240, 240, 238), (28, 48, 86), (122, 76, 44), (150, 34, 34), (36, 84, 78), (40, 40, 44),
)  # fmt: skip
_STRIPS = 12  # of shade across a sail


def sailboat(random: Random, size: tuple[int, int]) -> Image.Image:
    """A boat under sail, sometimes with others toward the horizon."""
    width, height = size
    horizon = round(height * random.uniform(0.5, 0.72))
    canvas = Canvas(scenes.sea(random, size, horizon))
    for _ in range(random.choice((0, 0, 1, 2))):
        x = random.uniform(0.05, 0.95) * width
        place = Place(x, horizon + 3, height * random.uniform(0.03, 0.07))
        _boat(random, canvas, place, random.choice((-1, 1)))
    tall = height * random.uniform(0.24, 0.34)
    x = width * random.uniform(0.36, 0.64)
    y = max(horizon + height * random.uniform(0.04, 0.16), tall * 2.2)
    heel = random.uniform(-0.12, 0.12)
    place = Place(x, min(y, height * 0.9), tall, heel)
    _boat(random, canvas, place, random.choice((-1, 1)))
    return canvas.finished()


def _boat(random: Random, canvas: Canvas, place: Place, bow: int) -> None:
    """`bow` is 1 for a boat that sails to the right, -1 to the left."""
    sail = varied(random, random.choice(_SAILS), 6)
    jib = sail if random.random() < 0.6 else varied(random, random.choice(_SAILS), 6)
    hull = varied(random, random.choice(_HULLS))
    _mirror(random, canvas, place, sail, hull)
    mast = random.uniform(1.75, 2.0)
    _sail(canvas, place, bow, sail, ((-0.02, -mast), (-0.72, -0.3), (-0.02, -0.3)), 0.16)
    _sail(canvas, place, bow, jib, ((0.06, -mast * 0.86), (0.1, -0.26), (0.8, -0.2)), -0.1)
    canvas.line(place.all([(0, -mast - 0.05), (0, -0.1)]), place.size / 40, (70, 56, 44))
    canvas.line(
        place.all([(0.02 * bow, -0.27), (-0.74 * bow, -0.27)]), place.size / 45, (70, 56, 44)
    )
    canvas.line(place.all([(0, -mast), (0.88 * bow, -0.14)]), place.size / 110, (60, 60, 64))
    _hull(canvas, place, bow, hull)
    _wake(random, canvas, place, bow)


def _sail(
    canvas: Canvas,
    place: Place,
    bow: int,
    colour: Colour,
    corners: tuple[Point, Point, Point],
    belly: float,
) -> None:
    """A triangle of cloth: top, and two lower corners; strips of shade show its belly."""
    top, left, right = corners
    for strip in range(_STRIPS):
        a, b = strip / _STRIPS, (strip + 1) / _STRIPS
        light = 0.72 + 0.36 * (a if belly > 0 else 1 - a)
        foot = [_between(left, right, a), _between(left, right, b)]
        rising, falling = (
            _bulged(top, foot[0], belly * (1 - a)),
            _bulged(top, foot[1], belly * (1 - b)),
        )
        points = [*rising, *reversed(falling)]
        canvas.shape(place.all((x * bow, y) for x, y in points), lit(colour, light))
    for share in (0.25, 0.5, 0.75):
        seam = [_between(top, left, share), _between(top, right, share)]
        canvas.line(place.all((x * bow, y) for x, y in seam), place.size / 160, lit(colour, 0.66))


def _between(one: Point, other: Point, share: float) -> Point:
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def _bulged(top: Point, foot: Point, belly: float) -> list[Point]:
    """From the top of a sail to its foot, blown out most at the middle."""
    steps = [i / 6 for i in range(7)]
    points = [(_between(top, foot, share), 4 * share * (1 - share)) for share in steps]
    return [(x - belly * swell, y) for (x, y), swell in points]


def _hull(canvas: Canvas, place: Place, bow: int, colour: Colour) -> None:
    bands = 6
    for band in range(bands):
        upper, lower = band / bands, (band + 1) / bands
        strip = [
            (-0.80 + 0.12 * upper, -0.18 + 0.2 * upper),
            (0.98 - 0.30 * upper, -0.24 + 0.26 * upper),
            (0.98 - 0.30 * lower, -0.24 + 0.26 * lower),
            (-0.80 + 0.12 * lower, -0.18 + 0.2 * lower),
        ]
        canvas.shape(place.all((x * bow, y) for x, y in strip), lit(colour, 1.05 - 0.4 * upper))
    rail = [(-0.82, -0.2), (0.99, -0.26), (0.97, -0.22), (-0.8, -0.16)]
    canvas.shape(place.all((x * bow, y) for x, y in rail), mix(colour, WHITE, 0.7))
    cabin = [(-0.4, -0.19), (-0.34, -0.28), (0.2, -0.3), (0.34, -0.22)]
    canvas.shape(place.all((x * bow, y) for x, y in cabin), (230, 228, 220))
    for x in (-0.22, -0.04, 0.12):
        port = [(x, -0.26), (x + 0.08, -0.264), (x + 0.08, -0.225), (x, -0.222)]
        canvas.shape(place.all((px * bow, y) for px, y in port), (40, 56, 74))


def _mirror(random: Random, canvas: Canvas, place: Place, sail: Colour, hull: Colour) -> None:
    """Broken strips of the boat's colours on the water below it."""
    for strip in range(26):
        depth = strip / 26
        wide = (0.8 - 0.66 * depth) * random.uniform(0.6, 1.1)
        shift = random.uniform(-0.1, 0.1)
        y = 0.04 + 1.0 * depth
        colour = hull if depth < 0.22 else sail
        points = [(shift - wide, y), (shift + wide, y), (shift + wide * 0.8, y + 0.025)]
        points.append((shift - wide * 0.8, y + 0.025))
        level = Place(place.x, place.y, place.size)
        canvas.shape(level.all(points), lit(colour, 0.85), 0.34 * (1 - depth))


def _wake(random: Random, canvas: Canvas, place: Place, bow: int) -> None:
    level = Place(place.x, place.y, place.size)
    for _ in range(26):
        x, y = random.uniform(-1.1, 0.85) * bow, random.uniform(-0.01, 0.07)
        long = random.uniform(0.03, 0.16)
        foam = [(x - long, y), (x, y - 0.012), (x + long, y), (x, y + 0.014)]
        canvas.shape(level.all(foam), WHITE, random.uniform(0.3, 0.8))
