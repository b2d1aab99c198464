"""Views of an image: mirrored, shifted, turned, lighter or darker, each the same every time.

A view is drawn on the square that the network would see, before its preprocessing, so it can be
looked at. What it is depends on the seed, the view's number and the image's content alone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
from PIL import Image

from tlcore.datasets.dataset import Sample, hash_file
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read
from tlcore.errors import BadImage
from tlcore.settings import Limits
from tlcore.training.feature_keys import row_id
from tlcore.training.history import STOP_INTERVAL, StopRequested, Throttle

Pixels = npt.NDArray[np.uint8]

VERSION = 1  # of what is drawn; another one makes cached views of the old one unfindable
SHIFT = 0.1  # of the side
ZOOM = 1.2  # at most
ANGLE = 15.0  # degrees
LIGHT = 0.2  # share of brightness, and of contrast


def copy_name(kinds: Sequence[str], seed: int, number: int) -> str:
    """Return what a view is, for the cache."""
    return f"{VERSION}:{'+'.join(sorted(kinds))}:{seed}:{number}"


def augment(pixels: Pixels, kinds: Sequence[str], *, sha256: str, seed: int, number: int) -> Pixels:
    """Draw one view of an image.

    Args:
        pixels: uint8 (side, side, 3) RGB; not changed.
        kinds: keys of AUGMENTATIONS.
        sha256: of the image's file, hexadecimal.
        seed: the run's.
        number: another number, another view.

    Returns:
        uint8 (side, side, 3).
    """
    draw = np.random.default_rng([seed, number, int(sha256[:15] or "0", 16)])
    # Always drawn, whether used or not: leaving one kind out leaves the others as they were.
    mirrored = draw.random() < 0.5
    shift = draw.uniform(-SHIFT, SHIFT, 2)
    zoom = draw.uniform(1.0, ZOOM)
    angle = math.radians(draw.uniform(-ANGLE, ANGLE))
    light, contrast = draw.uniform(1 - LIGHT, 1 + LIGHT, 2)
    if "flip" in kinds and mirrored:
        pixels = pixels[:, ::-1]
    moved = "shift" in kinds
    if moved or "rotate" in kinds:
        pixels = _moved(
            pixels,
            angle if "rotate" in kinds else 0.0,
            zoom if moved else 1.0,
            shift if moved else np.zeros(2),
        )
    return _lit(pixels, light, contrast) if "light" in kinds else np.ascontiguousarray(pixels)


def _moved(pixels: Pixels, angle: float, zoom: float, shift: npt.NDArray[np.float64]) -> Pixels:
    """Turn, enlarge and shift; what comes in from outside is the image mirrored at its edge."""
    side = pixels.shape[0]
    border = side // 2
    wide = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="reflect")
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    middle = border + side / 2
    x0 = middle + shift[0] * side - (cos - sin) * side / 2
    y0 = middle + shift[1] * side - (sin + cos) * side / 2
    moved = Image.fromarray(wide).transform(
        (side, side),
        Image.Transform.AFFINE,
        (cos, -sin, x0, sin, cos, y0),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(moved)


def _lit(pixels: Pixels, light: float, contrast: float) -> Pixels:
    mean = float(pixels.mean())
    table = (np.arange(256.0) * light - mean * light) * contrast + mean * light
    return np.clip(np.rint(table), 0, 255).astype(np.uint8)[pixels]


# Files to the pixels that a network sees, several at a time, views included.


# Images a pass through the network. On one pair of cores 8 were 12% to 36% faster than 32 (its
# caches hold the activations of so many), on a newer pair 32 are 20% faster than 8: in between.
FORWARD = 16
ORIGINAL = -1  # the number of the view that is the image itself
DECODERS = 2  # threads; Pillow lets go of Python's lock while it decodes
AHEAD = 64 * 2**20  # bytes of decoded images that may wait for the network


@dataclass(frozen=True)
class InputSpec:
    """How a file becomes a network's input."""

    backbone: str
    size: int  # pixels a side
    fit: str
    augment: tuple[str, ...]
    seed: int
    limits: Limits


@dataclass(frozen=True)
class ImageCopy:
    """One image in one view."""

    sample: Sample  # with its hash
    number: int = ORIGINAL

    def id(self, looking: InputSpec) -> bytes:
        plain = self.number == ORIGINAL
        name = "" if plain else copy_name(looking.augment, looking.seed, self.number)
        return row_id(self.sample.sha256, name)


ImagesPixels = npt.NDArray[np.uint8] | BadImage
Batches = Iterator[list[tuple[ImageCopy, ImagesPixels]]]


def hash_samples(
    samples: Sequence[Sample], stopping: Callable[[], bool] = lambda: False
) -> tuple[Sample, ...]:
    """Return the samples with the hash of their bytes; "" stays where a file cannot be read.

    Raises:
        StopRequested: ``stopping()`` held before the end.
    """
    done: list[Sample] = []
    pool, load_pixels = ThreadPoolExecutor(DECODERS), Throttle(STOP_INTERVAL)
    try:
        for sample in pool.map(_hashed, samples):
            done.append(sample)
            if load_pixels.is_due() and stopping():
                raise StopRequested
    finally:
        pool.shutdown(cancel_futures=True)
    return tuple(done)


def _hashed(sample: Sample) -> Sample:
    if sample.sha256:
        return sample
    return replace(sample, sha256=hash_file(sample.path))


def load_pixels(request: ImageCopy, looking: InputSpec) -> ImagesPixels:
    """Return the square that the network sees, uint8 (size, size, 3), or why there is none."""
    try:
        square = fit(read(request.sample.path, looking.limits), looking.size, looking.fit)
    except BadImage as fault:
        return fault
    if request.number == ORIGINAL:
        return square
    return augment(
        square,
        looking.augment,
        sha256=request.sample.sha256,
        seed=looking.seed,
        number=request.number,
    )


@contextmanager
def decode_batches(
    requests: Sequence[ImageCopy], looking: InputSpec, size: int
) -> Iterator[Batches]:
    """Decode ``size`` at a time, ahead of the caller by as many as AHEAD bytes hold.

    It begins at once, so that a network can be imported and built meanwhile; what nobody has
    waited for at the end is not decoded any more.
    """
    parts = iter([requests[start : start + size] for start in range(0, len(requests), size)])
    ahead = max(1, AHEAD // (size * looking.size**2 * 3))
    pool = ThreadPoolExecutor(DECODERS)

    def submit(
        some: Iterable[Sequence[ImageCopy]],
    ) -> list[list[tuple[ImageCopy, Future[ImagesPixels]]]]:
        return [
            [(request, pool.submit(load_pixels, request, looking)) for request in part]
            for part in some
        ]

    waiting = deque(submit(islice(parts, ahead)))

    def in_turn() -> Batches:
        while waiting:
            current = waiting.popleft()
            waiting.extend(submit(islice(parts, 1)))
            yield [(request, future.result()) for request, future in current]

    try:
        yield in_turn()
    finally:
        pool.shutdown(cancel_futures=True)
