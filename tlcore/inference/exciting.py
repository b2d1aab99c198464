"""Which pictures of a data set excite each channel of a layer most: computed once, part by part.

The highest value of every channel in every picture lies in one folder for each set, network and
layer, in parts of a few pictures each, so that a stop loses nothing and a second look costs
nothing. Whoever asks goes on part by part and may stop between any two; no process works unasked.
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
from tlcore.models.answers import Floats, NetworkRef
from tlcore.settings import Settings
from tlcore.storage import write_file

PART = 16  # pictures: about a second
BEST = 9
Ask = Callable[[Sequence[Path]], tuple[Floats, tuple[str, ...]]]


@dataclass(frozen=True)
class Excitement:
    """How far it is for one set, network and layer."""

    folder: Path
    limit: int  # bytes that the folder and those beside it may fill
    samples: tuple[Sample, ...]  # each picture once, in the order of their contents

    @property
    def parts(self) -> int:
        return -(-len(self.samples) // PART)

    @property
    def done(self) -> int:
        """Pictures behind."""
        return min(len(self._here()) * PART, len(self.samples))

    @property
    def complete(self) -> bool:
        return len(self._here()) == self.parts

    def step(self, ask: Ask) -> None:
        """Compute the next part; ``ask`` returns each channel's highest value in some pictures."""
        here = self._here()
        part = next((number for number in range(self.parts) if number not in here), None)
        if part is None:
            return
        highest, _ = ask([sample.path for sample in self.samples[part * PART :][:PART]])
        buffer = io.BytesIO()
        np.save(buffer, highest)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self.folder / f"{part:05}.npy", buffer.getvalue())
        make_room(self.folder, self.limit)

    def best(self, channel: int) -> tuple[tuple[Sample, float], ...]:
        """Return the pictures with the highest values so far, highest first, at most ``BEST``."""
        found: list[tuple[Sample, float]] = []
        for part in self._here():
            values = np.load(self.folder / f"{part:05}.npy", mmap_mode="r")[:, channel]
            found += zip(self.samples[part * PART :][:PART], values.tolist(), strict=True)
        readable = [(sample, value) for sample, value in found if value == value]
        return tuple(sorted(readable, key=lambda pair: -pair[1])[:BEST])

    def _here(self) -> list[int]:
        return sorted(int(path.stem) for path in self.folder.glob("*.npy"))


def excitement(dataset: Dataset, ref: NetworkRef, layer: str, settings: Settings) -> Excitement:
    """Return what there is for a set's pictures; another picture in the set is another set."""
    once = {sample.sha256: sample for sample in dataset.samples}
    samples = tuple(once[sha] for sha in sorted(once))
    asked = "\n".join([repr(ref), layer, *(sample.sha256 for sample in samples)])
    name = hashlib.sha256(asked.encode()).hexdigest()[:32]
    folder = settings.activations / name
    with suppress(FileNotFoundError):
        os.utime(folder)  # used now: others are removed before it
    return Excitement(folder, settings.exciting_bytes, samples)


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
