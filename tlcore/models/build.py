"""Backbones with their weights, custom heads, freezing, cutting in two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import keras

from tlcore.errors import BadConfig, UnknownName
from tlcore.models.catalog import RANDOM, RESCALING, Backbone, get_backbone, output_units
from tlcore.models.predictions import ModelRef
from tlcore.models.weights import damaged_weights, find_weights
from tlcore.settings import Settings
from tlcore.text import shorten

RANDOM_SEED = 0  # random weights are the same in every process
POOLINGS: Mapping[str, type[keras.layers.Layer]] = MappingProxyType(
    {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "flatten": keras.layers.Flatten,
    }
)


def build_backbone(ref: ModelRef, settings: Settings) -> tuple[keras.Model, str]:
    """Build a pretrained backbone, with or without its top.

    Returns:
        The model, flat, float32 (n, size, size, 3) → logits (n, 1000) with the top, bottleneck
        features (n, height, width, channels) without; and the note on its weights.

    Raises:
        UnknownName: no such backbone.
        BadConfig: a size this backbone does not take.
        WeightsMissing: ImageNet weights are asked for and not here, or damaged.
    """
    row = get_backbone(ref.backbone)
    row.check_size(ref.size, top=ref.top)
    if ref.random:
        model = build_architecture(row, ref.size, top=ref.top)
        return model, RANDOM
    file = find_weights(row, ref.size, settings, top=ref.top)
    model = _construct(row, ref.size, top=ref.top, imagenet=True)
    try:
        model.load_weights(file.path)
    except Exception as error:  # Keras and h5py raise all kinds for a file that does not fit
        raise damaged_weights(file.path, row, ref.size, shorten(str(error), 200)) from error
    return flatten(model), file.note


def build_architecture(
    row: Backbone, size: int, *, top: bool, imagenet: bool = False
) -> keras.Model:
    """Build a backbone, flat, with random weights of a fixed seed.

    Args:
        row: of the catalog.
        size: side of the input, pixels.
        top: with the 1000 classes.
        imagenet: with the layers that Keras builds for ``weights="imagenet"``, which may be more
            than those for random weights.
    """
    return flatten(_construct(row, size, top=top, imagenet=imagenet))


def _construct(row: Backbone, size: int, *, top: bool, imagenet: bool) -> keras.Model:
    """Call Keras' constructor in a thread of its own.

    Keras numbers unnamed layers by thread ("add_12" for the second Xception): in a fresh thread a
    layer has the same name in every process, however many models were built before.
    """
    options: dict[str, Any] = {"alpha": row.alpha} if row.alpha is not None else {}

    def construct() -> keras.Model:
        keras.utils.set_random_seed(RANDOM_SEED)
        model = getattr(keras.applications, row.constructor)(
            input_shape=(size, size, 3),
            include_top=top,
            weights=None,
            classifier_activation=None,  # logits; the probabilities are computed from them
            **options,
        )
        scaled = imagenet and bool(row.imagenet_scale)
        return _rescale_input(model, row.imagenet_scale) if scaled else model

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(construct).result()


def _rescale_input(model: keras.Model, scale: tuple[float, ...]) -> keras.Model:
    """Return the model with its normalized input multiplied by ``scale``, channel by channel.

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


def flatten(model: keras.Model) -> keras.Model:
    """Return a model whose nested models are replaced by their layers; a flat one as it is.

    Inner layers of a nested model have no tensor that hangs on the outer input, so that their
    activations could not be reached. The layers of the result are copies with the same names and
    weights.
    """
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        return model
    copies: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
    entry = keras.Input(model.input_shape[1:], name=model.inputs[0]._keras_history.operation.name)
    flat = keras.Model(entry, _replay(model, entry, copies), name=model.name)
    for original, copy in copies:
        copy.set_weights(original.get_weights())
    return flat


def _replay(model: keras.Model, tensor: Any, copies: list[Any]) -> Any:
    """Call copies of a model's layers on a symbolic tensor; return the output."""

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, keras.Model):
            return _replay(operation, args[0], copies)
        copy = type(operation).from_config(operation.get_config())
        if isinstance(operation, keras.layers.Layer):
            copies.append((operation, copy))
        return copy(*args, **kwargs)

    functional = model._functional if isinstance(model, keras.Sequential) else model
    return functional._run_through_graph(tensor, call_fn=call)


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
    """Return backbone and head as one model, float32 (n, size, size, 3) → probabilities.

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
        seed: of the dropout and of the hidden layers' initial weights.

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
    for number, width in enumerate(hidden, 1):
        initial = keras.initializers.GlorotUniform(seed + number)
        tensor = keras.layers.Dense(
            width, activation="relu", kernel_initializer=initial, name=f"dense_{number}"
        )(tensor)
        tensor = keras.layers.Dropout(dropout, seed=seed + number, name=f"dropout_{number}")(tensor)
    # One dense layer on frozen features is a convex problem: it needs no random weights to break
    # a symmetry, and from zero two seeds differ by their data order alone.
    units = output_units(classes, output)
    tensor = keras.layers.Dense(units, kernel_initializer="zeros", name="logits")(tensor)
    last = keras.layers.Activation("sigmoid" if units == 1 else "softmax", name="probabilities")
    return keras.Model(base.input, last(tensor))


def freeze_base(base: keras.Model) -> None:
    """Make every layer of the backbone untrainable; a head built on it stays trainable."""
    for layer in base.layers:
        layer.trainable = False


def unfreeze_from(base: keras.Model, name: str) -> None:
    """Make the backbone trainable from layer ``name`` on, in the order of its summary.

    BatchNormalization layers stay frozen: in Keras 3 only ``trainable=False`` protects their
    moving statistics from a fit (https://keras.io/guides/transfer_learning/ asks for inference
    mode; a ``training=False`` at build time is overridden by the outer call).

    Raises:
        UnknownName: the backbone has no such layer.
    """
    names = [layer.name for layer in base.layers]
    if name not in names:
        raise UnknownName.of("layer to unfreeze from", name, names)
    for layer in base.layers[names.index(name) :]:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)


def list_cuts(model: keras.Model) -> tuple[str, ...]:
    """Return the layers through whose output everything behind them must pass, first to last.

    Only there can a model be cut in two with one stack of activations between the halves; inside
    a residual block the shortcut would be lost.
    """
    order = {id(operation): place for place, operation in enumerate(model.operations)}
    last_use = [0] * len(order)
    for place, operation in enumerate(model.operations):
        for node in operation._inbound_nodes[0].parent_nodes:
            last_use[order[id(node.operation)]] = place
    cuts, reach = [], 0
    for place, operation in enumerate(model.operations[:-1]):
        if reach <= place and isinstance(operation, keras.layers.Layer):
            cuts.append(operation.name)
        reach = max(reach, last_use[place])
    return tuple(cuts)


def find_cut_below(model: keras.Model, name: str) -> str:
    """Return the last cut before layer ``name``: all that is unfrozen from there lies behind it.

    For the first layers this is the input itself.

    Raises:
        UnknownName: the model has no such layer.
    """
    cuts = set(list_cuts(model))
    cut = model.layers[0].name
    for layer in model.layers:
        if layer.name == name:
            return cut
        if layer.name in cuts:
            cut = layer.name
    raise UnknownName.of("layer to unfreeze from", name, [layer.name for layer in model.layers])
