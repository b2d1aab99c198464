"""The layer list: which block a layer is in, what feeds it, what it sees."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.backbones import small_nested
from tlcore.activations.layers import (
    LayerInfo,
    ReceptiveField,
    compute_receptive_fields,
    list_layers,
    read_graph,
)
from tlcore.models.build import build_architecture, flatten
from tlcore.models.catalog import BACKBONES
from tlcore.models.summary import summarize

FEW = ("MobileNetV2-0.35", "InceptionV3", "DenseNet121", "ConvNeXtTiny")  # without --all


def list_by_name(model: keras.Model) -> dict[str, LayerInfo]:
    return {info.layer.name: info for info in list_layers(read_graph(model))}


@cache
def body(name: str, top: bool = False) -> dict[str, LayerInfo]:
    return list_by_name(build_architecture(BACKBONES[name], BACKBONES[name].smallest, top=top))


# By the papers' figures and the names in Keras' sources, not by what the code says of them.
BLOCKS = {
    "MobileNet-0.25": {
        "input_layer": "input", "conv1_relu": "conv1", "conv_dw_1": "conv_1",
        "conv_pw_1_relu": "conv_1", "conv_pad_2": "conv_2", "conv_dw_2_bn": "conv_2",
        "conv_pw_13_relu": "conv_13",
    },
    "MobileNetV2-0.35": {
        "Conv1": "Conv1", "bn_Conv1": "Conv1", "Conv1_relu": "Conv1",
        "expanded_conv_depthwise": "expanded_conv", "expanded_conv_project_BN": "expanded_conv",
        "block_1_expand": "block_1", "block_1_pad": "block_1", "block_16_project_BN": "block_16",
        "Conv_1": "Conv_1", "Conv_1_bn": "Conv_1", "out_relu": "Conv_1",
    },
    "EfficientNetB0": {
        "rescaling": "stem", "normalization": "stem", "stem_activation": "stem",
        "block1a_se_squeeze": "block1a", "block2b_add": "block2b", "top_conv": "top",
        "top_activation": "top",
    },
    "EfficientNetV2B0": {"stem_bn": "stem", "block6h_add": "block6h", "top_bn": "top"},
    "ResNet50": {
        "conv1_pad": "conv1", "pool1_pool": "pool1", "conv2_block1_0_conv": "conv2_block1",
        "conv2_block1_out": "conv2_block1", "conv2_block2_1_conv": "conv2_block2",
        "conv5_block3_out": "conv5_block3",
    },
    "ResNet50V2": {
        "conv2_block1_preact_bn": "conv2_block1", "max_pooling2d": "conv2_block3",
        "post_bn": "end", "post_relu": "end",
    },
    "DenseNet121": {
        "zero_padding2d": "conv1", "conv1_relu": "conv1", "pool1": "pool1",
        "conv2_block1_0_bn": "conv2", "conv2_block6_concat": "conv2", "pool2_conv": "pool2",
        "conv5_block16_concat": "conv5", "bn": "end", "relu": "end",
    },
    "VGG16": {"block1_conv1": "block1", "block1_pool": "block1", "block5_conv3": "block5"},
    "Xception": {
        "block1_conv2_act": "block1", "conv2d": "block2", "batch_normalization": "block2",
        "add": "block2", "block3_sepconv1_act": "block3", "add_11": "block13",
        "block14_sepconv2_act": "block14",
    },
    "InceptionV3": {
        "conv2d": "stem", "activation_4": "stem", "max_pooling2d_1": "stem",
        "conv2d_8": "mixed0", "average_pooling2d": "mixed0", "mixed0": "mixed0",
        "conv2d_12": "mixed1", "activation_18": "mixed1", "mixed1": "mixed1",
        "max_pooling2d_2": "mixed3", "mixed9_0": "mixed9", "concatenate": "mixed9",
        "activation_85": "mixed10", "mixed9_1": "mixed10", "mixed10": "mixed10",
    },
    "ConvNeXtTiny": {
        "input_layer": "input", "convnext_tiny_prestem_normalization": "stem",
        "convnext_tiny_stem_conv": "stem", "convnext_tiny_stem_layernorm": "stem",
        "convnext_tiny_stage_0_block_0_gelu": "stage_0_block_0", "add": "stage_0_block_0",
        "convnext_tiny_downsampling_layernorm_0": "downsampling_block_0",
        "convnext_tiny_downsampling_conv_0": "downsampling_block_0",
        "add_17": "stage_3_block_2", "layer_normalization": "end",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FEW else pytest.mark.full) for name in BLOCKS]
)
def test_layers_stand_in_the_blocks_of_their_paper(name: str) -> None:
    found = body(name)
    assert {layer: found[layer].block for layer in BLOCKS[name]} == BLOCKS[name]
    blocks = [info.block for info in found.values()]
    changes = sum(a != b for a, b in pairwise(blocks))
    assert changes == len(set(blocks)) - 1  # a block's layers stand together


def test_a_top_is_a_block_of_its_own() -> None:
    whole = body("MobileNet-0.25", top=True)
    behind = list(whole)[list(whole).index("conv_pw_13_relu") + 1 :]
    assert {whole[name].block for name in behind} == {"top"}


def test_what_feeds_a_layer() -> None:
    model = build_architecture(BACKBONES["MobileNetV2-0.35"], 32, top=False)
    rows = {row.name: row for row in summarize(model).layers}
    assert {name: info.layer for name, info in list_by_name(model).items()} == rows
    found = body("ConvNeXtTiny")
    stem = "convnext_tiny_stem_layernorm"
    assert found["add"].layer.connected_to == (stem, "convnext_tiny_stage_0_block_0_identity")


def test_what_feeds_a_layer_two_models_deep() -> None:
    found = list_by_name(flatten(small_nested()))
    connections = {name: info.layer.connected_to for name, info in found.items()}
    assert connections == {
        "image": (), "scale": ("image",), "a": ("scale",), "c": ("a",), "sum": ("c", "a"),
        "end": ("sum",), "flat": ("end",),
    }  # fmt: skip


def test_height_and_width_where_a_window_is_not_square() -> None:
    image = keras.Input((32, 32, 3))
    wide = keras.layers.Conv2D(2, (1, 7), padding="same", name="wide")(image)
    tall = keras.layers.Conv2D(2, (7, 1), padding="same", name="both")(wide)
    found = list_by_name(keras.Model(image, keras.layers.GlobalAveragePooling2D(name="all")(tall)))
    assert found["wide"].receptive_field == (1, 7)
    assert found["both"].receptive_field == (7, 7)
    assert found["all"].receptive_field == (0, 0)


def field_of(model: keras.Model, layer: str) -> ReceptiveField:
    return compute_receptive_fields(read_graph(model))[layer]


@cache
def large(name: str) -> keras.Model:
    constructor = getattr(keras.applications, name)
    with keras.StatelessScope():  # shapes only: no values drawn
        return constructor(include_top=False, weights=None, input_shape=(224, 224, 3))


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
    found = field_of(large(name), layer)
    assert (found.width, found.height) == (pixels, pixels)
    assert (found.across.step, found.down.step) == (step, step)


def test_behind_a_squeeze_all_is_seen() -> None:
    model = build_architecture(BACKBONES["EfficientNetB0"], 64, top=False)
    assert math.isfinite(field_of(model, "block1a_dwconv").height)
    assert math.isinf(field_of(model, "block1a_se_excite").height)


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
    assert field_of(model, "end").box(*spot, 32) == seen
