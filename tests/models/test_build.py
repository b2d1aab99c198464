"""Heads, freezing, cuts and folded normalisations on small networks; each backbone elsewhere."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.backbones import assert_close, draw_statistics
from tlcore.errors import BadConfig, UnknownName
from tlcore.models.build import (
    add_head,
    build_architecture,
    find_cut_below,
    fold_batch_normalization,
    freeze_base,
    list_cuts,
    unfreeze_from,
)
from tlcore.models.catalog import get_backbone

layers = keras.layers
SIDE, CHANNELS = 9, 6


@pytest.fixture(scope="module")
def base() -> keras.Model:
    return build_architecture(get_backbone("MobileNetV2-0.35"), 64, top=False)


@pytest.mark.parametrize(
    ("classes", "pooling", "parameters", "outputs"),
    [
        (2, "avg", 1280 + 1, 1),
        (3, "avg", 3 * (1280 + 1), 3),
        (3, "max", 3 * (1280 + 1), 3),
        (3, "flatten", 3 * (2 * 2 * 1280 + 1), 3),
    ],
)
def test_a_head_has_the_parameters_of_its_pooling(
    base: keras.Model, classes: int, pooling: str, parameters: int, outputs: int
) -> None:
    model = add_head(base, classes, pooling=pooling)
    assert model.count_params() - base.count_params() == parameters
    assert model.output_shape == (None, outputs)


def test_a_head_sits_flat_on_its_base(base: keras.Model) -> None:
    model = add_head(base, 3)
    part = keras.Model(model.input, model.get_layer("block_2_add").output)
    assert part.output_shape[1:] == (16, 16, 8)


def test_outputs_are_probabilities(base: keras.Model) -> None:
    pixels = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    assert np.asarray(add_head(base, 4)(pixels)) == pytest.approx(0.25)  # it starts undecided
    assert np.asarray(add_head(base, 2)(pixels)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"classes": 1}, BadConfig),
        ({"classes": 3, "pooling": "mean"}, UnknownName),
        ({"classes": 3, "dropout": 1.0}, BadConfig),
    ],
)
def test_heads_refused(base: keras.Model, options: dict[str, object], error: type) -> None:
    with pytest.raises(error, match="Received"):
        add_head(base, **options)


def test_cuts_of_a_residual_network_lie_between_its_blocks() -> None:
    image = keras.Input((8, 8, 3), name="image")
    a = keras.layers.Conv2D(4, 3, padding="same", name="a")(image)
    b = keras.layers.Conv2D(4, 3, padding="same", name="b")(a)
    c = keras.layers.Add(name="c")([a, b])
    d = keras.layers.ReLU(name="d")(c)
    assert list_cuts(keras.Model(image, d)) == ("image", "a", "c")


@pytest.mark.parametrize(
    ("name", "cut"),
    [("block_11_expand", "block_10_project_BN"), ("block_12_project", "block_11_add"),
     ("Conv1", "input_layer")],
)  # fmt: skip
def test_the_cut_lies_below_the_first_unfrozen_block(
    base: keras.Model, name: str, cut: str
) -> None:
    assert find_cut_below(base, name).startswith(cut)


def test_unfreezing_spares_batch_normalization(base: keras.Model) -> None:
    freeze_base(base)
    assert not base.trainable_weights
    unfreeze_from(base, "block_15_expand")
    learning = [layer.name for layer in base.layers if layer.trainable_weights]
    assert learning[0] == "block_15_expand"
    assert not any("BN" in name or "bn" in name for name in learning)
    with pytest.raises(UnknownName, match="Received 'block_99'"):
        unfreeze_from(base, "block_99")


def network_of(
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


PAIRS = [(convolution, "whole") for convolution in CONVOLUTIONS]
PAIRS += [("bias", "no factor"), ("depthwise", "no sum"), ("separable", "no factor")]


@pytest.mark.parametrize(("convolution", "norm"), PAIRS)
def test_a_convolution_takes_its_normalisation_in(convolution: str, norm: str) -> None:
    before, after = values(network_of(CONVOLUTIONS[convolution](), NORMS[norm]()))
    assert np.array_equal(before, after)  # the kernel is a folded copy


def test_what_others_see_too_stays_as_it_is() -> None:
    before, after = values(network_of(CONVOLUTIONS["plain"](), NORMS["whole"](), shared=True))
    assert not np.array_equal(before, after)  # the kernel is the network's own


def test_a_convolution_with_an_activation_stays_as_it_is() -> None:
    active = layers.Conv2D(CHANNELS, 3, activation="relu")
    before, after = values(network_of(active, NORMS["whole"]()))
    assert not np.array_equal(before, after)


def test_a_network_that_ends_in_a_convolution_stays_as_it_is() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(CHANNELS, 3)(image)
    keras.Model(image, layers.BatchNormalization()(maps))  # another's normalisation
    before, after = values(keras.Model(image, maps))
    assert not np.array_equal(before, after)
