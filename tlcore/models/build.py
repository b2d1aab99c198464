"""Backbones built, flat, with the weights found for them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import keras

from tlcore.errors import BadConfig, UnknownName
from tlcore.models.catalog import Backbone, backbone, units
from tlcore.models.predictions import ModelRef
from tlcore.models.weights import damaged, find
from tlcore.settings import Settings
from tlcore.text import shorten

RESCALING = "rescaling_1"  # Keras' name of the layer that has a row's imagenet_scale
RANDOM_SEED = 0  # random weights are the same in every process


def build(ref: ModelRef, settings: Settings) -> tuple[keras.Model, str]:
    """Build a pretrained network.

    Returns:
        The model, float32 (n, size, size, 3) → logits (n, 1000) with the top, bottleneck features
        (n, height, width, channels) without; and the note on its weights.

    Raises:
        UnknownName: no such backbone.
        BadConfig: a size this backbone does not take.
        WeightsMissing: ImageNet weights are asked for and not here, or damaged.
    """
    row = backbone(ref.backbone)
    row.check_size(ref.size, top=ref.top)
    found = None if ref.random else find(row, ref.size, settings, top=ref.top)
    model = architecture(row, ref.size, top=ref.top, imagenet=not ref.random)
    if found is None:
        return model, "random weights: not trained on anything"
    try:
        model.load_weights(found.path)
    except Exception as error:  # Keras and h5py raise all kinds for what is not as it should be
        raise damaged(found.path, row, ref.size, shorten(str(error), 200)) from error
    return model, found.note


def architecture(row: Backbone, size: int, *, top: bool, imagenet: bool = False) -> keras.Model:
    """Build a backbone with random weights of a fixed seed.

    Keras numbers unnamed layers by thread ("add_12" for the second Xception), so each is built in
    a thread of its own: a layer has one name in every process, however many were built before.

    Args:
        row: which.
        size: side of the input, pixels.
        top: with the 1000 classes.
        imagenet: the layers that Keras builds for ``weights="imagenet"``, which may be more than
            those for random weights.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_construct, row, size, top, imagenet).result()


def _construct(row: Backbone, size: int, top: bool, imagenet: bool) -> keras.Model:
    options: dict[str, Any] = {"alpha": row.alpha} if row.alpha is not None else {}
    keras.utils.set_random_seed(RANDOM_SEED)
    model = getattr(keras.applications, row.constructor)(
        input_shape=(size, size, 3),
        include_top=top,
        weights=None,
        classifier_activation=None,  # logits; the probabilities are taken from them
        **options,
    )
    return _rescaled(model, row.imagenet_scale) if imagenet and row.imagenet_scale else model


def _rescaled(model: keras.Model, scale: tuple[float, ...]) -> keras.Model:
    """Return the network with its normalized input multiplied by ``scale``, channel by channel.

    Keras inserts this layer for the string "imagenet" alone, not for a path, and with that string
    it looks for the file itself, refuses sizes that the weights would fit, and deletes a file that
    it does not know.
    """

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        if isinstance(layer, keras.layers.Normalization):
            output = keras.layers.Rescaling(list(scale), name=RESCALING)(output)
        return output

    entry = keras.Input(model.input_shape[1:], name=model.layers[0].name)
    return keras.models.clone_model(model, input_tensors=entry, call_function=call)


def preprocessing(row: Backbone) -> Any:
    """Return Keras' own ``preprocess_input`` for this backbone."""
    return importlib.import_module(f"keras.applications.{row.module}").preprocess_input


# A custom head on a backbone: bottleneck features → pooling → (dropout → dense) × n.


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


# Which layers learn: the frozen base, the top blocks unfrozen, and where one may cut between
# them.
#
# BatchNormalization layers are never unfrozen. In Keras 3 a call with ``training=False`` at build
# time does not protect their moving statistics from a fit; only ``trainable=False`` does, and it
# also makes them normalise by those statistics (https://keras.io/guides/transfer_learning/ asks
# for inference mode; the statistics' being bit-identical afterwards is held by a test).


def freeze_base(base: keras.Model) -> None:
    """Let none of the base's layers learn; a head built on it still does."""
    for layer in base.layers:
        layer.trainable = False


def unfreeze_from(base: keras.Model, name: str) -> None:
    """Let the base learn from layer ``name`` on, in the order of ``summary``, but no
    BatchNormalization.

    Raises:
        UnknownName: the base has no such layer.
    """
    names = [layer.name for layer in base.layers]
    if name not in names:
        raise UnknownName.of("layer to unfreeze from", name, names)
    for layer in base.layers[names.index(name) :]:
        layer.trainable = True
    for part in _leaves(base):
        if isinstance(part, keras.layers.BatchNormalization):
            part.trainable = False


def _leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


def cuts(model: keras.Model) -> tuple[str, ...]:
    """Return the layers through whose output everything behind them must pass, first to last.

    Only there can a network be cut in two with one stack of activations between the halves; inside
    a residual block the shortcut would be lost.
    """
    order = {id(operation): place for place, operation in enumerate(model.operations)}
    last_use = dict.fromkeys(range(len(order)), 0)
    for place, operation in enumerate(model.operations):
        for node in operation._inbound_nodes[0].parent_nodes:
            last_use[order[id(node.operation)]] = place
    found, reach = [], 0
    for place, operation in enumerate(model.operations[:-1]):
        if reach <= place and isinstance(operation, keras.layers.Layer):
            found.append(operation.name)
        reach = max(reach, last_use[place])
    return tuple(found)


def cut_below(model: keras.Model, name: str) -> str:
    """Return the last cut before layer ``name``: all that is unfrozen from there lies behind it.

    For the first layers this is the input itself.
    """
    possible = set(cuts(model))
    below = model.layers[0].name
    for layer in model.layers:
        if layer.name == name:
            return below
        if layer.name in possible:
            below = layer.name
    raise UnknownName.of("layer to unfreeze from", name, [layer.name for layer in model.layers])
