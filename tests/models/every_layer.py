"""Every layer of a network at once, in the walk's own pieces from cut to cut."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tlcore.activations.extract import LayerOutputs, Make, to_maps
from tlcore.models.build import freeze_base, unfreeze_from
from tlcore.models.layers import graph

WHOLE = 1e-5  # of the layer's largest value, or of 1 where that is more


class Whole:
    """A network cut as the walk cuts it, each piece giving all its layers in one call."""

    def __init__(self, model: keras.Model, make: Make | None = None) -> None:
        self.walk = LayerOutputs(graph(model), make)
        self.starts = self.walk.wiring.starts

    def maps(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return every spatial layer's maps for one image."""
        values = {0: tf.constant(batch)}
        for cut in sorted(set(self.starts)):
            ends = tuple(place for place, start in enumerate(self.starts) if place and start == cut)
            found = self.walk.piece((cut,), ends)(values[cut])
            values |= dict(zip(ends, found, strict=True))
        place = self.walk.wiring.place
        return {name: to_maps(values[place[name]]) for name in self.walk.graph.spatial}


def inside(model: keras.Model) -> keras.Model:
    """Return a network of which a whole backbone is one layer."""
    image = keras.Input(model.input_shape[1:])
    return keras.Model(image, model(keras.layers.Rescaling(1.0, name="before")(image)))


def learn(model: keras.Model, first: str) -> None:
    """Change what a run with these layers unfrozen changes, by a tenth of its size."""
    freeze_base(model)
    unfreeze_from(model, first)
    draw = np.random.default_rng(1)
    for weight in model.trainable_weights:
        value = weight.numpy()
        step = draw.normal(0, 0.1, value.shape).astype(np.float32)
        weight.assign(value + step * (np.abs(value).mean() or 1))


def draw_statistics(model: keras.Model) -> None:
    """Give the normalisations what training gives them: those of a fresh network do nothing."""
    draw = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            drawn = {"gamma": (0.5, 1.5), "beta": (-0.5, 0.5)}
            drawn |= {"moving_mean": (-0.5, 0.5), "moving_variance": (0.5, 2.0)}
            layer.set_weights(
                [draw.uniform(*drawn[weight.name], weight.shape) for weight in layer.weights]
            )


def assert_same(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    assert np.isfinite(wanted).all(), name
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=0, atol=WHOLE, err_msg=name)
