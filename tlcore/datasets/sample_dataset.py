"""The sample dataset: images drawn by code, the same bytes every time.

Hot-air balloons, daisies, mushrooms and sailboats are classes of ImageNet too, so that every view
can be used without images of one's own. Drawn twice as large and averaged, edges are smooth.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

from tlcore.datasets.dataset import Dataset, Incoming
from tlcore.datasets.store import read_state
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors, lock_file

if TYPE_CHECKING:
    from tlcore.datasets.importing import Progress

SAMPLE_NAME = "Sample - drawn images"
SAMPLE_TITLE = "Drawn sample"
COUNTS: Mapping[str, int] = {"train": 40, "val": 12}  # images a class

Size = tuple[int, int]
Point = tuple[float, float]
Colour = tuple[int, int, int]  # RGB, 0 to 255
Painter = Callable[[Random, Size], Image.Image]

_SIZES = ((320, 320), (320, 320), (320, 320), (400, 300), (300, 400))
_SCALE = 2  # how much larger than the image everything is drawn
_GRAIN = 7  # how far a pixel's grey may stray, as in an image
_SKIES = ("#346ebe #68a0dc #bad6ec", "#2658a0 #5a96cd #d6e2e2", "#5c74a8 #d6aaa8 #face96",
          "#46528c #de8a6e #fcc470", "#96a6b6 #baccce #d8dee0")  # fmt: skip
_SEAS = ("#6094b4 #144270", "#78aab0 #18606e", "#8c969e #344c60")
_GREENS = ("#46742c", "#5c8a34", "#366230", "#708e3e")
_CLOTHS = ("#d62e2a", "#f09620", "#f6d43c", "#3a8c46", "#225cb2", "#783a96", "#f0f0e8", "#1e2c54")
_PETALS = ("#f8f8f4", "#f8f8f4", "#faf6e8", "#f8e2e8", "#f0ecfa")
_CAPS = ("#c4241a", "#ce461a", "#966034", "#b0804e", "#6e4228", "#d6b27a")
_SPOTTED = frozenset(_CAPS[:2])
_SAILS = ("#f6f4ee", "#f6f4ee", "#f6f4ee", "#ece2c8", "#aa3c2e", "#e4c85a", "#3c6096")
_HULLS = ("#f0f0ee", "#1c3056", "#7a4c2c", "#962222", "#24544e", "#28282c")


def dataset_title(name: str) -> str:
    """Return a dataset's name as it is shown; of a folder read in place, its last part."""
    return SAMPLE_TITLE if name == SAMPLE_NAME else name.rstrip("/").rpartition("/")[2]


def ensure_sample(settings: Settings, *, progress: Progress | None = None) -> Dataset:
    """Return the sample dataset, drawn and imported if it is not there yet, in about five seconds.

    When two sessions ask at once, the second waits for the dataset of the first.

    Raises:
        BadDataset: nothing can be written.
    """
    from tlcore.datasets.importing import import_dataset  # 0.2 s; only to draw it

    folder = settings.datasets / SAMPLE_NAME
    if folder.is_dir():
        return read_state(folder).dataset
    with explained_os_errors(f"Nothing can be written below {str(settings.datasets)!r}"):
        settings.datasets.mkdir(parents=True, exist_ok=True)
    with lock_file(settings.datasets / ".sample.lock"):
        if not folder.is_dir():
            files = [
                Incoming(f"{split}/{label}/{at:04}.jpg", partial(draw_sample, label, split, at), 0)
                for split, count in COUNTS.items()
                for label in PAINTERS
                for at in range(1, count + 1)
            ]
            import_dataset(SAMPLE_NAME, files, settings, progress=progress)
    return read_state(folder).dataset


