"""A daisy: two rings of petals around a yellow disc of tiny florets, on a stem."""

from __future__ import annotations

import math
from random import Random

from PIL import Image

from tlcore.datasets.drawn import scenes
from tlcore.datasets.drawn.canvas import Canvas, Colour, Place, Point, ellipse, lit, varied

_PETALS: tuple[Colour, ...] = (
    (248, 248, 244), (248, 248, 244), (250, 246, 232), (248, 226, 232), (240, 236, 250),
)  # fmt: skip
_YELLOW: Colour = (240, 186, 30)
_STEM: Colour = (86, 128, 52)
_NEAR = 46.0  # pixels of radius from which details can be seen
_TURN = math.pi * (3 - math.sqrt(5))  # of one floret to the next: the golden angle
# A petal's outline: (share of its length, half its width there as a share of its widest).
_SWELL: tuple[Point, ...] = tuple(
    (share, abs(math.sin(math.pi * share**0.8)) ** 0.6 * (0.25 + 0.25 * share))
    for share in (step / 9 for step in range(10))
)


def daisy(random: Random, size: tuple[int, int]) -> Image.Image:
    """One daisy in focus, others smaller behind it, in a meadow."""
    width, height = size
    canvas = Canvas(scenes.meadow(random, size))
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        x, y = random.uniform(0.05, 0.95) * width, random.uniform(0.1, 0.8) * height
        _daisy(random, canvas, x, y, height * random.uniform(0.07, 0.13))
    x, y = random.uniform(0.36, 0.64) * width, random.uniform(0.36, 0.58) * height
    _daisy(random, canvas, x, y, height * random.uniform(0.24, 0.38))
    return canvas.finished()


def _daisy(random: Random, canvas: Canvas, x: float, y: float, radius: float) -> None:
    tilt = random.uniform(0.62, 1.0)
    place = Place(x, y, radius, random.uniform(-0.5, 0.5), tilt)
    _stem(random, canvas, x, y, radius)
    colour = varied(random, random.choice(_PETALS), 5)
    count = random.randint(15, 23)
    wide = random.uniform(0.85, 1.15) * 2.6 / count
    for ring, (shade, shift) in enumerate(((0.78, 0.5), (0.97, 0.0))):
        for petal in range(count):
            angle = 2 * math.pi * (petal + shift) / count + random.uniform(-0.05, 0.05)
            long = random.uniform(0.86, 1.0) - 0.04 * ring
            _petal(canvas, place, angle, long, wide, lit(colour, shade + random.uniform(-0.04, 0)))
    _disc(random, canvas, place, random.uniform(0.24, 0.32))


def _petal(
    canvas: Canvas, place: Place, angle: float, long: float, wide: float, colour: Colour
) -> None:
    """A tongue with a darker edge, a shadow at its root and two fine grooves."""
    if place.size < _NEAR:
        canvas.shape(_tongue(place, angle, 0.1, long, wide), colour)
        return
    canvas.shape(_tongue(place, angle, 0.1, long, wide * 1.12), lit(colour, 0.72))
    canvas.shape(_tongue(place, angle, 0.1, long * 0.985, wide * 0.92), colour)
    canvas.shape(_tongue(place, angle, 0.1, long * 0.55, wide * 0.7), lit(colour, 0.9))
    for beside in (-0.035, 0.035):
        groove = [_polar(angle + beside, 0.3), _polar(angle + beside * 0.7, long * 0.9)]
        canvas.line(place.all(groove), place.size / 150, lit(colour, 0.82))


def _tongue(place: Place, angle: float, start: float, end: float, wide: float) -> list[Point]:
    """The outline of a petal: narrow at the root, widest at two thirds, rounded at the tip."""
    sides = [(start + (end - start) * share, wide * half) for share, half in _SWELL]
    cos, sin = math.cos(angle), math.sin(angle)
    outline = sides + [(along, -across) for along, across in reversed(sides)]
    return place.all((a * cos - c * sin, a * sin + c * cos) for a, c in outline)


def _disc(random: Random, canvas: Canvas, place: Place, radius: float) -> None:
    yellow = varied(random, _YELLOW, 16)
    canvas.shape(place.all(ellipse(0, 0.03, radius * 1.1, radius * 1.1)), lit(yellow, 0.45), 0.6)
    canvas.shape(place.all(ellipse(0, 0, radius, radius)), lit(yellow, 0.72))
    count = 110 if place.size > _NEAR else 30
    for floret in range(count):
        out = math.sqrt((floret + 0.5) / count)
        x, y = _polar(floret * _TURN, radius * out * 0.97)
        light = 1.1 - 0.4 * out - 0.9 * (x + y) + random.uniform(-0.12, 0.12)
        size = radius * (0.06 + 0.05 * out)
        canvas.shape(place.all(ellipse(x, y, size, size, 8)), lit(yellow, min(light, 1.5)))


def _stem(random: Random, canvas: Canvas, x: float, y: float, radius: float) -> None:
    bottom = canvas.height + 10
    sway = random.uniform(-0.5, 0.5) * radius
    steps = [i / 8 for i in range(9)]
    points = [(x + sway * share**2, y + (bottom - y) * share) for share in steps]
    colour = varied(random, _STEM)
    canvas.line(points, radius * 0.085, lit(colour, 0.7))
    canvas.line([(px - radius * 0.015, py) for px, py in points], radius * 0.04, colour)
    if radius > 50 and random.random() < 0.6:
        root = points[6]
        side = random.choice((-1, 1)) * radius
        tip = (root[0] + side * 0.7, root[1] - radius * 0.5)
        _leaf(canvas, root, tip, colour)


def _leaf(canvas: Canvas, root: Point, tip: Point, colour: Colour) -> None:
    long, rise = tip[0] - root[0], tip[1] - root[1]
    turn = math.atan2(rise, long)
    place = Place(*root, math.hypot(long, rise), turn)
    steps = [i / 10 for i in range(11)]
    for side, light in ((-1, 1.08), (1, 0.82)):
        edge = [(x, side * 0.2 * math.sin(math.pi * x**0.8)) for x in steps]
        canvas.shape(place.all(edge), lit(colour, light))
    canvas.line(place.all([(0, 0), (0.95, 0)]), 0.8, lit(colour, 0.65))


def _polar(angle: float, radius: float) -> Point:
    return radius * math.cos(angle), radius * math.sin(angle)
