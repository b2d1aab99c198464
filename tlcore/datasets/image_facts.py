"""Facts of an image that decoding it shows once: size, form, contrast, perceptual hash.

A stored dataset keeps them in image_facts.jsonl, a line for each content. The file only saves work:
an image whose line is missing, torn or of another version is decoded again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tlcore.datasets.image_io import Header
from tlcore.datasets.near_duplicates import (
    COPY_SIDE,
    HASHED_SIDE,
    group_near_duplicates,
    perceptual_hash,
)
from tlcore.errors import DamagedFile
from tlcore.storage import FileState, decode_json, file_state

FILE = "image_facts.jsonl"
VERSION = 3  # of the measuring: facts of another version are measured again
COUNTED = 0.7  # share of one colour from which colours are counted: counting takes long
GREY_SIDE = 32  # pixels of the grey copy in which crops are recognised
JUDGED = 160  # pixels of the short side from which on sharpness is measured
_REDUCED = 64  # pixels a side of the whole image, averaged
_SAMPLED = 32  # pixels a side that are picked, not averaged, to count colours
_TOLERANCE = 8  # grey levels a channel within which two pixels have the same colour


@dataclass(frozen=True)
class ImageFacts:
    """One file by its content; nothing here depends on its name, label or split."""

    sha256: str
    header: Header
    width: int  # pixels, upright
    height: int
    deviation: float  # standard deviation of grey levels, 0 to 127.5
    flat: float  # share of pixels within 8 levels of the median colour, 0 to 1
    colours: int  # distinct among 32 × 32 pixels; counted on a flat ground only, else 1024
    hash: int  # perceptual, 64 bits
    copy: str  # the small copy, RGB, 16 × 16, base64
    grey: str  # the grey copy, 32 × 32, base64
    sharpness: float  # deviation of the Laplacian by that of grey levels; 1 where not measured
    brightness: tuple[float, float, float]  # grey levels: 5th percentile, mean, 99th

    def __post_init__(self) -> None:
        sizes = len(base64.b64decode(self.copy)), len(base64.b64decode(self.grey))
        if sizes != (COPY_SIDE * COPY_SIDE * 3, GREY_SIDE * GREY_SIDE):
            raise ValueError("a small copy has another size")

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The small copy: uint8 (16, 16, 3)."""
        return np.frombuffer(base64.b64decode(self.copy), np.uint8).reshape(COPY_SIDE, COPY_SIDE, 3)

    @property
    def greys(self) -> NDArray[np.uint8]:
        """The grey copy: uint8 (32, 32)."""
        return np.frombuffer(base64.b64decode(self.grey), np.uint8).reshape(GREY_SIDE, GREY_SIDE)


@dataclass(frozen=True)
class DamagedImageFacts:
    """A stored file that can no longer be decoded, as it was changed on disk."""

    sha256: str
    kind: str  # kind of finding
    reason: str


AnyFacts = ImageFacts | DamagedImageFacts


