"""The head in NumPy against the same head in plain Keras: same order, same numbers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from tlcore.training.batches import FeatureArray, SplitData, compute_class_weights, encode_targets
from tlcore.training.checkpoint import initial_checkpoint
from tlcore.training.config import RunConfig
from tlcore.training.head import MOMENTUM, Head, learning_rate_at
from tlcore.training.loop import FitOptions, fit

IMAGES, FEATURES, BATCH, EPOCHS = 60, 12, 16, 4
OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=MOMENTUM),
}


def plain(config: RunConfig, start: list[np.ndarray], units: int) -> keras.Model:
    layers = [keras.layers.Dense(width, activation="relu") for width in config.hidden_units]
    model = keras.Sequential([keras.Input((FEATURES,)), *layers, keras.layers.Dense(units)])
    model.set_weights(start)
    kind = keras.losses.BinaryCrossentropy if units == 1 else keras.losses.CategoricalCrossentropy
    steps = EPOCHS * -(-IMAGES // BATCH)
    rate: object = config.learning_rate
    if config.learning_rate_schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    right = keras.metrics.CategoricalAccuracy("accuracy")
    if units == 1:
        right = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)
    loss = kind(from_logits=True, label_smoothing=config.label_smoothing)
    model.compile(OPTIMIZERS[config.optimizer](rate), loss, metrics=[right])
    return model


SOFTMAX: dict[str, Any] = {"classifier_activation": "softmax", "hidden_units": (4,)}
SGD: dict[str, Any] = {"optimizer": "sgd", "hidden_units": (6,), "label_smoothing": 0.1}
COSINE = {"learning_rate_schedule": "cosine"}


@pytest.mark.parametrize(
    ("classes", "options"),
    [
        (2, {}),
        (3, {"hidden_units": (8, 5)}),
        (2, {"optimizer": "rmsprop", "label_smoothing": 0.2}),
        (3, SGD | COSINE),
        (3, COSINE | {"class_weights": "balanced"}),
        (2, SOFTMAX | {"class_weights": "balanced"}),
    ],
)
def test_it_learns_what_plain_keras_learns(classes: int, options: dict[str, object]) -> None:
    config = RunConfig("set", learning_rate=0.02, **options)
    draw = np.random.default_rng(3)
    values = draw.normal(size=(IMAGES, FEATURES)).astype(np.float32)
    labels = draw.integers(0, classes, IMAGES)
    labels[: IMAGES // 2] = 0  # uneven
    units = 1 if classes == 2 and config.classifier_activation == "sigmoid" else classes
    targets = encode_targets(labels, units)
    head = Head(config, FEATURES, units)
    theirs = plain(config, head.weights, units)
    weights = compute_class_weights(labels, classes) if config.class_weights == "balanced" else None
    each = None if weights is None else weights[labels]
    options = {"batch_size": BATCH, "epochs": EPOCHS, "shuffle": False, "verbose": 0}
    kept = theirs.fit(values, targets, sample_weight=each, **options).history
    steps = -(-IMAGES // BATCH)
    for epoch in range(EPOCHS):
        loss = right = 0.0
        for step in range(steps):
            batch = slice(step * BATCH, (step + 1) * BATCH)
            at, schedule = epoch * steps + step, config.learning_rate_schedule
            rate = learning_rate_at(at, EPOCHS * steps, 0.02, schedule)
            heavy = None if each is None else each[batch]
            score = head.step(values[batch], targets[batch], heavy, rate)
            loss, right = loss + score.loss, right + score.correct
        assert loss / IMAGES == pytest.approx(kept["loss"][epoch], abs=1e-5)
        if weights is None:  # Keras would weigh it as well
            assert right / IMAGES == pytest.approx(kept["accuracy"][epoch], abs=1e-6)
    for ours, others in zip(head.weights, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(ours, others, atol=2e-5)
    np.testing.assert_allclose(head.logits(values), theirs.predict(values, verbose=0), atol=1e-4)


def test_dropout_leaves_out_its_share_and_keeps_the_mean() -> None:
    head = Head(RunConfig("set", dropout=0.25), 1000, 1)
    _, [mask], _ = head._forward(np.ones((200, 1000), np.float32), training=True)
    assert mask is not None
    assert (mask == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert mask.mean() == pytest.approx(1, abs=0.01)


def test_the_threads_of_the_process_do_not_change_a_bit() -> None:
    """As in a notebook, where NumPy was imported before anything could be set."""
    draw = np.random.default_rng(0)
    values, labels = draw.random((512, 1280), np.float32), np.arange(512) % 2
    data = SplitData(FeatureArray(values), labels, encode_targets(labels, 1))
    config = RunConfig("set", epochs=2, batch_size=256, hidden_units=(256,))
    weights = []
    for threads in (1, 2, 4):
        head = Head(config, 1280, 1)
        with threadpool_limits(threads, user_api="blas"):
            fit(head, data, data, FitOptions(config, 2, 0.01), initial_checkpoint(config))
            assert {library["num_threads"] for library in _blas()} == {threads}  # as before
        weights.append(np.concatenate([each.ravel() for each in head.weights]))
    assert weights[0].tobytes() == weights[1].tobytes() == weights[2].tobytes()


def _blas() -> list[dict[str, Any]]:
    return [library for library in threadpool_info() if library["user_api"] == "blas"]
