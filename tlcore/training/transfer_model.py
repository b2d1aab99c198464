"""A finished run's network, loaded to answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tlcore.errors import RunError
from tlcore.models.build import (
    RESCALING,
    add_head,
    build_backbone,
    find_cut_below,
    flatten,
    freeze_base,
    unfreeze_from,
)
from tlcore.models.catalog import get_backbone
from tlcore.models.folding import folded
from tlcore.models.model import LoadedModel, preprocess
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings
from tlcore.text import shorten
from tlcore.training.augmentation import FORWARD
from tlcore.training.config import RunConfig, Sizes
from tlcore.training.run import RunInfo
from tlcore.training.run_files import MODEL
from tlcore.training.store import load_run


def load_run_model(run: str, settings: Settings) -> LoadedModel:
    """Load what a run has saved, with its own size, geometry and classes.

    Raises:
        RunError: no such run, or it has no network (yet).
    """
    stored = load_run(run, settings)
    info = stored.info
    saved = load_saved_model(info)
    model = keras.Model(saved.input, saved.get_layer("logits").output)
    freeze_base(model)  # it was saved so, but Keras forgets it of a nested model
    # For the list of layers; nothing learns here.
    unfreeze_from(model, stored.unfrozen_from or "pooling")
    model = flatten(model)
    return LoadedModel(
        model=model,
        backbone=info.config.backbone,
        size=info.config.size,
        fit=info.config.fit,
        labels=stored.classes,
        wnids=(),
        source="run",
        note=_note(info.config, model),
    )


def load_saved_model(info: RunInfo) -> keras.Model:
    """Load a run's model.keras as it was saved; code in it is never executed.

    Raises:
        RunError: the run has none, or it is damaged or not one that this product has saved.
    """
    for damage in info.damage:
        if damage.file == MODEL and (info.folder / MODEL).exists():
            raise _damaged(info, damage.reason)
    if info.model is None:
        raise RunError(
            f"Expected a run with a trained network. Received {info.id}, which is {info.status} "
            "and has none. Choose another run, or wait until it has finished."
        )
    try:
        model = keras.models.load_model(info.model, compile=False, safe_mode=True)
        model.get_layer("logits")  # every network that a run saves has it
        return model
    except Exception as error:  # a damaged file makes Keras, h5py and zipfile raise all kinds
        if "safe_mode" in str(error):
            raise RunError(
                f"The file model.keras of run {info.id} holds code (a Lambda layer), which is not "
                "executed: nobody knows what it does. This product saves no such file. Put the "
                "original back, or train the run again."
            ) from error
        raise _damaged(info, shorten(str(error), 200)) from error


def _damaged(info: RunInfo, reason: str) -> RunError:
    return RunError(
        f"The file model.keras of run {info.id} is damaged: {reason.rstrip('.')}. Put a copy back, "
        "or train the run again; its curves and figures are still here."
    )


def _note(config: RunConfig, model: keras.Model) -> str:
    if config.random_weights:
        return "trained on a backbone with random weights"
    names = {layer.name for layer in model.layers}
    if get_backbone(config.backbone).imagenet_scale and RESCALING not in names:
        return (
            f"trained before {config.backbone} had Keras' own scaling of its input, so that "
            "ImageNet's weights were of little use to it: run it again"
        )
    return ""


# The whole network of a run: backbone, frozen, with its head, and the ways through it.


class TransferModel:
    """Preprocessed pixels float32 (n, size, size, 3) → probabilities, and its parts."""

    def __init__(self, config: RunConfig, classes: int, settings: Settings) -> None:
        """Build it. Raises as ``build_backbone`` does."""
        self.config = config
        pretrained = ModelRef(config.backbone, config.size, random=config.random_weights, top=False)
        self.base, _ = build_backbone(pretrained, settings)
        self.model = add_head(
            self.base,
            classes,
            pooling=config.pooling,
            dropout=config.dropout,
            hidden=config.hidden_units,
            output=config.classifier_activation,
            seed=config.seed,
        )
        freeze_base(self.base)
        self._forwards: dict[tuple[str, ...], Any] = {}

    @cached_property
    def cut(self) -> str:
        """The layer up to which everything stays frozen."""
        return find_cut_below(self.base, self.config.unfreeze_from)

    def output(self, layer: str) -> Any:
        """The symbolic output of a layer; "pooling-…" is the pooled features."""
        name = "pooling" if layer.startswith("pooling-") else layer
        return self.model.get_layer(name).output

    def shape(self, layer: str) -> tuple[int, ...]:
        return tuple(self.output(layer).shape[1:])

    def forward(self, pixels: npt.NDArray[np.uint8], layers: Sequence[str]) -> list[Floats]:
        """Return what these layers make of up to FORWARD images, in inference mode.

        Args:
            pixels: uint8 (n, size, size, 3).
            layers: in the order wanted.
        """
        count = len(pixels)
        if count < FORWARD:  # one shape, one trace, and the same arithmetic for every image
            filling = np.zeros((FORWARD - count, *pixels.shape[1:]), np.uint8)
            pixels = np.concatenate([pixels, filling])
        batch = tf.constant(preprocess(pixels, self.config.backbone))
        values = self._forward(tuple(layers))(batch)
        return [value.numpy()[:count] for value in values]

    def trace(self, layers: Sequence[str]) -> None:
        """Have what ``forward`` needs for these layers ready before it is needed."""
        self._forward(tuple(layers))

    def head_weights(self, weights: Sequence[npt.NDArray[np.float32]]) -> None:
        """Put weights into the dense layers, first to last: kernel, bias, kernel, bias, …"""
        layers = [layer for layer in self.model.layers if layer.name.startswith("dense_")]
        for place, layer in enumerate([*layers, self.model.get_layer("logits")]):
            layer.set_weights(weights[2 * place : 2 * place + 2])

    def top(self) -> keras.Model:
        """Return the part above the cut, activations → logits, unfrozen."""
        unfreeze_from(self.base, self.config.unfreeze_from)
        return keras.Model(self.output(self.cut), self.model.get_layer("logits").output)

    def sizes(self) -> Sizes:
        """Return how large it is, below and above the cut."""
        layers = self.model.layers
        behind = 1 + [layer.name for layer in layers].index(self.cut)
        above = [_floats(layer) for layer in layers[behind:]]
        return Sizes(
            weights=self.model.count_params(),
            largest=max(map(_floats, layers)),
            top_weights=sum(layer.count_params() for layer in layers[behind:]),
            top_largest=max(above),
            top_activations=sum(above),
            cut=math.prod(self.shape(self.cut)),
        )

    def save(self, folder: Path) -> None:
        """Save it as ``model.keras``, whole or not at all."""
        self.model.trainable = False  # what is saved is for answering
        temporary = folder / ".saving.keras"
        self.model.save(temporary)
        temporary.replace(folder / "model.keras")

    def _forward(self, layers: tuple[str, ...]) -> Any:
        if layers not in self._forwards:
            side = self.config.size
            part = keras.Model(self.model.input, [self.output(layer) for layer in layers])
            compiled = tf.function(folded(part), autograph=False)  # plain TensorFlow already
            self._forwards[layers] = compiled.get_concrete_function(
                tf.TensorSpec((FORWARD, side, side, 3), tf.float32)
            )
        return self._forwards[layers]


def _floats(layer: keras.layers.Layer) -> int:
    """Return the activations of one image in a layer."""
    return math.prod(side or 1 for side in layer.output.shape[1:])
