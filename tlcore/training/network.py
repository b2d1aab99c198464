"""The whole network of a run: backbone, frozen, with its head, and the ways through it."""

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

from tlcore.models.answers import Floats, Pretrained
from tlcore.models.build import build
from tlcore.models.folding import folded
from tlcore.models.freeze import cut_below, freeze_base, unfreeze_from
from tlcore.models.heads import add_head
from tlcore.models.network import preprocess
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.pictures import FORWARD
from tlcore.training.sizes import Sizes


class Whole:
    """Preprocessed pixels float32 (n, size, size, 3) → probabilities, and its parts."""

    def __init__(self, config: RunConfig, classes: int, settings: Settings) -> None:
        """Build it. Raises as ``build`` does."""
        self.config = config
        pretrained = Pretrained(
            config.backbone, config.size, random=config.random_weights, top=False
        )
        self.base, _ = build(pretrained, settings)
        self.model = add_head(
            self.base,
            classes,
            pooling=config.pooling,
            dropout=config.dropout,
            hidden=config.hidden,
            output=config.output,
            seed=config.seed,
        )
        freeze_base(self.base)
        self._forwards: dict[tuple[str, ...], Any] = {}

    @cached_property
    def cut(self) -> str:
        """The layer up to which everything stays frozen."""
        return cut_below(self.base, self.config.unfreeze_from)

    def output(self, layer: str) -> Any:
        """The symbolic output of a layer; "pooling-…" is the pooled features."""
        name = "pooling" if layer.startswith("pooling-") else layer
        return self.model.get_layer(name).output

    def shape(self, layer: str) -> tuple[int, ...]:
        return tuple(self.output(layer).shape[1:])

    def forward(self, pixels: npt.NDArray[np.uint8], layers: Sequence[str]) -> list[Floats]:
        """Return what these layers make of up to FORWARD pictures, in inference mode.

        Args:
            pixels: uint8 (n, size, size, 3).
            layers: in the order wanted.
        """
        count = len(pixels)
        if count < FORWARD:  # one shape, one trace, and the same arithmetic for every picture
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
    """Return the activations of one picture in a layer."""
    return math.prod(side or 1 for side in layer.output.shape[1:])
