"""A custom head on a backbone: bottleneck features → pooling → (dropout → dense) × n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import keras

from tlcore.errors import BadConfig, UnknownName
from tlcore.models.units import units

POOLINGS: Mapping[str, type[keras.layers.Layer]] = MappingProxyType(
    {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "flatten": keras.layers.Flatten,
    }
)


def add_head(
    base: keras.Model,
    classes: int,
    *,
    pooling: str = "avg",
    dropout: float = 0.0,
    hidden: Sequence[int] = (),
    output: str = "sigmoid",
    seed: int = 0,
) -> keras.Model:
    """Return the model float32 (n, size, size, 3) → probabilities.

    The head is built flat on ``base.output``, so that the backbone's layers stay within reach for
    feature maps. Its layers are named "pooling", "dropout", "logits" and "probabilities", and
    "dense_1", "dropout_1" … those of ``hidden``.

    Args:
        base: the backbone without its top.
        classes: at least 2.
        pooling: a key of POOLINGS.
        dropout: 0…0.9, before each dense layer.
        hidden: units of dense layers with relu before the last.
        output: "sigmoid" gives two classes one unit, the probability of the second; more classes
            and "softmax" have a unit each.
        seed: of the dropout and of the hidden layers' start.

    Raises:
        UnknownName: no such pooling.
        BadConfig: fewer than two classes, or a dropout outside 0…0.9.
    """
    if pooling not in POOLINGS:
        raise UnknownName.of("pooling", pooling, POOLINGS)
    if classes < 2:
        raise BadConfig(f"Expected at least 2 classes for a head. Received {classes}.")
    if not 0 <= dropout <= 0.9:
        raise BadConfig(f"Expected a dropout from 0 to 0.9. Received {dropout}.")
    tensor = POOLINGS[pooling](name="pooling")(base.output)
    tensor = keras.layers.Dropout(dropout, seed=seed, name="dropout")(tensor)
    for place, width in enumerate(hidden, 1):
        start = keras.initializers.GlorotUniform(seed + place)
        dense = keras.layers.Dense(
            width, activation="relu", kernel_initializer=start, name=f"dense_{place}"
        )
        again = keras.layers.Dropout(dropout, seed=seed + place, name=f"dropout_{place}")
        tensor = again(dense(tensor))
    # One dense layer on frozen features is a convex problem: it needs no random start to break a
    # symmetry, and from zero ("every class is as likely") two seeds differ by their data order
    # alone.
    count = units(classes, output)
    tensor = keras.layers.Dense(count, kernel_initializer="zeros", name="logits")(tensor)
    activation = "sigmoid" if count == 1 else "softmax"
    return keras.Model(
        base.input, keras.layers.Activation(activation, name="probabilities")(tensor)
    )
