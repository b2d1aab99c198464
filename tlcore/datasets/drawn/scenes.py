"""What lies behind a thing: sky, sea, hills, meadow, wood; a little out of focus."""

from __future__ import annotations

import math
from random import Random

from PIL import Image

from tlcore.datasets.drawn.canvas import (
    WHITE,
    Canvas,
    Colour,
    clouded,
    ellipse,
    gradient,
    lit,
    mix,
    noise,
    varied,
)

Size = tuple[int, int]
_BLURRED = 0.5  # of the size is enough for what is out of focus

_SKIES: tuple[tuple[Colour, ...], ...] = (
    ((52, 110, 190), (104, 160, 220), (186, 214, 236)),  # noon
    ((38, 88, 160), (90, 150, 205), (214, 226, 226)),
    ((92, 116, 168), (214, 170, 168), (250, 206, 150)),  # morning
    ((70, 82, 140), (222, 138, 110), (252, 196, 112)),  # evening
    ((150, 166, 182), (186, 198, 206), (216, 222, 224)),  # overcast
)
_SEAS: tuple[tuple[Colour, Colour], ...] = (
    ((96, 148, 180), (20, 66, 112)),
    ((120, 170, 176), (24, 96, 110)),
    ((140, 150, 158), (52, 76, 96)),
)
_GREENS: tuple[Colour, ...] = ((70, 116, 44), (92, 138, 52), (54, 98, 48), (112, 142, 62))


def sky(random: Random, size: Size) -> Image.Image:
    """A sky at some hour, with or without clouds."""
    colours = [varied(random, colour, 10) for colour in random.choice(_SKIES)]
    picture = gradient(size, colours)
    if random.random() < 0.75:
        cover = random.randint(120, 160)
        mask = clouded(random, size, random.randint(2, 4), random.randint(4, 7))
        mask = mask.point([max(0, min(215, (level - cover) * 4)) for level in range(256)])
        picture.paste(mix(WHITE, colours[2], 0.25), mask=mask)
    return picture


def sea(random: Random, size: Size, horizon: int) -> Image.Image:
    """Sky above the horizon (pixels from the top), water below, sometimes a coast between."""
    width, height = size
    coast = random.random() < 0.55
    whole = _distance(random, size, horizon, (96, 116, 120), 0.10 if coast else 0.0)
    far, near = random.choice(_SEAS)
    below = (width, height - horizon)
    water = gradient(below, [varied(random, far), mix(far, near, 0.6), varied(random, near)])
    _ripple(random, water)
    whole.paste(water, (0, horizon))
    return whole


def countryside(random: Random, size: Size, horizon: int) -> Image.Image:
    """Sky above rows of hills and fields."""
    width, height = size
    far = mix(random.choice(_GREENS), (140, 160, 180), 0.55)
    whole = _distance(random, size, horizon, far, 0.14)
    whole.paste(grass(random, (width, height - horizon)), (0, horizon))
    return whole


def grass(random: Random, size: Size) -> Image.Image:
    """Green ground seen from a distance."""
    green = random.choice(_GREENS)
    picture = gradient(size, [mix(green, (190, 200, 150), 0.3), green, lit(green, 0.7)])
    shade = clouded(random, size, 6, 10).point([level // 3 for level in range(256)])
    picture.paste(lit(green, 0.55), mask=shade)
    return picture


def meadow(random: Random, size: Size) -> Image.Image:
    """Grass and flowers close by, far out of focus."""
    green = varied(random, random.choice(_GREENS))
    top = mix(green, random.choice(((206, 216, 150), (150, 190, 214), (40, 66, 34))), 0.5)
    canvas = Canvas(gradient(size, [top, green, lit(green, 0.62)]), _BLURRED)
    width, height = size
    for _ in range(60):
        blade = lit(varied(random, green, 26), random.uniform(0.5, 1.3))
        x, y = random.uniform(0, width), random.uniform(height * 0.2, height * 1.2)
        lean = random.uniform(-40, 40)
        canvas.line([(x, y), (x + lean, y - random.uniform(40, 140))], random.uniform(2, 9), blade)
    for _ in range(random.randint(4, 14)):
        spot = random.choice(((240, 240, 230), (240, 210, 90), (220, 150, 180), (200, 220, 150)))
        x, y, r = random.uniform(0, width), random.uniform(0, height), random.uniform(3, 13)
        canvas.shape(ellipse(x, y, r, r * 0.8, 16), spot, 0.7)
    return canvas.finished(blur=random.uniform(3, 7))


def wood(random: Random, size: Size) -> Image.Image:
    """Trunks and light between leaves, out of focus, over a floor of moss and old leaves."""
    width, height = size
    deep = varied(random, random.choice(((44, 58, 34), (60, 56, 38), (38, 50, 40))))
    canvas = Canvas(gradient(size, [lit(deep, 1.25), deep, lit(deep, 0.7)]), _BLURRED)
    for _ in range(random.randint(8, 26)):
        x, y, r = random.uniform(0, width), random.uniform(0, height * 0.6), random.uniform(5, 20)
        glow = mix((196, 214, 130), (236, 230, 180), random.random())
        canvas.shape(ellipse(x, y, r, r, 20), glow, random.uniform(0.15, 0.5))
    for _ in range(random.randint(2, 6)):
        x, wide = random.uniform(0, width), random.uniform(8, 30)
        bark = lit(varied(random, (74, 58, 42)), random.uniform(0.5, 1.0))
        canvas.shape([(x, 0), (x + wide, 0), (x + wide * 1.3, height * 0.8), (x, height)], bark)
    return canvas.finished(blur=random.uniform(4, 7))


def _ripple(random: Random, water: Image.Image) -> None:
    """Wind on the water: long pale and dark streaks, finer toward the horizon."""
    size = water.size
    for colour, strength in ((WHITE, 3), ((8, 30, 60), 2)):
        broad = noise(random, size, max(2, size[0] // 22), max(2, size[1] // 5))
        fine = noise(random, size, max(2, size[0] // 9), max(2, size[1] // 2))
        mask = Image.blend(broad, fine, 0.5)
        mask = mask.point([max(0, level - 140) * strength // 2 for level in range(256)])
        water.paste(colour, mask=mask)


def _distance(random: Random, size: Size, horizon: int, colour: Colour, rise: float) -> Image.Image:
    """Sky and rows of hills before it, as high as `rise` × the picture's height, soft."""
    width, height = round(size[0] * _BLURRED), round(size[1] * _BLURRED)
    foot = horizon * _BLURRED
    canvas = Canvas(sky(random, (width, height)))
    for depth in range(random.randint(1, 3)):
        phase, waves = random.uniform(0, 6), random.uniform(0.8, 2.2)
        top = height * rise * random.uniform(0.4, 1) / (depth + 1)
        crest = [
            (x, foot - top * (1 + 0.6 * math.sin(phase + waves * 6.3 * x / width)))
            for x in range(0, width + 5, 4)
        ]
        tint = lit(varied(random, colour), 1 - 0.18 * depth)
        canvas.shape([(0, foot), *crest, (width, foot)], tint)
    return canvas.finished().resize(size, Image.Resampling.BICUBIC)
