"""Resident memory of the inference process over many switches. By hand:

    python -m tests.benchmarks.memory FOLDER [--switches 100] [--many 1000]

Switches image, backbone and k (every second one asks for Grad-CAM too) over more networks than are
kept, then answers many images, and prints the process's memory all along.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from tests.benchmarks.speed import ENDINGS
from tlcore.inference.client import Inference
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings

NAMES = ("MobileNetV2", "MobileNet-0.25", "MobileNet-0.5", "MobileNet-0.75", "MobileNetV2-0.35")
CHUNK = 64


def main() -> None:
    """Print one JSON object of megabytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--switches", type=int, default=100)
    parser.add_argument("--many", type=int, default=1000)
    args = parser.parse_args()
    settings = replace(Settings.from_environment(), models_kept=2)
    files = sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in ENDINGS)
    inference = Inference(settings)
    switches = []
    for number in range(args.switches):
        ref = ModelRef(NAMES[number % len(NAMES)], 160, random=True)
        file = files[number % len(files)]
        answer = inference.ask("predict", file, [ref])[0]
        if number % 2:
            inference.explain(file, ref, answer.ranking(1)[0].index)
        switches.append(resident(inference.process_id))
    told: dict[str, object] = {"MB at every tenth switch": switches[9::10]}
    plateau = switches[len(switches) // 2]
    told["highest after half of them / the one in the middle"] = (
        max(switches[len(switches) // 2 :]) / plateau
    )
    told["MB in the batch, every chunk"] = many(inference, files, args.many)
    inference.close()
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")


def many(inference: Inference, files: list[Path], count: int) -> list[float]:
    """Answer so many images in chunks, and return the memory after each."""
    ref = ModelRef("MobileNetV2", 160, random=True)
    wanted = iter(cycle(files))
    found = []
    for _ in range(-(-count // CHUNK)):
        inference.ask("predict_batch", list(islice(wanted, CHUNK)), [ref])
        found.append(resident(inference.process_id))
    return found


def resident(process: int) -> float:
    """Resident memory of a process, MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


if __name__ == "__main__":
    main()
