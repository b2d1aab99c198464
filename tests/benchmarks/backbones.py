"""Every backbone of the catalogue: whether it converts for LiteRT, how equal and how fast it is.

    python -m tests.benchmarks.backbones [NAME ...]

Random weights at the backbone's own size. One row each, as it comes: the greatest difference of its
outputs from Keras', of the largest value, and images a second beside Keras in tf.function, at batch
1 and 16: medians of a few passes, taken in turns.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import keras
import numpy as np
import tensorflow as tf

from tlcore.models import conversion, runtime
from tlcore.models.build import build_backbone
from tlcore.models.catalog import BACKBONES, preprocess
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.training.transfer_model import convert_backbone

PASSES = 7


def rates(calls: list[Callable[[], object]], images: int) -> list[float]:
    """Images a second of each call."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(PASSES):
        for call, found in zip(calls, seconds, strict=True):
            began = time.perf_counter()
            call()
            found.append(time.perf_counter() - began)
    return [images / median(found[1:]) for found in seconds]


def measure(name: str, settings: Settings) -> str:
    """Return the row of one backbone."""
    size = BACKBONES[name].size
    began = time.perf_counter()
    conversion = convert_backbone(ModelRef(name, size, random=True), settings)
    row = f"| {name} | {conversion.difference:.0e} | {time.perf_counter() - began:.0f} s |"
    if conversion.refused:
        return f"{row} {conversion.refused} | | | |"
    base, _ = build_backbone(ModelRef(name, size, random=True, top=False), settings)
    forward = tf.function(keras.Model(base.input, base.output))
    network = runtime.Runtime(settings.networks / conversion.network.name, conversion)
    cells = []
    for images in (1, 16):
        pixels = np.random.default_rng(0).integers(0, 256, (images, size, size, 3))
        inputs = preprocess(pixels.astype(np.uint8), name)
        keras_rate, rate = rates(
            [
                lambda x=inputs: forward(x, training=False).numpy(),
                lambda x=inputs: network.compute(x, [runtime.POOLED]),
            ],
            images,
        )
        cells.append(f"{keras_rate:.1f}, {rate:.1f} | {rate / keras_rate:.1f}")
    return f"{row} {' | '.join(cells)} |"


def main() -> None:
    conversion.SLOWEST = 0.0  # what would not be used is measured as well
    sys.stdout.write(
        "| backbone | difference | converted in | Keras, LiteRT at 1 | ratio | at 16 | ratio |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), keras_home=Path(home), runtime="auto")
        for name in sys.argv[1:] or BACKBONES:
            sys.stdout.write(f"{measure(name, settings)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