def measure_image(image: Image.Image, header: Header, sha256: str) -> ImageFacts:
    """Measure a decoded image (RGB, upright); takes a third of the time of decoding it."""
    factor = max(1, min(image.size) // _REDUCED)  # a quick step, then a precise one
    quick = image.reduce(factor) if factor > 1 else image
    box = (0.0, 0.0, image.width / factor, image.height / factor)
    small = quick.resize((_REDUCED, _REDUCED), Image.Resampling.BOX, box=box)
    grey = np.asarray(small.convert("L"), np.float32)
    flat, colours = _measure_ground(grey, image)
    blocks = grey.reshape(HASHED_SIDE, _REDUCED // HASHED_SIDE, HASHED_SIDE, -1).mean(axis=(1, 3))
    levels = np.sort(grey, axis=None)
    low, high = levels[levels.size // 20], levels[levels.size * 99 // 100]
    copy = small.resize((COPY_SIDE, COPY_SIDE), Image.Resampling.BOX).tobytes()
    return ImageFacts(
        sha256,
        header,
        image.width,
        image.height,
        round(float(grey.std()), 2),
        round(float(flat), 4),
        colours,
        perceptual_hash(blocks),
        base64.b64encode(copy).decode("ascii"),
        base64.b64encode(blocks.astype(np.uint8).tobytes()).decode("ascii"),
        _measure_sharpness(image),
        (float(low), round(float(grey.mean()), 1), float(high)),
    )


def _measure_sharpness(image: Image.Image) -> float:
    """Return the deviation of the Laplacian by that of the grey levels, in the middle of an image
    whose short side is reduced to 160 to 319 pixels."""
    if min(image.size) < JUDGED:
        return 1.0
    left, top = image.width // 4, image.height // 4
    middle = image.crop((left, top, image.width - left, image.height - top)).convert("L")
    grey = np.asarray(middle.reduce(min(image.size) // JUDGED), np.float32)
    aside = grey[1:-1, 2:] + grey[1:-1, :-2] + grey[2:, 1:-1] + grey[:-2, 1:-1]
    edges = aside - 4 * grey[1:-1, 1:-1]
    return round(float(edges.std()) / max(float(grey.std()), 1.0), 3)


def _measure_ground(grey: NDArray[np.floating[Any]], image: Image.Image) -> tuple[float, int]:
    """Return the share of one colour in an image, and how many colours there are.

    Most images have no such ground in their grey levels, and are not examined in colour.
    """
    levels = grey.ravel()
    median = np.partition(levels, levels.size // 2)[levels.size // 2]
    flat = np.count_nonzero(np.abs(levels - median) <= _TOLERANCE) / levels.size
    if flat < COUNTED:
        return flat, _SAMPLED**2
    sampled = image.resize((_SAMPLED, _SAMPLED), Image.Resampling.NEAREST)
    pixels = np.asarray(sampled).reshape(-1, 3).astype(np.int16)
    near = (np.abs(pixels - np.median(pixels, axis=0)) <= _TOLERANCE).all(axis=1)
    return np.count_nonzero(near) / len(pixels), len(np.unique(pixels, axis=0))


@dataclass(frozen=True)
class FactsTable:
    """The facts of images, by sha256."""

    by_sha256: Mapping[str, AnyFacts]

    @cached_property
    def groups(self) -> Mapping[str, str]:
        """The sha256 of each image that has near duplicates → that of the first of them."""
        whole = [facts for facts in self.by_sha256.values() if isinstance(facts, ImageFacts)]
        copies = np.array([facts.pixels for facts in whole], np.uint8)
        copies = copies.reshape(-1, COPY_SIDE, COPY_SIDE, 3)
        aspects = [facts.width / facts.height for facts in whole]
        groups = group_near_duplicates([facts.hash for facts in whole], copies, aspects)
        return {whole[at].sha256: whole[group[0]].sha256 for group in groups for at in group}


def read_facts(folder: Path) -> FactsTable:
    """Return what is stored of a dataset's images; read again only if something was added."""
    return _read(folder, facts_state(folder))


def facts_state(folder: Path) -> FileState:
    """Return a value that changes whenever facts are added; cheap."""
    return file_state(folder / FILE)


@lru_cache(maxsize=8)  # values are frozen, and the state is part of the key
def _read(folder: Path, state: FileState) -> FactsTable:
    try:
        lines = (folder / FILE).read_bytes().split(b"\n")
    except OSError:
        return FactsTable({})
    by_sha256: dict[str, AnyFacts] = {}
    for line in filter(None, lines):
        with suppress(DamagedFile, msgspec.ValidationError):
            fields = decode_json(line, dict[str, Any], folder / FILE)
            if "kind" in fields:
                by_sha256[fields["sha256"]] = msgspec.convert(fields, DamagedImageFacts)
            elif fields.get("version") == VERSION:
                by_sha256[fields["sha256"]] = msgspec.convert(fields, ImageFacts)
    return FactsTable(by_sha256)


def append_facts(folder: Path, facts: Iterable[AnyFacts]) -> None:
    """Append facts; the line break in front ends a line that a killed process left torn."""
    lines = [
        json.dumps({"version": VERSION} | msgspec.to_builtins(one), separators=(",", ":"))
        for one in facts
    ]
    if lines:
        with suppress(OSError), (folder / FILE).open("a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(lines) + "\n")
