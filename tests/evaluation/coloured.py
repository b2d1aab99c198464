"""Runs whose every answer is planted: a real head that learned one colour a class.

An image of another class's colour is answered wrongly, so a folder decides the confusion matrix.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tests.evaluation.made import REAL, train_run
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.run import RunInfo

COLOURS = {
    "red": (220, 20, 20), "blue": (20, 20, 220), "green": (20, 200, 20), "white": (240, 240, 240),
}  # fmt: skip
Counts = Mapping[str, Mapping[str, Mapping[str, int]]]  # split → class → colour → images


def write_coloured(folder: Path, counts: Counts) -> Path:
    """Write split/class folders of images of one colour each, no two alike.

    An image is the same in every folder where it has the same place.
    """
    for split, classes in counts.items():
        for label, colours in classes.items():
            (folder / split / label).mkdir(parents=True)
            for colour, number in colours.items():
                for place in range(number):
                    seed = zlib.crc32(f"{split} {label} {colour} {place}".encode())
                    draw = np.random.default_rng(seed)
                    noise = draw.integers(-12, 13, (64, 64, 3))
                    pixels = np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
                    Image.fromarray(pixels).save(folder / split / label / f"{colour}{place:03}.png")
    return folder


def coloured_run(settings: Settings, folder: Path, counts: Counts, **options: object) -> RunInfo:
    """Train a head on such a folder until it knows each class by its colour."""
    recipe = REAL | {"fit": "squash", "epochs": 20, "learning_rate": 0.01} | options
    return train_run(settings, RunConfig(str(write_coloured(folder, counts)), **recipe))
