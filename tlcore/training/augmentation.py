"""Augmented copies of images: mirrored, shifted, rotated, lighter or darker.

A copy is drawn on the square that the network sees, before its preprocessing, so that a page can
show it. It depends on the seed, the number of the copy and the content of the image alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tlcore.datasets.dataset import Sample
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.errors import BadImage
from tlcore.settings import Limits

Pixels = npt.NDArray[np.uint8]

VERSION = 1  # of the drawing; with another one the cached features of old copies are not used
SHIFT = 0.1  # of the side
ZOOM = 1.2  # at most
ANGLE = 15.0  # degrees
LIGHT = 0.2  # share of brightness, and of contrast
ORIGINAL = -1  # the number of the copy that is the image itself
# Images in one pass of the network. On one pair of cores 8 were 12% to 36% faster than 32 (its
# caches hold the activations of so many), on a newer pair 32 are 20% faster than 8: in between.
FORWARD = 16


@dataclass(frozen=True)
class InputSpec:
    """How a file becomes the input of a network."""

    backbone: str
    size: int  # pixels a side
    fit: str
    augmentations: tuple[str, ...]
    seed: int
    limits: Limits


@dataclass(frozen=True)
class ImageCopy:
    """An image of a dataset, or one of its augmented copies."""

    sample: Sample  # with its hash
    number: int = ORIGINAL

    def id(self, spec: InputSpec) -> str:
        """Return the id of its features in the cache; "" where the file cannot be read."""
        sha256 = self.sample.sha256
        if self.number == ORIGINAL or not sha256:
            return sha256
        kinds = "+".join(sorted(spec.augmentations))
        text = f"{sha256}|{VERSION}:{kinds}:{spec.seed}:{self.number}"
        return hashlib.sha256(text.encode()).hexdigest()


def load_pixels(copy: ImageCopy, spec: InputSpec) -> Pixels | BadImage:
    """Return the square that the network sees, uint8 (size, size, 3), or why there is none."""
    try:
        square = fit(read_image(copy.sample.path, spec.limits), spec.size, spec.fit)
    except BadImage as error:
        return error
    kinds, sha256 = spec.augmentations, copy.sample.sha256
    if copy.number == ORIGINAL:
        return square
    return augment(square, kinds, sha256, seed=spec.seed, number=copy.number)


def augment(pixels: Pixels, kinds: Sequence[str], sha256: str, *, seed: int, number: int) -> Pixels:
    """Return an augmented copy of a square, both uint8 (side, side, 3) RGB.

    ``kinds`` are keys of AUGMENTATIONS; ``sha256`` is that of the file, hexadecimal. Another seed
    or number gives another copy.
    """
    draw = np.random.default_rng([seed, number, int(sha256[:15] or "0", 16)])
    # All are drawn, used or not: leaving one kind out leaves the others as they were.
    mirrored = draw.random() < 0.5
    shift = draw.uniform(-SHIFT, SHIFT, 2)
    zoom = draw.uniform(1.0, ZOOM)
    angle = math.radians(draw.uniform(-ANGLE, ANGLE))
    light, contrast = draw.uniform(1 - LIGHT, 1 + LIGHT, 2)
    if "flip" in kinds and mirrored:
        pixels = pixels[:, ::-1]
    if "shift" not in kinds:
        shift, zoom = np.zeros(2), 1.0
    if "rotate" not in kinds:
        angle = 0.0
    if "shift" in kinds or "rotate" in kinds:
        pixels = _transform(pixels, angle, zoom, shift)
    if "light" in kinds:
        mean = float(pixels.mean()) * light
        table = (np.arange(256.0) * light - mean) * contrast + mean
        pixels = np.clip(np.rint(table), 0, 255).astype(np.uint8)[pixels]
    return np.ascontiguousarray(pixels)


def _transform(pixels: Pixels, angle: float, zoom: float, shift: npt.NDArray[np.float64]) -> Pixels:
    """Rotate, enlarge and shift; beyond the edge the image is mirrored."""
    side = pixels.shape[0]
    border = side // 2
    wide = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="reflect")
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    middle = border + side / 2
    x0 = middle + shift[0] * side - (cos - sin) * side / 2
    y0 = middle + shift[1] * side - (sin + cos) * side / 2
    matrix, bilinear = (cos, -sin, x0, sin, cos, y0), Image.Resampling.BILINEAR
    image = Image.fromarray(wide)
    return np.asarray(image.transform((side, side), Image.Transform.AFFINE, matrix, bilinear))
