"""The layer list: which block a layer is in, what feeds it, what it sees."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import keras
import pytest

from tests.backbones import small_nested
from tlcore.activations.layers import LayerInfo, list_layers, read_graph
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


def test_what_feeds_a_layer_is_in_the_list() -> None:
    found = body("ConvNeXtTiny")
    first = next(iter(found))
    for info in found.values():
        assert set(info.layer.connected_to) <= set(found)
        assert bool(info.layer.connected_to) == (info.layer.name != first)
    stem = "convnext_tiny_stem_layernorm"
    assert found["convnext_tiny_stem_conv"].layer.connected_to == (
        "convnext_tiny_prestem_normalization",
    )
    assert found[stem].layer.connected_to == ("convnext_tiny_stem_conv",)
    assert found["add"].layer.connected_to == (stem, "convnext_tiny_stage_0_block_0_identity")


def test_what_feeds_a_layer_two_models_deep() -> None:
    found = list_by_name(flatten(small_nested()))
    connections = {name: info.layer.connected_to for name, info in found.items()}
    assert connections == {
        "image": (), "scale": ("image",), "a": ("scale",), "c": ("a",), "sum": ("c", "a"),
        "end": ("sum",), "flat": ("end",),
    }  # fmt: skip


def test_the_list_is_connected_as_the_summary_says() -> None:
    model = build_architecture(BACKBONES["MobileNetV2-0.35"], 32, top=False)
    rows = {row.name: row for row in summarize(model).layers}
    assert {name: info.layer for name, info in list_by_name(model).items()} == rows


def test_height_and_width_where_a_window_is_not_square() -> None:
    image = keras.Input((32, 32, 3))
    wide = keras.layers.Conv2D(2, (1, 7), padding="same", name="wide")(image)
    tall = keras.layers.Conv2D(2, (7, 1), padding="same", name="both")(wide)
    found = list_by_name(keras.Model(image, keras.layers.GlobalAveragePooling2D(name="all")(tall)))
    assert found["wide"].receptive_field == (1, 7)
    assert found["both"].receptive_field == (7, 7)
    assert found["all"].receptive_field == (0, 0)
