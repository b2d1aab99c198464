"""The images of a dataset that activate each channel of a layer most.

The highest and the mean value of every channel in every image are stored in one folder for each
set of images, model and layer, in files of a few images each, so that a stop loses nothing. The
caller computes one file after the other and may stop between any two. Of images with the same
highest value (an activation with an upper bound, ReLU6, gives many) the mean of the map decides.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings
from tlcore.storage import write_file

CHUNK = 16  # images of a file: about a second
BEST = 9
FORMAT = 2  # of the files: float32 (2, images, channels), highest and mean; 1 had no means
# Returns each channel's highest and mean value in some images, float32 (2, images, channels), NaN
# where one cannot be read, and the names of those.
Measure = Callable[[Sequence[Path]], tuple[Floats, tuple[str, ...]]]


@dataclass(frozen=True)
class TopImage:
    """An image, and the values of a channel's map of it."""

    sample: Sample
    highest: float
    mean: float


@dataclass(frozen=True)
class Ranking:
    """The images that activate a channel most, of those measured so far."""

    images: tuple[TopImage, ...]  # by highest value, then by mean; at most BEST
    tied: int = 0  # images that reach the highest value of all
    readable: int = 0  # images measured


@dataclass(frozen=True)
class TopImages:
    """The stored values of one set of images, model and layer."""

    folder: Path
    limit: int  # bytes that the folder and those beside it may fill
    samples: tuple[Sample, ...]  # each image once, in the order of their contents

    @property
    def done(self) -> int:
        """Images measured."""
        return min(len(self._stored()) * CHUNK, len(self.samples))

    @property
    def complete(self) -> bool:
        return len(self._stored()) == self._chunks

    @property
    def _chunks(self) -> int:
        return -(-len(self.samples) // CHUNK)

    def compute_next(self, measure: Measure) -> None:
        """Measure the next few images and store their values."""
        missing = sorted(set(range(self._chunks)) - set(self._stored()))
        if not missing:
            return
        values, _ = measure([sample.path for sample in self._samples(missing[0])])
        buffer = io.BytesIO()
        np.save(buffer, values)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self._file(missing[0]), buffer.getvalue())
        evict(self.folder, self.limit)

    def rank(self, channel: int) -> Ranking:
        """Return the images that activate a channel most, so far."""
        images: list[TopImage] = []
        for chunk in self._stored():
            try:
                values = np.load(self._file(chunk), mmap_mode="r")[:, :, channel].tolist()
                images += [
                    TopImage(*row) for row in zip(self._samples(chunk), *values, strict=True)
                ]
            except (OSError, ValueError, EOFError, IndexError, TypeError):
                self._file(chunk).unlink(missing_ok=True)  # damaged: it is computed again
        readable = [image for image in images if not np.isnan(image.highest)]
        ranked = sorted(readable, key=lambda image: (-image.highest, -image.mean))
        tied = sum(image.highest == ranked[0].highest for image in ranked)
        return Ranking(tuple(ranked[:BEST]), tied, len(ranked))

    def _stored(self) -> list[int]:
        return sorted(int(path.stem) for path in self.folder.glob("*.npy"))

    def _file(self, chunk: int) -> Path:
        return self.folder / f"{chunk:05}.npy"

    def _samples(self, chunk: int) -> Sequence[Sample]:
        return self.samples[chunk * CHUNK :][:CHUNK]


def find_top_images(dataset: Dataset, ref: ModelRef, layer: str, settings: Settings) -> TopImages:
    """Return the stored values for a dataset's images; with other images it is another folder."""
    once = {sample.sha256: sample for sample in dataset.samples}
    samples = tuple(once[sha] for sha in sorted(once))
    key = "\n".join([str(FORMAT), repr(ref), layer, *(sample.sha256 for sample in samples)])
    folder = settings.top_images / hashlib.sha256(key.encode()).hexdigest()[:32]
    with suppress(FileNotFoundError):
        os.utime(folder)  # used now: others are evicted before it
    return TopImages(folder, settings.top_images_bytes, samples)


def evict(current: Path, limit: int) -> None:
    """Remove the least recently used folders until all together fill at most so many bytes.

    Args:
        current: the folder in use, which stays; those beside it may go.
        limit: bytes.
    """
    used: list[tuple[float, int, Path]] = []
    for folder in current.parent.glob("*/"):
        with suppress(FileNotFoundError):  # removed by another process at this moment
            size = sum(path.stat().st_size for path in folder.iterdir())
            used.append((folder.stat().st_mtime, size, folder))
    whole = sum(size for _, size, _ in used)
    for _, size, folder in sorted(used):
        if whole > limit and folder != current:
            shutil.rmtree(folder, ignore_errors=True)
            whole -= size
