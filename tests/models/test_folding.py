"""What is folded and what must not be; every backbone in test_backbones.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.backbones import assert_close, draw_statistics
from tlcore.models.build import fold_batch_normalization

layers = keras.layers
SIDE, CHANNELS = 9, 6


def network(
    first: keras.layers.Layer, norm: keras.layers.Layer, *, shared: bool = False
) -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    maps = first(image)
    end = layers.ReLU(6.0)(norm(maps))
    model = keras.Model(image, layers.Concatenate()([maps, end]) if shared else end)
    draw_statistics(model)
    for weight in first.weights:  # a bias too: Keras starts it from zero
        weight.assign(np.random.default_rng(3).normal(0, 0.5, weight.shape))
    return model


CONVOLUTIONS = {
    "plain": lambda: layers.Conv2D(CHANNELS, 3, strides=2, padding="same", use_bias=False),
    "bias": lambda: layers.Conv2D(CHANNELS, 3, padding="same"),
    "dilated": lambda: layers.Conv2D(CHANNELS, 3, dilation_rate=2),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
    "separable": lambda: layers.SeparableConv2D(CHANNELS, 3),
}
NORMS = {
    "whole": layers.BatchNormalization,
    "no factor": lambda: layers.BatchNormalization(scale=False),
    "no sum": lambda: layers.BatchNormalization(center=False, epsilon=1.001e-5),
}


def values(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """What the folded network says before and after the model's own kernel is changed."""
    batch = np.random.default_rng(4).normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)
    call = tf.function(fold_batch_normalization(model), autograph=False)
    (first,) = call(tf.constant(batch))
    assert_close(first.numpy(), np.asarray(model(batch, training=False)), "folded")
    kernels = [weight for weight in model.layers[1].weights if "kernel" in weight.name]
    kernels[-1].assign(kernels[-1].numpy() + 1)
    return first.numpy(), call(tf.constant(batch))[0].numpy()


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("convolution", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_takes_its_normalisation_in(convolution: object, norm: object) -> None:
    before, after = values(network(convolution(), norm()))
    assert np.array_equal(before, after)  # the kernel is a folded copy


def test_what_others_see_too_stays_as_it_is() -> None:
    before, after = values(network(CONVOLUTIONS["plain"](), NORMS["whole"](), shared=True))
    assert not np.array_equal(before, after)  # the kernel is the network's own


def test_a_convolution_with_an_activation_stays_as_it_is() -> None:
    active = layers.Conv2D(CHANNELS, 3, activation="relu")
    before, after = values(network(active, NORMS["whole"]()))
    assert not np.array_equal(before, after)


def test_a_network_that_ends_in_a_convolution_stays_as_it_is() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(CHANNELS, 3)(image)
    keras.Model(image, layers.BatchNormalization()(maps))  # another's normalisation
    before, after = values(keras.Model(image, maps))
    assert not np.array_equal(before, after)
