"""Backbones built, flat, with the weights found for them."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras

from tlcore.models.answers import Pretrained
from tlcore.models.catalogue import Backbone, backbone
from tlcore.models.weights import damaged, find
from tlcore.settings import Settings
from tlcore.text import shorten

RESCALING = "rescaling_1"  # Keras' name of the layer that has a row's imagenet_scale
RANDOM_SEED = 0  # random weights are the same in every process


def build(ref: Pretrained, settings: Settings) -> tuple[keras.Model, str]:
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
