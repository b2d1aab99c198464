"""A stored dataset with a test split, and runs on it: real, small, quick."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run_info
from tlcore.training.worker import execute_run

REAL = {"backbone": "MobileNet-0.25", "size": 64, "batch_size": 4}
SPLIT_SIZES = {"train": 12, "val": 8, "test": 8}  # images of each class


def write_splits(folder: Path, counts: dict[str, dict[str, int]], spread: float = 25) -> Path:
    """Write split/class folders of noisy images: reddish ants, bluish bees.

    Args:
        counts: split → class → images.
        spread: of the noise around a class's colour, 0…255; the greater, the harder.
    """
    draw = np.random.default_rng(0)
    colours = {"ants": (170, 90, 80), "bees": (80, 90, 170)}
    for split, labels in counts.items():
        for label, number in labels.items():
            (folder / split / label).mkdir(parents=True)
            for place in range(number):
                tint = np.array(colours[label]) + draw.normal(0, spread, 3)
                pixels = tint + draw.normal(0, 20, (48, 48, 3))
                image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                image.save(folder / split / label / f"{place:02}.png")
    return folder


def stored(settings: Settings, folder: Path, name: str = "insects") -> str:
    import_dataset(name, incoming_from_folder(folder), settings)
    return name


def train_run(settings: Settings, config: RunConfig) -> RunInfo:
    folder, lock = create_run(config, settings)
    execute_run(folder, settings)
    os.close(lock)
    return load_run_info(folder.name, settings)
