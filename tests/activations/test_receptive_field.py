"""Receptive fields against published arithmetic, and the box of one value against its gradient."""

from __future__ import annotations

from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from tlcore.activations.layers import read_graph
from tlcore.activations.receptive_field import (
    ReceptiveField,
    compute_receptive_fields,
    receptive_box,
)
from tlcore.models.build import build_architecture
from tlcore.models.catalog import get_backbone


def field_of(model: keras.Model, layer: str) -> ReceptiveField:
    graph = read_graph(model)
    return compute_receptive_fields(graph.layers, graph.inputs)[layer]


@cache
def body(name: str) -> keras.Model:
    return build_architecture(get_backbone(name), 224, top=False)


# Araujo, Norris, Sim: "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019
# (https://distill.pub/2019/computing-receptive-fields/). Receptive field and effective stride of
# whole networks are those in the table of the authors' library, printed in its README
# (https://github.com/google-research/receptive_field): vgg_16 212 and 32, resnet_v1_50 483 and 32,
# mobilenet_v1 315 and 32, inception_v3 1311 and 32. The layers between follow from the paper's
# recurrence r ← r + (k − 1) · j, j ← j · s. VGG16: before block 5 the
# stride j is 16 and r is 100, and its three 3 × 3 convolutions add 3 · 2 · 16 = 96: 196; the last
# pool adds 16: 212. ResNet50: 7, pool 11, then 2 · j for each block's one 3 × 3 convolution:
# 11 + 3 · 8 = 35, 35 + 4 · 16 = 99, 99 + 6 · 32 = 291, 291 + 3 · 64 = 483.
@pytest.mark.parametrize(
    ("name", "layer", "pixels", "step"),
    [
        ("VGG16", "block1_conv1", 3, 1),
        ("VGG16", "block4_pool", 100, 16),
        ("VGG16", "block5_conv3", 196, 16),
        ("VGG16", "block5_pool", 212, 32),
        ("ResNet50", "conv1_conv", 7, 2),
        ("ResNet50", "pool1_pool", 11, 4),
        ("ResNet50", "conv2_block3_out", 35, 4),
        ("ResNet50", "conv3_block4_out", 99, 8),
        ("ResNet50", "conv4_block6_out", 291, 16),
        ("ResNet50", "conv5_block3_out", 483, 32),
        ("MobileNet", "conv_pw_13_relu", 315, 32),
        ("InceptionV3", "mixed10", 1311, 32),
    ],
)
def test_published_receptive_fields(name: str, layer: str, pixels: int, step: int) -> None:
    found = field_of(body(name), layer)
    assert (found.width, found.height) == (pixels, pixels)
    assert (found.step_across, found.step_down) == (step, step)


def test_behind_a_squeeze_all_is_seen() -> None:
    model = build_architecture(get_backbone("EfficientNetB0"), 64, top=False)
    assert not field_of(model, "block1a_dwconv").whole
    assert field_of(model, "block1a_se_excite").whole


@pytest.mark.parametrize("spot", [(0, 0), (3, 2), (7, 7)])
def test_the_box_is_where_the_gradient_is_not_zero(spot: tuple[int, int]) -> None:
    """Every pixel of the box moves the value and no other does; kernels are all ones."""
    image = keras.Input((32, 32, 3))
    ones = {"kernel_initializer": "ones", "use_bias": False}
    tensor = keras.layers.Conv2D(2, 3, strides=2, padding="same", **ones)(image)
    branch = keras.layers.DepthwiseConv2D(
        3, dilation_rate=2, padding="same", depthwise_initializer="ones"
    )(tensor)
    tensor = keras.layers.Add()([tensor, branch])
    tensor = keras.layers.ZeroPadding2D(((1, 0), (0, 1)))(tensor)
    tensor = keras.layers.AveragePooling2D(2, name="end")(tensor)
    model = keras.Model(image, tensor)
    batch = tf.Variable(np.ones((1, 32, 32, 3), np.float32))
    with tf.GradientTape() as tape:
        value = model(batch)[0, spot[0], spot[1], 0]
    moved = np.abs(tape.gradient(value, batch)[0]).sum(axis=2) > 0
    rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
    seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert receptive_box(field_of(model, "end"), *spot, 32) == seen
