"""The built-in data set: pictures drawn by our own code, the same bytes every time.

Four things that ImageNet's networks know as well, so that a visitor without pictures can use every
view: hot-air balloons, daisies, mushrooms and sailboats.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from PIL import Image, ImageChops

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.drawn.balloon import balloon
from tlcore.datasets.drawn.daisy import daisy
from tlcore.datasets.drawn.mushroom import mushroom
from tlcore.datasets.drawn.sailboat import sailboat
from tlcore.datasets.edits.state import read_state
from tlcore.datasets.importing import Progress, import_set
from tlcore.datasets.incoming import Incoming
from tlcore.datasets.locks import alone
from tlcore.settings import Settings

SAMPLE_NAME = "Sample - drawn pictures"
SAMPLE_TITLE = "Drawn sample"
COUNTS: Mapping[str, int] = MappingProxyType({"train": 40, "val": 12})  # pictures a class

Painter = Callable[[Random, tuple[int, int]], Image.Image]

PAINTERS: Mapping[str, Painter] = MappingProxyType(
    {"balloon": balloon, "daisy": daisy, "mushroom": mushroom, "sailboat": sailboat}
)
_SIZES = ((320, 320), (320, 320), (320, 320), (400, 300), (300, 400))
_GRAIN = 7  # how far a pixel's grey may stray, as in a photograph


def dataset_title(name: str) -> str:
    """Return a data set's name as it is shown; of a folder read in place, its last part."""
    return SAMPLE_TITLE if name == SAMPLE_NAME else name.rstrip("/").rpartition("/")[2]


def ensure_sample(settings: Settings, *, progress: Progress | None = None) -> Dataset:
    """The sample set, drawn and imported if it is not there yet, in about five seconds.

    When two sessions ask at once, the second waits for the set of the first.

    Raises:
        BadDataset: nothing can be written.
    """
    folder = settings.datasets / SAMPLE_NAME
    if not folder.is_dir():
        with alone(settings.datasets, "sample"):
            if not folder.is_dir():
                files = sample_files()
                return import_set(SAMPLE_NAME, files, settings, progress=progress).dataset
    return read_state(folder).dataset


def sample_files() -> list[Incoming]:
    """Every picture of the sample, drawn when it is read."""
    return [
        Incoming(
            f"{split}/{label}/{number:04}.jpg", functools.partial(draw, label, split, number), 0
        )
        for split, count in COUNTS.items()
        for label in PAINTERS
        for number in range(1, count + 1)
    ]


def draw(label: str, split: str, number: int) -> bytes:
    """One picture of the sample as a JPEG: 320 × 320, 400 × 300 or 300 × 400 pixels."""
    random = Random(f"{label} {split} {number}")
    picture = PAINTERS[label](random, random.choice(_SIZES))
    buffer = io.BytesIO()
    _photographed(random, picture).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _photographed(random: Random, picture: Image.Image) -> Image.Image:
    """With the exposure, the tint and the grain of a snapshot."""
    exposure = random.uniform(0.86, 1.12)
    gains = [exposure * random.uniform(0.95, 1.05) for _ in range(3)]
    table = [min(255, round(level * gain)) for gain in gains for level in range(256)]
    width, height = picture.size
    grain = Image.frombytes("L", picture.size, random.randbytes(width * height))
    grain = grain.point([level * 2 * _GRAIN // 256 for level in range(256)])
    grey = Image.merge("RGB", (grain, grain, grain))
    return ImageChops.add(picture.point(table), grey, offset=-_GRAIN)
