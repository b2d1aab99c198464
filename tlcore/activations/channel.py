"""One channel of a layer: its values for an image, and the images that activate it most."""

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

from tlcore.activations.layers import ReceptiveField
from tlcore.activations.render import encode_png, extremes, palette, share_not_finite, to_levels
from tlcore.activations.values import ChannelDetail
from tlcore.datasets.dataset import Dataset, Sample
from tlcore.errors import UnknownName
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings
from tlcore.storage import write_file

BINS = 40  # of a histogram
CHUNK = 16  # images of a file: about a second
BEST = 9
FORMAT = 2  # of the files: float32 (2, images, channels), highest and mean; 1 had no means
# Returns each channel's highest and mean value in some images, float32 (2, images, channels), NaN
# where one cannot be read.
Measure = Callable[[Sequence[Path]], Floats]


def inspect_channel(
    maps: Floats, layer: str, channel: int, field: ReceptiveField, size: int
) -> ChannelDetail:
    """Return one channel of a layer's maps (height, width, channels) in detail.

    Args:
        field: what value (0, 0) of the layer sees.
        size: side of the model's input, pixels.

    Raises:
        UnknownName: no such channel.
    """
    if not 0 <= channel < maps.shape[2]:
        raise UnknownName(
            f"Expected a channel from 0 to {maps.shape[2] - 1} of {layer}. Received {channel}."
        )
    one = maps[:, :, channel : channel + 1]
    low, high = extremes(one)
    finite = one[np.isfinite(one)]
    ranked = np.where(np.isfinite(one), one, -np.inf)
    row, column = divmod(int(ranked.argmax()), one.shape[1])
    first, last = float(low[0]), float(high[0])
    if first == last:  # a range around it that differs from it, however large it is
        first, last = first - max(0.5, abs(first) / 2), last + max(0.5, abs(last) / 2)
    # in float64: float32 may overflow
    counts, edges = np.histogram(finite.astype(np.float64), bins=BINS, range=(first, last))
    return ChannelDetail(
        layer=layer,
        channel=channel,
        png=encode_png(to_levels(one, low, high)[:, :, 0], palette("fire")),
        low=float(low[0]),
        high=float(high[0]),
        mean=float(finite.mean(dtype=np.float64)) if finite.size else 0.0,
        not_finite=float(share_not_finite(one)[0]),
        zeros=float((one == 0).mean()),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        strongest=(row, column),
        equal=int(np.count_nonzero(finite == high[0])),
        box=field.box(row, column, size),
        field=field,
    )


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
    """The stored values of one set of images, model and layer: the highest and the mean value of
    every channel in every image, in files of a few images each, so that a stop loses nothing.

    The caller computes one file after the other and may stop between any two. Of images with the
    same highest value (an activation with an upper bound, ReLU6, gives many) the mean decides.
    """

    folder: Path
    limit: int  # bytes that the folder and those beside it may fill
    samples: tuple[Sample, ...]  # each image once, in the order of their contents

    @property
    def done(self) -> int:
        """Images measured."""
        return min(len(self._stored()) * CHUNK, len(self.samples))

    @property
    def complete(self) -> bool:
        return self.done == len(self.samples)

    def compute_next(self, measure: Measure) -> None:
        """Measure the next few images and store their values."""
        missing = sorted(set(range(-(-len(self.samples) // CHUNK))) - set(self._stored()))
        if not missing:
            return
        buffer = io.BytesIO()
        np.save(buffer, measure([sample.path for sample in self._samples(missing[0])]))
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
