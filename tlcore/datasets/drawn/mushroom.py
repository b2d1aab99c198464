"""A mushroom: a round cap with or without spots, gills beneath, a ringed stem, in moss."""

from __future__ import annotations

import math
from random import Random

from PIL import Image

from tlcore.datasets.drawn import scenes
from tlcore.datasets.drawn.canvas import Canvas, Colour, Place, Point, ellipse, lit, varied

_CAPS: tuple[tuple[Colour, bool], ...] = (  # colour, spotted
    ((196, 36, 26), True),
    ((206, 70, 26), True),
    ((150, 96, 52), False),
    ((176, 128, 78), False),
    ((110, 66, 40), False),
    ((214, 178, 122), False),
)
_FLESH: Colour = (232, 220, 194)
_BANDS = 22  # of shade across the cap


def mushroom(random: Random, size: tuple[int, int]) -> Image.Image:
    """A mushroom or a few, on the floor of a wood or in grass."""
    width, height = size
    behind = random.choice((scenes.wood, scenes.wood, scenes.meadow))
    canvas = Canvas(behind(random, size))
    floor = height * random.uniform(0.78, 0.88)
    cap = random.choice(_CAPS)
    _floor(random, canvas, floor)
    for _ in range(random.choice((0, 1, 1, 2))):
        x = random.uniform(0.08, 0.92) * width
        _mushroom(random, canvas, Place(x, floor, height * random.uniform(0.08, 0.14)), cap)
    x = random.uniform(0.36, 0.64) * width
    turn = random.uniform(-0.14, 0.14)
    place = Place(x, floor + height * 0.03, height * random.uniform(0.23, 0.32), turn)
    _mushroom(random, canvas, place, cap)
    _grass(random, canvas, floor + height * 0.06)
    return canvas.finished()


def _mushroom(random: Random, canvas: Canvas, place: Place, cap: tuple[Colour, bool]) -> None:
    colour, spotted = cap
    colour = varied(random, colour)
    high, slim = random.uniform(0.95, 1.4), random.uniform(0.16, 0.26)
    dome = random.uniform(0.55, 0.85)
    canvas.shape(place.all(ellipse(0.1, 0.02, 0.6, 0.1)), (10, 14, 8), 0.45)
    _stem(random, canvas, place, high, slim)
    _gills(canvas, place, -high)
    _cap(canvas, place, -high, dome, colour)
    if spotted:
        _spots(random, canvas, place, -high, dome)
    gleam = ellipse(-0.38, -high - dome * 0.6, 0.2, 0.09 * dome, 20)
    canvas.shape(place.all(gleam), (255, 250, 240), 0.13)


def _stem(random: Random, canvas: Canvas, place: Place, high: float, slim: float) -> None:
    """A round stalk, thicker and earthier toward its foot, often with a skirt."""
    flesh = varied(random, _FLESH, 10)
    bend, foot = random.uniform(-0.12, 0.12), random.uniform(0.25, 0.75)
    canvas.shape(place.all(_stalk(-1.04, 1.04, high, slim, bend, foot)), lit(flesh, 0.4))
    strips = 14
    for strip in range(strips):
        left, right = 2 * strip / strips - 1, 2 * (strip + 1) / strips - 1
        light = 1.0 - 0.3 * abs(left + 0.35) ** 1.5 + random.uniform(-0.05, 0.02)
        canvas.shape(place.all(_stalk(left, right, high, slim, bend, foot)), lit(flesh, light))
    for share, alpha in ((0.55, 0.12), (0.75, 0.16), (0.9, 0.25)):
        earth = [
            (x, y) for x, y in _stalk(-1, 1, high, slim, bend, foot) if y > -high * (1 - share)
        ]
        canvas.shape(place.all(earth), (70, 54, 34), alpha)
    if random.random() < 0.6:
        _skirt(canvas, place, -high * 0.7, slim * 1.1, flesh)


def _stalk(
    left: float, right: float, high: float, slim: float, bend: float, foot: float
) -> list[Point]:
    """The outline of a part of the stalk between two shares of its width, -1 to 1."""
    steps = [i / 12 for i in range(13)]
    wide = [slim * (1 + foot * share**2.2) for share in steps]
    middle = [bend * 4 * share * (1 - share) for share in steps]
    down = [-high + (high + 0.05) * share for share in steps]
    rows = list(zip(middle, wide, down, strict=True))
    return [(m + w * left, y) for m, w, y in rows] + [(m + w * right, y) for m, w, y in rows[::-1]]


