"""c. The feature pass against decoding plus a bare compiled forward pass of the same images."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from tests.benchmarks import ours
from tlcore.datasets.decoding import hash_samples
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.datasets.sources import read_folder
from tlcore.training.augmentation import FORWARD, ImageCopy
from tlcore.training.config import RunConfig
from tlcore.training.features import FeatureSource

ROUNDS = 3


def main(folder: Path) -> None:
    samples = tuple(hash_samples(read_folder(folder).samples))
    whole_batches = len(samples) // FORWARD * FORWARD
    samples = samples[:whole_batches]
    config = RunConfig(str(folder.resolve()), size=160)
    ratios = []
    with ours.empty_home() as settings:
        network = FeatureSource(config, 2, settings).transfer_model
        network.forward(np.zeros((FORWARD, 160, 160, 3), np.uint8), ["pooling-avg"])  # traced
        for place in range(ROUNDS):
            began = time.perf_counter()
            pixels = [fit(read_image(sample.path, settings.limits), 160) for sample in samples]
            decoded = time.perf_counter()
            for start in range(0, len(pixels), FORWARD):
                network.forward(np.stack(pixels[start : start + FORWARD]), ["pooling-avg"])
            bare = time.perf_counter()
            fresh = ours.replace(settings, home=settings.home / str(place))
            source = FeatureSource(config, 2, fresh)
            source.__dict__["transfer_model"] = network  # built and traced before the clock starts
            source.compute(
                ["pooling-avg"],
                [ImageCopy(sample) for sample in samples],
            )
            ended = time.perf_counter()
            ratios.append((ended - bare) / (bare - began))
            sys.stdout.write(
                f"decode {decoded - began:.2f} s + forward {bare - decoded:.2f} s; "
                f"our pass {ended - bare:.2f} s: {ratios[-1]:.2f} ×\n"
            )
    sys.stdout.write(f"median {sorted(ratios)[ROUNDS // 2]:.2f} ×\n")


if __name__ == "__main__":
    main(ours.folder_argument(__doc__))
