"""Which images of a dataset excite each channel of a layer most: computed once, part by part.

The highest and the mean value of every channel in every image lie in one folder for each set,
network and layer, in parts of a few images each, so that a stop loses nothing and a second look
costs nothing. Whoever asks goes on part by part and may stop between any two; no process works
unasked. An activation with an upper bound (ReLU6) gives many images the very same highest value:
among those the mean of the map decides.
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

PART = 16  # images: about a second
BEST = 9
FORMAT = 2  # of the parts: float32 (2, images, channels), highest and mean; 1 had no means
Ask = Callable[[Sequence[Path]], tuple[Floats, tuple[str, ...]]]


@dataclass(frozen=True)
class TopImage:
    """An image, and what a channel's map of it has."""

    sample: Sample
    highest: float
    mean: float


@dataclass(frozen=True)
class Best:
    """The images that excite a channel most, of those looked at so far."""

    images: tuple[TopImage, ...]  # by highest value, then by mean; at most BEST
    tied: int = 0  # images that reach the highest value of all
    readable: int = 0  # images looked at


@dataclass(frozen=True)
class TopImages:
    """How far it is for one set, network and layer."""

    folder: Path
    limit: int  # bytes that the folder and those beside it may fill
    samples: tuple[Sample, ...]  # each image once, in the order of their contents

    @property
    def parts(self) -> int:
        return -(-len(self.samples) // PART)

    @property
    def done(self) -> int:
        """Images behind."""
        return min(len(self._here()) * PART, len(self.samples))

    @property
    def complete(self) -> bool:
        return len(self._here()) == self.parts

    def step(self, ask: Ask) -> None:
        """Compute the next part.

        Args:
            ask: returns each channel's highest and mean value in some images, float32
                (2, images, channels), NaN where one cannot be read.
        """
        here = self._here()
        part = next((number for number in range(self.parts) if number not in here), None)
        if part is None:
            return
        values, _ = ask([sample.path for sample in self.samples[part * PART :][:PART]])
        buffer = io.BytesIO()
        np.save(buffer, values)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self.folder / f"{part:05}.npy", buffer.getvalue())
        make_room(self.folder, self.limit)

    def best(self, channel: int) -> Best:
        """Return what excites a channel most, so far."""
        excited: list[TopImage] = []
        for part in self._here():
            samples = self.samples[part * PART :][:PART]
            path = self.folder / f"{part:05}.npy"
            try:
                values = np.load(path, mmap_mode="r")[:, :, channel].tolist()
                excited += [TopImage(*row) for row in zip(samples, *values, strict=True)]
            except (OSError, ValueError, EOFError, IndexError, TypeError):
                path.unlink(missing_ok=True)  # damaged: it is computed again
        readable = [each for each in excited if each.highest == each.highest]
        ranked = sorted(readable, key=lambda each: (-each.highest, -each.mean))
        tied = sum(each.highest == ranked[0].highest for each in ranked)
        return Best(tuple(ranked[:BEST]), tied, len(ranked))

    def _here(self) -> list[int]:
        return sorted(int(path.stem) for path in self.folder.glob("*.npy"))


def find_top_images(dataset: Dataset, ref: ModelRef, layer: str, settings: Settings) -> TopImages:
    """Return what there is for a set's images; another image in the set is another set."""
    once = {sample.sha256: sample for sample in dataset.samples}
    samples = tuple(once[sha] for sha in sorted(once))
    asked = "\n".join([str(FORMAT), repr(ref), layer, *(sample.sha256 for sample in samples)])
    name = hashlib.sha256(asked.encode()).hexdigest()[:32]
    folder = settings.top_images / name
    with suppress(FileNotFoundError):
        os.utime(folder)  # used now: others are removed before it
    return TopImages(folder, settings.top_images_bytes, samples)


def make_room(kept: Path, limit: int) -> None:
    """Remove what was used longest ago until all that is kept fills at most so many bytes.

    Args:
        kept: the folder in use, which stays; those beside it may go.
        limit: bytes.
    """
    used: list[tuple[float, int, Path]] = []
    for folder in kept.parent.glob("*/"):
        with suppress(FileNotFoundError):  # removed by another process in this moment
            size = sum(path.stat().st_size for path in folder.iterdir())
            used.append((folder.stat().st_mtime, size, folder))
    whole = sum(size for _, size, _ in used)
    for _, size, folder in sorted(used):
        if whole > limit and folder != kept:
            shutil.rmtree(folder, ignore_errors=True)
            whole -= size
