"""d. 200 epochs of a head on 2,000 cached features, against a plain NumPy logistic regression.

Both make the same updates (Adam, batches of 32, 1,280 features). Ours does all that a run's head
stage does beside: it reads from the cache, judges 400 further images after every epoch, writes
every event and its checkpoints to disk and looks whether it shall stop.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tlcore.training.batches import FeatureArray, SplitData, encode_targets
from tlcore.training.checkpoint import initial_checkpoint, save_checkpoint
from tlcore.training.config import RunConfig
from tlcore.training.feature_cache import FeatureKey, FeatureStore
from tlcore.training.head import Head
from tlcore.training.history import EventLog, list_epochs, read_events
from tlcore.training.loop import FitOptions, fit, limit_blas_threads

IMAGES, JUDGED, FEATURES, EPOCHS, BATCH, RATE = 2000, 400, 1280, 200, 32, 1e-3
ROUNDS = 5


def plain(values: np.ndarray, targets: np.ndarray) -> float:
    draw = np.random.default_rng(0)
    w, b = np.zeros((FEATURES, 1), np.float32), np.zeros(1, np.float32)
    moments = [(np.zeros_like(w), np.zeros_like(w)), (np.zeros_like(b), np.zeros_like(b))]
    began, step = time.perf_counter(), 0
    for _ in range(EPOCHS):
        order = draw.permutation(IMAGES)
        for start in range(0, IMAGES, BATCH):
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
    """The real stage: values (IMAGES + JUDGED, FEATURES), the first to learn from."""
    store = FeatureStore(folder, FeatureKey("benchmark", "", "pooling-avg", 0, "crop"))
    store.append([f"{number:064x}" for number in range(len(values))], values)
    rows, targets = np.arange(len(values)), encode_targets(labels, 1)
    train, val = (
        SplitData(FeatureArray(store.take(rows[part])), labels[part], targets[part])
        for part in (slice(IMAGES), slice(IMAGES, None))
    )
    config = RunConfig("none", epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE)
    log = EventLog(folder / "events.jsonl")
    options = FitOptions(
        config,
        EPOCHS,
        RATE,
        emit=log.write,
        stopping=(folder / "stop").exists,
        save=lambda reached: save_checkpoint(folder / "checkpoint.npz", reached),
    )
    began = time.perf_counter()
    fit(Head(config, FEATURES, 1), train, val, options, initial_checkpoint(config))
    took = time.perf_counter() - began
    log.close()
    assert len(list_epochs(read_events(folder / "events.jsonl"))) == EPOCHS
    assert (folder / "checkpoint.npz").exists()
    return took


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    draw = np.random.default_rng(1)
    values = draw.random((IMAGES + JUDGED, FEATURES), np.float32)
    labels = (draw.random(len(values)) < 0.5).astype(np.int64)
    targets = labels[:, None].astype(np.float32)
    ratios = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            with limit_blas_threads():
                theirs = plain(values[:IMAGES], targets[:IMAGES])
            mine = ours(values, labels, Path(folder))
        ratios.append(mine / theirs)
        sys.stdout.write(f"NumPy {theirs:.2f} s, ours {mine:.2f} s: {ratios[-1]:.2f} ×\n")
    sys.stdout.write(f"median {statistics.median(ratios):.2f} ×\n")


if __name__ == "__main__":
    main()