def _skirt(canvas: Canvas, place: Place, y: float, wide: float, flesh: Colour) -> None:
    hem = [(wide * 1.5 * (i / 6 - 1), y + 0.15 + 0.025 * math.sin(i * 2.1)) for i in range(13)]
    canvas.shape(place.all([(-wide, y), *hem, (wide, y)]), lit(flesh, 0.74))
    hem = [(x * 0.96 - 0.02, low - 0.025) for x, low in hem]
    canvas.shape(place.all([(-wide, y), *hem, (wide, y)]), lit(flesh, 0.93))


def _gills(canvas: Canvas, place: Place, y: float) -> None:
    canvas.shape(place.all(ellipse(0, y, 0.98, 0.2)), lit(_FLESH, 0.62))
    for gill in range(-16, 17):
        angle = gill / 16 * math.pi / 2
        rim = (0.96 * math.sin(angle), y + 0.19 * math.cos(angle))
        root = (0.2 * math.sin(angle), y + 0.02)
        canvas.line(place.all([root, rim]), place.size / 100, lit(_FLESH, 0.9 - 0.2 * (gill % 2)))


def _cap(canvas: Canvas, place: Place, y: float, dome: float, colour: Colour) -> None:
    """The dome in shrinking outlines, each a little lighter and further up to the light."""
    for band in range(_BANDS):
        share = band / _BANDS
        light = 0.45 + 0.75 * share**0.8
        outline = _dome(y - dome * 0.42 * share, dome * (1 - share), 1 - share, -0.3 * share)
        canvas.shape(place.all(outline), lit(colour, light))


def _dome(y: float, high: float, wide: float, shift: float) -> list[Point]:
    over = [math.pi * i / 24 for i in range(25)]
    top = [(shift + wide * math.cos(a), y - high * math.sin(a) ** 0.9) for a in over]
    under = [(shift - wide * math.cos(a), y + 0.13 * wide * math.sin(a)) for a in over]
    return top + under


def _spots(random: Random, canvas: Canvas, place: Place, y: float, dome: float) -> None:
    for _ in range(random.randint(26, 44)):
        angle, out = random.uniform(0.08, 0.92) * math.pi, random.uniform(0.05, 0.93)
        x, up = out * math.cos(angle), dome * out * math.sin(angle)
        size = random.uniform(0.03, 0.085) * (1.15 - out * 0.5)
        flat = 1 - 0.5 * abs(x)
        light = 0.98 - 0.3 * max(x, 0) - 0.15 * (1 - up / dome)
        wart = ellipse(x, y - up, size * flat, size * 0.8, 10)
        under = [(px + 0.012, py + 0.018) for px, py in wart]
        canvas.shape(place.all(under), (50, 14, 8), 0.5)
        canvas.shape(place.all(wart), lit((246, 238, 220), light))


def _floor(random: Random, canvas: Canvas, top: float) -> None:
    """Moss, earth and old leaves."""
    soil = varied(random, random.choice(((70, 62, 36), (62, 78, 36), (84, 62, 40))))
    width, height = canvas.width, canvas.height
    crest = [(x, top - 6 + 5 * math.sin(x / 23 + top)) for x in range(0, width + 9, 8)]
    canvas.shape([(0, height), *crest, (width, height)], lit(soil, 0.75))
    leaves: tuple[Colour, ...] = (soil, (120, 84, 44), (150, 108, 52), (84, 100, 46), (60, 48, 32))
    for _ in range(190):
        x, y = random.uniform(0, width), top + (height - top) * random.random() ** 0.8
        size = 3 + 12 * (y - top) / (height - top + 1)
        leaf = Place(x, y, size * random.uniform(0.6, 1.3), random.uniform(0, 6.3))
        blade = [(-1.0, 0.0), (-0.2, -0.35), (1.0, 0.0), (-0.2, 0.35)]
        shade = lit(varied(random, random.choice(leaves)), random.uniform(0.55, 1.15))
        canvas.shape(leaf.all(blade), shade)


def _grass(random: Random, canvas: Canvas, bottom: float) -> None:
    for _ in range(random.randint(25, 70)):
        x, lean = random.uniform(0, canvas.width), random.uniform(-14, 14)
        foot, tall = bottom + random.uniform(-8, 40), random.uniform(10, 42)
        green = lit(varied(random, (92, 126, 50), 22), random.uniform(0.6, 1.15))
        tip = (x + lean, foot - tall)
        canvas.shape([(x - 1.3, foot), (x + 1.3, foot), tip], green)
