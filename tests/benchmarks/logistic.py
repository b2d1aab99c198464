"""d. 200 epochs of a head on 2,000 cached features, against a plain NumPy logistic regression.

Both make the same updates (Adam, batches of 32, 1,280 features); FOLDER is not looked at.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tlcore.runs.cache.keys import ShelfKey
from tlcore.runs.cache.shelf import Shelf
from tlcore.runs.config import RunConfig
from tlcore.runs.training.fit import Loop, fit
from tlcore.runs.training.head import Head
from tlcore.runs.training.inputs import Part, Stored, targets_of
from tlcore.runs.training.train import beginning

PICTURES, FEATURES, EPOCHS, BATCH, RATE = 2000, 1280, 200, 32, 1e-3


def plain(values: np.ndarray, targets: np.ndarray) -> float:
    draw = np.random.default_rng(0)
    w, b = np.zeros((FEATURES, 1), np.float32), np.zeros(1, np.float32)
    moments = [(np.zeros_like(w), np.zeros_like(w)), (np.zeros_like(b), np.zeros_like(b))]
    began, step = time.perf_counter(), 0
    for _ in range(EPOCHS):
        order = draw.permutation(PICTURES)
        for start in range(0, PICTURES, BATCH):
            batch = order[start : start + BATCH]
            x = values[batch]
            slope = (1 / (1 + np.exp(-(x @ w + b))) - targets[batch]) / np.float32(len(batch))
            step += 1
            rate = np.float32(RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
            for weight, gradient, (m, v) in zip(
                (w, b), (x.T @ slope, slope.sum(0)), moments, strict=True
            ):
                m += (gradient - m) * np.float32(0.1)
                v += (gradient * gradient - v) * np.float32(0.001)
                weight -= rate * m / (np.sqrt(v) + np.float32(1e-7))
    return time.perf_counter() - began


def ours(values: np.ndarray, labels: np.ndarray, folder: Path) -> float:
    """The real stage, with validation on as many pictures and everything it writes down."""
    shelf = Shelf(folder, ShelfKey("benchmark", "", "pooling-avg", 0, "crop"), (FEATURES,))
    shelf.append([number.to_bytes(32, "big") for number in range(PICTURES)], values)
    rows = np.arange(PICTURES)
    train = Part(Stored(shelf, rows[None], 0, "head"), labels, targets_of(labels, 1))
    val = Part(Stored(shelf, rows[None, :32], 0, "head"), labels[:32], targets_of(labels[:32], 1))
    config = RunConfig("none", epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE)
    stop = folder / "stop"
    loop = Loop(config, EPOCHS, RATE, lambda _: None, stop.exists, lambda _: None)
    began = time.perf_counter()
    fit(Head(config, FEATURES, 1), train, val, loop, beginning(config))
    return time.perf_counter() - began


def main() -> None:
    draw = np.random.default_rng(1)
    values = draw.random((PICTURES, FEATURES), np.float32)
    labels = (draw.random(PICTURES) < 0.5).astype(np.int64)
    targets = labels[:, None].astype(np.float32)
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            theirs = plain(values, targets)
            mine = ours(values, labels, Path(folder))
        sys.stdout.write(f"NumPy {theirs:.2f} s, ours {mine:.2f} s: {mine / theirs:.2f} ×\n")


if __name__ == "__main__":
    main()
