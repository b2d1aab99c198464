"""A hot-air balloon: a mesh of coloured cloth, lit from one side, over a basket."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from random import Random

from PIL import Image

from tlcore.datasets.drawn import scenes
from tlcore.datasets.drawn.canvas import Canvas, Colour, Place, Point, lit, mix, varied

_CLOTHS: tuple[Colour, ...] = (
    (214, 46, 42), (240, 150, 32), (246, 212, 60), (58, 140, 70), (34, 92, 178),
    (120, 58, 150), (240, 240, 232), (30, 44, 84), (226, 96, 140), (40, 170, 180),
)  # fmt: skip
_GORES, _ROWS = 14, 18  # panels across the visible half, rows from top to mouth
_WICKER: Colour = (134, 90, 48)

Pattern = Callable[[int, int], int]  # gore, row → which of the cloths

_PATTERNS: tuple[Pattern, ...] = (
    lambda gore, row: gore,  # stripes
    lambda gore, row: gore // 2,
    lambda gore, row: row // 3,  # rings
    lambda gore, row: row // 2 + gore // 2,  # a spiral
    lambda gore, row: row // 3 + abs(gore - 7) // 2,  # chevrons
    lambda gore, row: gore if 5 < row < 12 else 0,  # a band
)


def balloon(random: Random, size: tuple[int, int]) -> Image.Image:
    """A balloon in the sky, often with smaller ones far away."""
    width, height = size
    horizon = round(height * random.uniform(0.78, 0.95))
    ground = random.choice((scenes.countryside, scenes.countryside, scenes.sea))
    canvas = Canvas(ground(random, size, horizon))
    for _ in range(random.choice((0, 0, 1, 2, 3))):
        x, y = random.uniform(0.08, 0.92) * width, random.uniform(0.15, 0.7) * height
        _balloon(random, canvas, Place(x, y, height * random.uniform(0.03, 0.08)))
    radius = min(width, height) * random.uniform(0.22, 0.32)
    x = width * random.uniform(0.34, 0.66)
    y = radius * random.uniform(1.06, 1.3)
    _balloon(random, canvas, Place(x, y, radius, random.uniform(-0.08, 0.08)))
    return canvas.finished()


def _balloon(random: Random, canvas: Canvas, place: Place) -> None:
    cloths = [varied(random, cloth) for cloth in random.sample(_CLOTHS, random.randint(2, 5))]
    pattern = random.choice(_PATTERNS)
    light = random.uniform(-0.9, 0.9)  # where on the cloth it is brightest
    _basket(canvas, place)
    seams = [place.all(seam) for seam in _SEAMS]
    for gore, (left, right) in enumerate(itertools.pairwise(seams)):
        for row in range(_ROWS):
            panel = (left[row], right[row], right[row + 1], left[row + 1])
            cloth = cloths[pattern(gore, row) % len(cloths)]
            canvas.shape(panel, lit(cloth, _shade(gore, row, light)))
    for seam in seams[1:-1]:
        canvas.line(seam, place.size / 130, mix(cloths[0], (20, 20, 30), 0.75))


def _on_cloth(gore: int, row: int) -> Point:
    """Where a seam and a ring meet; the cloth bulges between seams a little at the mouth."""
    along = row / _ROWS
    around = math.pi * (gore / _GORES - 0.5)
    y = -math.cos(math.pi * along * 0.80) if along < 0.6 else _lower(along)
    radius: float = math.sqrt(max(0.0, 1 - y * y)) if along < 0.6 else _taper(along)
    return radius * math.sin(around), y + 0.05 * math.cos(around) * along


def _lower(along: float) -> float:
    start = -math.cos(math.pi * 0.6 * 0.80)
    return start + (along - 0.6) / 0.4 * 1.22


def _taper(along: float) -> float:
    widest = math.sqrt(1 - math.cos(math.pi * 0.6 * 0.80) ** 2)
    share = (along - 0.6) / 0.4
    cone: float = widest * (1 - share) ** 0.8 * (1 - 0.22 * share) + 0.2 * share
    return cone


def _shade(gore: int, row: int, light: float) -> float:
    """Brightest on the side and height where the light falls, each panel a little rounded."""
    around = math.sin(math.pi * ((gore + 0.5) / _GORES - 0.5))
    along = row / _ROWS
    glow = math.exp(-((around - light) ** 2) * 1.6 - (along - 0.28) ** 2 * 5)
    return 0.52 + 0.72 * glow - 0.14 * along + (0.05 if gore % 2 else 0.0)


def _basket(canvas: Canvas, place: Place) -> None:
    for x in (-0.17, -0.06, 0.06, 0.17):
        rope = place.all([(x, 1.28), (x * 0.8, 1.62)])
        canvas.line(rope, place.size / 90, (50, 40, 34))
    for step in range(6):
        left, right = -0.14 + step * 0.28 / 6, -0.14 + (step + 1) * 0.28 / 6
        side = [(left, 1.6), (right, 1.6), (right * 0.88, 1.84), (left * 0.88, 1.84)]
        canvas.shape(place.all(side), lit(_WICKER, 0.62 + 0.1 * (step % 3) + 0.05 * step))
    rim = [(-0.16, 1.58), (0.16, 1.58), (0.16, 1.63), (-0.16, 1.63)]
    canvas.shape(place.all(rim), lit(_WICKER, 0.55))


_SEAMS = [[_on_cloth(gore, row) for row in range(_ROWS + 1)] for gore in range(_GORES + 1)]
