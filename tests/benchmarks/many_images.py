"""Resident memory of a run on 20,000 generated images; FOLDER is made if it is not there.

The head learns from all values (flatten, 5,120 of each image: 400 MB), so that more is gathered
than is read into memory.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks import ours
from tlcore.training.batches import RESIDENT
from tlcore.training.config import RunConfig

EACH = 10_000  # images of either class


def main(folder: Path) -> None:
    draw = np.random.default_rng(0)
    for label, tint in (("dark", 60), ("light", 190)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(EACH):
            path = folder / label / f"{number:05}.jpg"
            if not path.exists():
                small = draw.integers(tint - 50, tint + 50, (8, 8, 3), np.uint8)
                Image.fromarray(small).resize((72, 72)).save(path)
    with ours.empty_home() as settings:
        config = RunConfig(
            str(folder.resolve()),
            backbone="MobileNetV2-0.35",
            size=64,
            epochs=3,
            batch_size=32,
            random_weights=True,
            pooling="flatten",
        )
        took = ours.run(config, settings)
        held = sum(path.stat().st_size for path in settings.features.glob("*/*"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert held > RESIDENT
    sys.stdout.write(
        f"{took.seconds:.0f} s, at most {peak:.2f} GiB resident; {held / 2**20:.0f} MiB kept\n"
    )


if __name__ == "__main__":
    main(ours.folder_argument(__doc__))
