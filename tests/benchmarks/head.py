"""a. Ten epochs of the head: the tutorial's way, and ours from a cold and from a warm cache.

"converting" begins with nothing; "cold" has the converted network, but no features. The whole
processes: starting one with NumPy and scikit-learn is the last line. ``--tutorial-epochs 2`` counts
the last of two epochs of the tutorial for those that are left: they take minutes, and all the same.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import keras

from tests.benchmarks import ours, tutorial
from tlcore.training.config import RunConfig

EPOCHS = 10


def main(folder: Path, counted: int) -> None:
    keras.utils.set_random_seed(0)
    config = RunConfig(str(folder.resolve()), size=tutorial.SIZE, epochs=EPOCHS)
    with ours.empty_home() as settings:
        began = time.perf_counter()
        parts = tutorial.datasets(folder)
        network, _ = tutorial.model(parts[2], settings)
        history, clock = tutorial.fit(network, parts, keras.optimizers.Adam(1e-4), counted)
        plain = time.perf_counter() - began
        if counted < EPOCHS:
            plain += (EPOCHS - counted) * (clock.ends[-1] - clock.ends[-2])
        converting = ours.run_process(config, settings)
        shutil.rmtree(settings.features)
        cold = ours.run_process(config, settings)
        warm = ours.run_process(config, settings)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import numpy, sklearn"], check=True)
        bare = time.perf_counter() - began
    lines = [f"tutorial    {plain:8.2f} s  validation {history['val_accuracy'][-1]:.4f}"]
    for name, took in (("converting", converting), ("cold", cold), ("warm", warm)):
        lines.append(
            f"ours, {name}  {took.stage:8.2f} s  {plain / took.stage:7.1f} ×  validation "
            f"{took.accuracy:.4f}  (until its network is saved {took.seconds:.2f} s, "
            f"{plain / took.seconds:.1f} ×)"
        )
    lines.append(f"import numpy, sklearn {bare:.2f} s: warm {warm.seconds / bare:.2f} ×")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="class folders, or splits with class folders")
    parser.add_argument("--tutorial-epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    main(arguments.folder, arguments.tutorial_epochs)
