"""The well-known tutorial's recipe in plain Keras: the whole network runs in every epoch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tlcore.datasets.sources import read_folder
from tlcore.datasets.splits import split_samples
from tlcore.models.catalog import get_backbone
from tlcore.models.weights import find_weights
from tlcore.settings import Settings

SIZE, BATCH, SEED = 160, 32, 0


class Clock(keras.callbacks.Callback):
    """When each epoch ended, in seconds since the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.ends = time.perf_counter(), []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ends.append(time.perf_counter() - self.began)


def datasets(folder: Path) -> tuple[tf.data.Dataset, tf.data.Dataset, int]:
    """Return both parts, decoded anew in each epoch and squashed, as the tutorial has it.

    The division is ours, so that both sides are judged by the same images.
    """
    data = read_folder(folder)
    classes = data.classes

    def part(samples: Any, shuffled: bool) -> tf.data.Dataset:
        paths = [str(sample.path) for sample in samples]
        labels = [float(classes.index(sample.label)) for sample in samples]
        files = tf.data.Dataset.from_tensor_slices((paths, labels))
        if shuffled:
            files = files.shuffle(len(paths), seed=SEED)
        loaded = files.map(_load, num_parallel_calls=tf.data.AUTOTUNE)
        return loaded.batch(BATCH).prefetch(tf.data.AUTOTUNE)

    train, val = split_samples(data, 0.2, SEED)
    return part(train, True), part(val, False), len(classes)


def _load(path: Any, label: Any) -> tuple[Any, Any]:
    image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    return tf.image.resize(image, (SIZE, SIZE)), label


def model(classes: int, settings: Settings) -> tuple[keras.Model, keras.Model]:
    """Return the network with its head and the base in it."""
    base = keras.applications.MobileNetV2((SIZE, SIZE, 3), include_top=False, weights=None)
    base.load_weights(find_weights(get_backbone("MobileNetV2"), SIZE, settings, top=False).path)
    base.trainable = False
    inputs = keras.Input((SIZE, SIZE, 3))
    value = keras.layers.RandomFlip("horizontal", seed=SEED)(inputs)
    value = keras.layers.RandomRotation(0.2, seed=SEED)(value)
    value = keras.applications.mobilenet_v2.preprocess_input(value)
    value = base(value, training=False)
    value = keras.layers.GlobalAveragePooling2D()(value)
    value = keras.layers.Dropout(0.2, seed=SEED)(value)
    two = classes == 2
    outputs = keras.layers.Dense(1 if two else classes, "sigmoid" if two else "softmax")(value)
    return keras.Model(inputs, outputs), base


def fit(network: keras.Model, parts: Any, optimizer: Any, epochs: int) -> tuple[Any, Clock]:
    train, val, classes = parts
    two = classes == 2
    loss = keras.losses.BinaryCrossentropy() if two else "sparse_categorical_crossentropy"
    metric = keras.metrics.BinaryAccuracy(name="accuracy") if two else "accuracy"
    network.compile(optimizer, loss, metrics=[metric])
    clock = Clock()
    kept = network.fit(train, validation_data=val, epochs=epochs, verbose=0, callbacks=[clock])
    return kept.history, clock
