"""A learning rate is found with the recipe that was asked about, and with nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.images import write_patches
from tests.training.test_train_run import REAL, run
from tlcore.datasets.dataset import Sample
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.datasets.splits import split_samples
from tlcore.datasets.store import open_dataset
from tlcore.models.build import build_backbone
from tlcore.models.catalog import preprocess
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.training.batches import ORDER, random_numbers
from tlcore.training.config import RunConfig
from tlcore.training.studies import (
    HIGHEST,
    LOWEST,
    SMOOTHING,
    STEPS,
    find_learning_rate,
    find_learning_rate_for,
)

RECIPE = REAL | {"optimizer": "adam", "class_weights": "balanced", "seed": 3}


def uneven(folder: Path) -> Path:
    """Nine images of one class, five of the other."""
    write_patches(folder, classes=2, each=9)
    for path in sorted((folder / "blue").iterdir())[:4]:
        path.unlink()
    return folder


def plain_keras(config: RunConfig, train: Sequence[Sample], settings: Settings) -> list[float]:
    """The smoothed losses of a dense layer in plain Keras, while the rate grows."""
    base, _ = build_backbone(
        ModelRef(config.backbone, config.size, config.fit, top=False), settings
    )
    pixels = np.stack(
        [fit(read_image(s.path, settings.limits), config.size, config.fit) for s in train]
    )
    maps = np.asarray(base(preprocess(pixels, config.backbone), training=False))
    features = maps.mean(axis=(1, 2))
    classes = sorted({sample.label for sample in train})
    labels = np.array([classes.index(sample.label) for sample in train])
    weights = (len(labels) / (2 * np.bincount(labels)))[labels]
    dense = keras.layers.Dense(1, kernel_initializer="zeros")
    head = keras.Sequential([keras.Input(features.shape[1:]), dense])
    head.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    losses, calm, step, epoch = [], 0.0, 0, 0
    while step < STEPS:
        order = random_numbers(config.seed, "head", epoch, ORDER).permutation(len(labels))
        for start in range(0, len(order), config.batch_size):
            at = order[start : start + config.batch_size]
            head.optimizer.learning_rate.assign(LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)))
            loss = head.train_on_batch(features[at], labels[at, None], sample_weight=weights[at])
            head.reset_metrics()  # or the next loss would be the mean of all so far
            calm = SMOOTHING * calm + (1 - SMOOTHING) * float(loss)
            losses.append(calm / (1 - SMOOTHING ** (step + 1)))
            step += 1
            if losses[-1] > 4 * min(losses) or step == STEPS:
                return losses
        epoch += 1
    return losses


def test_a_rate_is_found_as_plain_keras_would_with_the_recipe_that_is_asked_about(
    real: Settings, tmp_path: Path
) -> None:
    data = str(uneven(tmp_path / "set"))
    other = {"optimizer": "sgd", "class_weights": "none", "seed": 0, "batch_size": 8}
    _, folder = run(real, RunConfig(data, epochs=1, **RECIPE | other))  # an earlier run's recipe
    config = RunConfig(data, epochs=5, learning_rate=0.01, **RECIPE)
    dataset = open_dataset(data, real)
    train, _ = split_samples(dataset, config.validation_split, config.seed)
    found = find_learning_rate_for(config, dataset.classes, train, real)
    assert found.computed <= len(train)
    np.testing.assert_allclose(found.losses, plain_keras(config, train, real), rtol=2e-3)
    assert find_learning_rate(folder.name, real).losses != found.losses  # that run's own recipe
    for change in ({"class_weights": "oversampling"}, {"class_weights": "none"},
                   {"label_smoothing": 0.2}, {"dropout": 0.4}, {"hidden_units": (8,)},
                   {"batch_size": 3}):  # fmt: skip
        changed = find_learning_rate_for(replace(config, **change), dataset.classes, train, real)
        assert changed.losses != found.losses, change
        assert changed.computed == 0  # the features are there by now
    smaller = find_learning_rate_for(replace(config, size=96), dataset.classes, train, real)
    assert smaller.computed == len(train)
    same = replace(config, epochs=9, learning_rate=1e-4, fine_tune_learning_rate=0.0, patience=3)
    assert find_learning_rate_for(same, dataset.classes, train, real).losses == pytest.approx(
        found.losses
    )
