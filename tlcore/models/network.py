"""A network ready to answer: from pictures to logits, probabilities and feature maps."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf
from PIL.Image import Image

from tlcore.datasets.geometry import fit
from tlcore.models.answers import FeatureMaps, Floats, Prediction, Pretrained, Seconds
from tlcore.models.build import build, preprocessing
from tlcore.models.catalogue import backbone
from tlcore.models.labels import imagenet_classes
from tlcore.models.layers import Graph, graph
from tlcore.models.maps.depth import Depth
from tlcore.models.maps.kept import Kept
from tlcore.models.maps.walk import Walk
from tlcore.models.probabilities import softmax, two_sided
from tlcore.settings import Settings


@dataclass(frozen=True, eq=False)
class Network:
    """A loaded network with everything it needs to know to answer. Read-only."""

    model: keras.Model  # float32 (n, size, size, 3) → logits, or bottleneck features
    backbone: str
    size: int  # side of the input, pixels
    fit: str  # a key of tlcore.datasets.geometry.FITS
    labels: tuple[str, ...]  # (classes,)
    wnids: tuple[str, ...]  # (classes,) or empty
    source: str  # "imagenet", "random" or "run"
    note: str

    @cached_property
    def forward(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """The compiled model; one trace serves every batch size.

        It has run once when it is handed out, so that the time of a first answer is the network's
        and not the compiler's.
        """
        signature = tf.TensorSpec((None, self.size, self.size, 3), tf.float32)
        compiled = tf.function(
            lambda batch: self.model(batch, training=False), input_signature=[signature]
        )
        compiled(tf.zeros((1, self.size, self.size, 3)))
        return compiled

    @cached_property
    def graph(self) -> Graph:
        return graph(self.model)

    @cached_property
    def walk(self) -> Walk:
        return Walk(self.graph)

    @cached_property
    def depth(self) -> Depth:
        return Depth(self.graph)

    def prepare(self, images: Sequence[Image]) -> Floats:
        """Return the network's input, float32 (n, size, size, 3), in its own range."""
        pixels = np.stack([fit(image, self.size, self.fit) for image in images])
        return preprocess(pixels, self.backbone)

    def predict(self, image: Image) -> Prediction:
        """Answer for one picture of any size, mode RGB."""
        forward = self.forward
        start = time.perf_counter()
        batch = self.prepare([image])
        prepared = time.perf_counter()
        logits = two_sided(forward(batch).numpy())[0]
        done = time.perf_counter()
        return Prediction(
            probabilities=softmax(logits),
            logits=logits,
            labels=self.labels,
            wnids=self.wnids,
            source=self.source,
            note=self.note,
            size=self.size,
            fit=self.fit,
            seconds=Seconds(prepare=prepared - start, network=done - prepared),
        )

    def feature_maps(self, image: Image, layer: str) -> FeatureMaps:
        """Return what a layer with a spatial output makes of one picture, for keeps.

        These are plain Keras' own values, to the bit. A look that must be quick goes through
        ``maps_tensor``, where TensorFlow fuses convolution and normalisation: the same to about
        one part in a million.

        Raises:
            UnknownName: no such layer, or its output is no stack of maps.
        """
        maps = self.graph.to_spatial(layer)(self.prepare([image]), training=False)
        return FeatureMaps(layer, np.asarray(maps[0]), self.source, self.note)

    def maps_tensor(
        self, layer: str, batch: Callable[[], Floats], picture: Hashable, kept: Kept
    ) -> tf.Tensor:
        """Return a spatial layer's output for a batch, computed from what is kept. See ``Walk``.

        Raises:
            UnknownName: no such layer, or its output is no stack of maps.
        """
        self.graph.check_spatial(layer)
        return self.walk.to(layer, batch, picture, kept)


def load_pretrained(ref: Pretrained, settings: Settings) -> Network:
    """Build a network of the catalogue, ready to answer. Raises as ``build`` does."""
    model, note = build(ref, settings)
    wnids, labels = imagenet_classes() if ref.top else ((), ())
    return Network(
        model=model,
        backbone=ref.backbone,
        size=ref.size,
        fit=ref.fit,
        labels=labels,
        wnids=wnids,
        source="random" if ref.random else "imagenet",
        note=note,
    )


def preprocess(pixels: np.ndarray, name: str) -> Floats:
    """Apply a backbone's own preprocessing to uint8 (n, height, width, 3) RGB pixels.

    Keras' function changes a float array in place; it gets a fresh one here.
    """
    return preprocessing(backbone(name))(pixels.astype(np.float32))
