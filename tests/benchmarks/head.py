"""a. Ten epochs of the head: the tutorial's way, and ours from a cold and from a warm cache."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import keras

from tests.benchmarks import ours, tutorial
from tlcore.training.config import RunConfig


def main(folder: Path) -> None:
    keras.utils.set_random_seed(0)
    config = RunConfig(str(folder.resolve()), size=tutorial.SIZE, epochs=10)
    with ours.empty_home() as settings:
        began = time.perf_counter()
        parts = tutorial.datasets(folder)
        network, _ = tutorial.model(parts[2], settings)
        history, _ = tutorial.fit(network, parts, keras.optimizers.Adam(1e-4), 10)
        plain = time.perf_counter() - began
        cold = ours.run(config, settings)
        warm = ours.run(config, settings)
    lines = [f"tutorial    {plain:8.2f} s  validation {history['val_accuracy'][-1]:.4f}"]
    for name, took in (("cold", cold), ("warm", warm)):
        lines.append(
            f"ours, {name}  {took.stage:8.2f} s  {plain / took.stage:7.1f} ×  validation "
            f"{took.accuracy:.4f}  (until its network is saved {took.seconds:.2f} s, "
            f"{plain / took.seconds:.1f} ×)"
        )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(ours.folder_argument(__doc__))