def draw_sample(label: str, split: str, number: int) -> bytes:
    """Draw one image of the sample as a JPEG: 320 × 320, 400 × 300 or 300 × 400 pixels."""
    random = Random(f"{label} {split} {number}")
    image = PAINTERS[label](random, random.choice(_SIZES))
    exposure = random.uniform(0.86, 1.12)
    gains = [exposure * random.uniform(0.95, 1.05) for _ in range(3)]
    table = [min(255, round(level * gain)) for gain in gains for level in range(256)]
    grain = Image.frombytes("L", image.size, random.randbytes(image.width * image.height))
    grain = grain.point([level * 2 * _GRAIN // 256 for level in range(256)])
    grey = Image.merge("RGB", (grain,) * 3)
    buffer = io.BytesIO()
    ImageChops.add(image.point(table), grey, offset=-_GRAIN).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _rgb(name: str) -> Colour:
    return ImageColor.getcolor(name, "RGB")  # type: ignore[return-value]


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return a colour between two: a share of 0 gives the one, of 1 the other."""
    share = min(max(share, 0.0), 1.0)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _lit(colour: Colour, light: float) -> Colour:
    """Return a colour in light: below 1 darker, above 1 toward white."""
    return _mix(colour, (0, 0, 0) if light <= 1 else (255, 255, 255), abs(light - 1))


def _pick(random: Random, names: Sequence[str], vary: int = 12) -> Colour:
    """Choose one of the colours and vary it a little."""
    colour = _rgb(random.choice(names))
    red, green, blue = (min(max(c + random.randint(-vary, vary), 0), 255) for c in colour)
    return red, green, blue


def _ellipse(x: float, y: float, wide: float, high: float, corners: int = 36) -> list[Point]:
    angles = [2 * math.pi * i / corners for i in range(corners)]
    return [(x + wide * math.cos(a), y + high * math.sin(a)) for a in angles]


class _Canvas:
    """An enlarged image with a local coordinate system: origin, pixels of one unit, rotation."""

    def __init__(self, background: Image.Image) -> None:
        self.width, self.height = background.size
        self._image = background.resize((self.width * _SCALE, self.height * _SCALE))
        self._draw = ImageDraw.Draw(self._image, "RGBA")
        self.place(0, 0, 1)

    def place(self, x: float, y: float, unit: float, turn: float = 0, squeeze: float = 1) -> None:
        """Set the coordinate system: its height is scaled by ``squeeze``, ``turn`` is radians."""
        self._origin, self.unit, self._squeeze = (x, y), unit, squeeze
        self._cos, self._sin = math.cos(turn), math.sin(turn)

    def fill(self, points: Iterable[Point], colour: Colour, alpha: float = 1.0) -> None:
        self._draw.polygon(self._pixels(points), fill=(*colour, round(255 * alpha)))

    def line(self, points: Iterable[Point], width: float, colour: Colour) -> None:
        thick = max(1, round(width * self.unit * _SCALE))
        self._draw.line(self._pixels(points), fill=colour, width=thick)

    def finish(self, blur: float = 0.0) -> Image.Image:
        if blur:
            self._image = self._image.filter(ImageFilter.GaussianBlur(blur * _SCALE))
        return self._image.reduce(_SCALE)

    def _pixels(self, points: Iterable[Point]) -> list[Point]:
        (left, top), cos, sin = self._origin, self._cos * self.unit, self._sin * self.unit
        turned = ((x * cos - y * sin * self._squeeze, x * sin + y * cos * self._squeeze)
                  for x, y in points)  # fmt: skip
        return [((left + x) * _SCALE, (top + y) * _SCALE) for x, y in turned]


def _gradient(size: Size, colours: Sequence[Colour]) -> Image.Image:
    column = Image.frombytes("RGB", (1, len(colours)), bytes(sum(colours, ())))
    return column.resize(size, Image.Resampling.BICUBIC)


def _noise(random: Random, size: Size, across: int, down: int) -> Image.Image:
    """Return soft random greys, mode L, with so many cells across and down."""
    cells = Image.frombytes("L", (across, down), random.randbytes(across * down))
    return cells.resize(size, Image.Resampling.BICUBIC)


def _landscape(random: Random, size: Size, horizon: int, *, sea: bool) -> Image.Image:
    """Sky with clouds, hills at the horizon, and sea or grass below it."""
    sky = [_rgb(name) for name in random.choice(_SKIES).split()]
    image = _gradient(size, sky)
    clouds = _noise(random, size, random.randint(3, 5), random.randint(6, 10))
    clouds = Image.blend(clouds, _noise(random, size, 14, 20), 0.3)
    cover = random.randint(120, 190)
    clouds = clouds.point([max(0, min(215, (level - cover) * 4)) for level in range(256)])
    image.paste(_mix((255, 255, 255), sky[2], 0.25), mask=clouds)
    canvas, green = _Canvas(image), _pick(random, _GREENS)
    for depth in range(random.randint(0 if sea else 1, 3)):
        top, phase, waves = size[1] * random.uniform(0.03, 0.13), *random.choices(range(1, 7), k=2)
        crest = [
            (x, horizon - top * (1 + 0.6 * math.sin(phase + waves * x / size[0])) / (depth + 1))
            for x in range(0, size[0] + 5, 4)
        ]
        tint = _lit(_mix(green, sky[1], 0.6), 1 - 0.15 * depth)
        canvas.fill([(0, horizon), *crest, (size[0], horizon)], tint)
    image = canvas.finish()
    below = (size[0], size[1] - horizon)
    grass = [_mix(green, (190, 200, 150), 0.3), green, _lit(green, 0.7)]
    image.paste(_water(random, below) if sea else _gradient(below, grass), (0, horizon))
    return image


def _water(random: Random, size: Size) -> Image.Image:
    far, near = (_rgb(name) for name in random.choice(_SEAS).split())
    water = _gradient(size, [far, _mix(far, near, 0.6), near])
    for colour in ((255, 255, 255), (8, 30, 60)):  # long pale and dark streaks of wind
        streaks = _noise(random, size, max(2, size[0] // 12), max(2, size[1] // 3))
        water.paste(colour, mask=streaks.point([max(0, level - 150) for level in range(256)]))
    return water


def _close_background(random: Random, size: Size, *, wood: bool) -> Image.Image:
    """Blades and flowers of a meadow, or trunks and light of a wood, out of focus."""
    green = _lit(_pick(random, _GREENS), 0.5 if wood else 1.0)
    canvas = _Canvas(_gradient(size, [_lit(green, 1.4), green, _lit(green, 0.6)]))
    for _ in range(random.randint(3, 7) if wood else 60):
        x, y = random.uniform(0, size[0]), random.uniform(size[1] * 0.2, size[1] * 1.2)
        tall, lean = (2 * size[1], 5) if wood else (random.uniform(40, 140), 40)
        shade = _lit(_rgb("#4a3a2a") if wood else green, random.uniform(0.5, 1.3))
        wide = random.uniform(8, 26) if wood else random.uniform(2, 9)
        canvas.line([(x, y + tall / 2), (x + random.uniform(-lean, lean), y - tall)], wide, shade)
    for _ in range(random.randint(6, 18)):
        glow = _pick(random, ("#f0f0e6", "#f0d25a", "#dc96b4", "#c8dc96"))
        radius = random.uniform(3, 14)
        x, y = random.uniform(0, size[0]), random.uniform(0, size[1] * 0.8)
        canvas.fill(_ellipse(x, y, radius, radius, 16), glow, 0.4 if wood else 0.7)
    return canvas.finish(blur=random.uniform(3, 6))


def balloon(random: Random, size: Size) -> Image.Image:
    """Draw a hot-air balloon in the sky, often with smaller ones far away."""
    horizon = round(size[1] * random.uniform(0.78, 0.95))
    canvas = _Canvas(_landscape(random, size, horizon, sea=random.random() < 0.35))
    for _ in range(random.choice((0, 0, 1, 2, 3))):
        x, y = random.uniform(0.08, 0.92) * size[0], random.uniform(0.15, 0.7) * size[1]
        canvas.place(x, y, size[1] * random.uniform(0.03, 0.08))
        _balloon(random, canvas)
    radius = min(size) * random.uniform(0.22, 0.32)
    x, y = size[0] * random.uniform(0.34, 0.66), radius * random.uniform(1.06, 1.3)
    canvas.place(x, y, radius, random.uniform(-0.08, 0.08))
    _balloon(random, canvas)
    return canvas.finish()


def _balloon(random: Random, canvas: _Canvas) -> None:
    """Draw panels of cloth, brightest in the light, over a basket on ropes."""
    cloths = [_rgb(name) for name in random.sample(_CLOTHS, random.randint(2, 5))]
    by_gore, by_row = random.choice(((1, 0), (0.5, 0), (0, 0.34), (0.5, 0.5), (1, 1)))
    gores, rows, light = 14, 18, random.uniform(-0.9, 0.9)

    def at(gore: int, row: int) -> Point:
        down, around = row / rows, math.pi * (gore / gores - 0.5)
        if down < 0.6:  # a sphere, then a cone down to the mouth
            return math.sin(2.5 * down) * math.sin(around), -math.cos(2.5 * down)
        share = (down - 0.6) / 0.4
        return (0.99 * (1 - share) ** 0.8 + 0.18 * share) * math.sin(around), 1.2 * share - 0.07

    for x in (-0.16, -0.05, 0.05, 0.16):
        canvas.line([(x, 1.1), (x * 0.8, 1.62)], 0.012, (50, 40, 34))
    canvas.fill([(-0.14, 1.6), (0.14, 1.6), (0.12, 1.84), (-0.12, 1.84)], _rgb("#86603a"))
    for gore in range(gores):
        for row in range(rows):
            cloth = cloths[int(gore * by_gore + row * by_row) % len(cloths)]
            aside = math.sin(math.pi * ((gore + 0.5) / gores - 0.5)) - light
            glow = math.exp(-(aside**2) * 1.6 - (row / rows - 0.28) ** 2 * 5)
            corners = ((gore, row), (gore + 1, row), (gore + 1, row + 1), (gore, row + 1))
            canvas.fill([at(*corner) for corner in corners], _lit(cloth, 0.5 + 0.7 * glow))


def daisy(random: Random, size: Size) -> Image.Image:
    """Draw one daisy in focus and others smaller behind it, in a meadow."""
    canvas = _Canvas(_close_background(random, size, wood=False))
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        x, y = random.uniform(0.05, 0.95) * size[0], random.uniform(0.1, 0.8) * size[1]
        _daisy(random, canvas, x, y, size[1] * random.uniform(0.07, 0.13))
    x, y = random.uniform(0.36, 0.64) * size[0], random.uniform(0.36, 0.58) * size[1]
    _daisy(random, canvas, x, y, size[1] * random.uniform(0.24, 0.38))
    return canvas.finish()


def _daisy(random: Random, canvas: _Canvas, x: float, y: float, radius: float) -> None:
    """Draw a stem, two rings of petals, and a disc of florets at the golden angle."""
    canvas.place(x, y, radius)
    sway, length = random.uniform(-0.5, 0.5), (canvas.height - y) / radius + 0.2
    stem = [(sway * (i / 8) ** 2, length * i / 8) for i in range(9)]
    canvas.line(stem, 0.085, _rgb("#446428"))
    canvas.place(x, y, radius, random.uniform(-0.5, 0.5), random.uniform(0.62, 1.0))
    petals, colour = random.randint(15, 23), _pick(random, _PETALS, 5)
    for ring, light in ((0.5, 0.86), (0.0, 1.0)):
        for petal in range(petals):
            angle = 2 * math.pi * (petal + ring) / petals + random.uniform(-0.06, 0.06)
            long, wide = random.uniform(0.88, 1.0), 2.4 / petals
            for inset, shade in ((1.0, 0.75), (0.86, 1.0), (0.5, 0.92)):
                outline = _petal(angle, long * (0.6 + 0.4 * inset), wide * inset)
                canvas.fill(outline, _lit(colour, light * shade))
    disc, yellow = random.uniform(0.24, 0.32), _pick(random, ("#f0ba1e",))
    canvas.fill(_ellipse(0, 0.02, disc * 1.08, disc * 1.08), _lit(yellow, 0.6))
    for floret in range(110 if radius > 46 else 30):
        out = math.sqrt((floret + 0.5) / (110 if radius > 46 else 30))
        angle = floret * math.pi * (3 - math.sqrt(5))
        fx, fy = disc * out * math.cos(angle), disc * out * math.sin(angle)
        light = 1.1 - 0.4 * out - 0.9 * (fx + fy) + random.uniform(-0.12, 0.12)
        canvas.fill(_ellipse(fx, fy, disc * 0.1, disc * 0.1, 8), _lit(yellow, min(light, 1.5)))


def _petal(angle: float, long: float, wide: float) -> list[Point]:
    """Return the outline of a petal: narrow at the root, widest at two thirds."""
    half = [(i / 9, abs(math.sin(math.pi * (i / 9) ** 0.8)) ** 0.6 / 2) for i in range(10)]
    sides = [(a * long, w * wide) for a, w in half] + [(a * long, -w * wide) for a, w in half[::-1]]
    cos, sin = math.cos(angle), math.sin(angle)
    return [(a * cos - w * sin, a * sin + w * cos) for a, w in sides]


def mushroom(random: Random, size: Size) -> Image.Image:
    """Draw a mushroom or a few, on the floor of a wood or in grass."""
    canvas = _Canvas(_close_background(random, size, wood=random.random() < 0.65))
    floor, cap = size[1] * random.uniform(0.76, 0.86), random.choice(_CAPS)
    soil = _pick(random, ("#463e24", "#3e4e24", "#543e28"))
    canvas.fill([(0, floor), (size[0], floor), size, (0, size[1])], _lit(soil, 0.75))
    for _ in range(190):
        x, y = random.uniform(0, size[0]), random.uniform(floor - 4, size[1])
        canvas.place(x, y, random.uniform(4, 12), random.uniform(0, 6.3))
        leaf = _pick(random, ("#463e24", "#78542c", "#966c34", "#54642e", "#3c3020"))
        canvas.fill([(-1, 0), (-0.2, -0.35), (1, 0), (-0.2, 0.35)], leaf)
    for _ in range(random.choice((0, 1, 1, 2))):
        x = random.uniform(0.08, 0.92) * size[0]
        canvas.place(x, floor, size[1] * random.uniform(0.08, 0.14))
        _mushroom(random, canvas, cap)
    x, turn = random.uniform(0.36, 0.64) * size[0], random.uniform(-0.14, 0.14)
    canvas.place(x, floor + size[1] * 0.03, size[1] * random.uniform(0.23, 0.32), turn)
    _mushroom(random, canvas, cap)
    return canvas.finish()


def _mushroom(random: Random, canvas: _Canvas, cap: str) -> None:
    """Draw a stalk, gills and a domed cap, with spots on the red kinds."""
    colour, flesh = _pick(random, (cap,)), _pick(random, ("#e8dcc2",), 8)
    high, slim, dome = (random.uniform(*r) for r in ((0.95, 1.4), (0.16, 0.26), (0.55, 0.85)))
    for strip in range(14):  # light falls from the left
        left, right = strip / 7 - 1, (strip + 1) / 7 - 1
        edges = [(left * slim, -high), (right * slim, -high)]
        edges += [(right * slim * 1.5, 0.05), (left * slim * 1.5, 0.05)]
        canvas.fill(edges, _lit(flesh, 1.0 - 0.35 * abs(left + 0.35) ** 1.5))
    canvas.fill(_ellipse(0, -high, 0.98, 0.2), _lit(flesh, 0.6))
    for gill in range(-16, 17):
        x, y = 0.96 * math.sin(gill / 10.2), 0.19 * math.cos(gill / 10.2)
        canvas.line([(0.2 * x, -high), (x, y - high)], 0.01, _lit(flesh, 0.9 - 0.2 * (gill % 2)))
    for band in range(22):  # shrinking outlines, each lighter and further up to the light
        share = band / 22
        arc = [math.pi * i / 24 for i in range(25)]
        x, y, wide = -0.3 * share, -high - dome * 0.42 * share, 1 - share
        top = [(x + wide * math.cos(a), y - dome * wide * math.sin(a)) for a in arc]
        under = [(x - wide * math.cos(a), y + 0.13 * wide * math.sin(a)) for a in arc]
        canvas.fill(top + under, _lit(colour, 0.45 + 0.75 * share**0.8))
    for _ in range(random.randint(26, 44) if cap in _SPOTTED else 0):
        angle, out = random.uniform(0.08, 0.92) * math.pi, random.uniform(0.05, 0.93)
        x, y, r = out * math.cos(angle), -high - dome * out * math.sin(angle), 0.08 - 0.04 * out
        canvas.fill(_ellipse(x + 0.01, y + 0.02, r, r * 0.8, 10), (50, 14, 8), 0.5)
        canvas.fill(_ellipse(x, y, r, r * 0.8, 10), _lit((246, 238, 220), 0.95 - 0.2 * max(x, 0)))


def sailboat(random: Random, size: Size) -> Image.Image:
    """Draw a boat under sail, sometimes with others toward the horizon."""
    horizon = round(size[1] * random.uniform(0.5, 0.72))
    canvas = _Canvas(_landscape(random, size, horizon, sea=True))
    for _ in range(random.choice((0, 0, 1, 2))):
        x = random.uniform(0.05, 0.95) * size[0]
        canvas.place(x, horizon + 3, size[1] * random.uniform(0.03, 0.07))
        _sailboat(random, canvas)
    tall, x = size[1] * random.uniform(0.24, 0.34), size[0] * random.uniform(0.36, 0.64)
    y = max(horizon + size[1] * random.uniform(0.04, 0.16), tall * 2.2)
    canvas.place(x, min(y, size[1] * 0.9), tall, random.uniform(-0.12, 0.12))
    _sailboat(random, canvas)
    return canvas.finish()


def _sailboat(random: Random, canvas: _Canvas) -> None:
    """Draw the reflection, two sails in strips of shade, the mast and the hull."""
    bow, mast, hull = random.choice((-1, 1)), random.uniform(1.75, 2.0), _pick(random, _HULLS)
    main, jib = _pick(random, _SAILS, 6), _pick(random, _SAILS, 6)
    for streak in range(26):
        y, wide = 0.04 + streak / 26, (0.8 - 0.025 * streak) * random.uniform(0.6, 1.1)
        points = [(-wide, y), (wide, y), (wide * 0.8, y + 0.025), (-wide * 0.8, y + 0.025)]
        canvas.fill(points, hull if streak < 6 else main, 0.3 * (1 - streak / 26))
    for colour, (x, y), left, right in (  # the top of a sail and where its foot begins and ends
        (main, (-0.02, -mast), -0.72, -0.02),
        (jib, (0.06, -mast * 0.86), 0.1, 0.8),
    ):
        for board in range(12):
            ends = [left + (right - left) * step / 12 for step in (board, board + 1)]
            cloth = [(x * bow, y), *((end * bow, -0.3 + 0.06 * max(end, 0)) for end in ends)]
            canvas.fill(cloth, _lit(colour, 0.72 + 0.03 * board))
    canvas.line([(0, -mast - 0.05), (0, -0.1)], 0.025, _rgb("#46382c"))
    for band in range(6):
        low, high = 0.2 - 0.034 * band, 0.166 - 0.034 * band  # above the water's line at 0.02
        stern, stem = -0.68 - 0.6 * low, 0.68 + 1.5 * low
        plank = [(stern, 0.02 - low), (stem, 0.02 - 1.3 * low), (stem - 0.05, 0.02 - 1.3 * high)]
        plank.append((stern + 0.02, 0.02 - high))
        canvas.fill([(x * bow, y) for x, y in plank], _lit(hull, 1.05 - 0.07 * band))


PAINTERS: Mapping[str, Painter] = {
    painter.__name__: painter for painter in (balloon, daisy, mushroom, sailboat)
}
