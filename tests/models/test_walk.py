"""The walk against one plain Keras model with all layers as outputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.models.test_layers import nested
from tlcore.activations.channel import same_weights
from tlcore.activations.extract import (
    PIECES,
    ActivationCache,
    LayerOutputs,
    compute_activations,
    to_maps,
)
from tlcore.errors import UnknownName
from tlcore.models.build import architecture
from tlcore.models.catalog import BACKBONES
from tlcore.models.layers import graph

MEGABYTES = 512 * 2**20


def pixels(side: int) -> np.ndarray:
    return np.random.default_rng(0).random((1, side, side, 3), np.float32)


def plain_part(feeds: list[Any], ends: list[Any]) -> Any:
    """A piece that is not compiled: a plain Keras model."""
    part = keras.Model(feeds, ends)
    return lambda *batch: keras.tree.flatten(part(list(batch), training=False))


def check_every_layer(model: keras.Model, compiled: int = 1) -> None:
    """Values within 1e-5 of a direct sub-model, relative to the layer's largest beyond 1.

    The way to every layer is walked; every ``compiled``-th one in compiled pieces as the page does
    it, the others in plain ones: it is compiling that takes the time of this test.
    """
    opened = graph(model)
    batch = pixels(model.input_shape[1])
    expected = keras.Model(opened.input, [opened.outputs[name] for name in opened.spatial])(
        batch, training=False
    )
    walk, kept = LayerOutputs(opened), ActivationCache(MEGABYTES)
    plain, kept_plain = LayerOutputs(opened, plain_part), ActivationCache(MEGABYTES)
    for number, (name, wanted) in enumerate(zip(opened.spatial, expected, strict=True)):
        if number % compiled:
            maps = to_maps(plain.to(name, lambda: batch, "image", kept_plain))
        else:
            maps = to_maps(walk.to(name, lambda: batch, "image", kept))
        wanted = np.asarray(wanted[0])
        assert np.isfinite(wanted).all(), name
        scale = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(maps / scale, wanted / scale, rtol=0, atol=1e-5, err_msg=name)
    for name in opened.spatial[2 :: max(1, len(opened.spatial) // 4)]:  # jumped to: the same bits
        jumped = to_maps(walk.to(name, lambda: batch, "", ActivationCache(0)))
        walked = to_maps(walk.to(name, lambda: batch, "image", kept))
        np.testing.assert_array_equal(jumped, walked, err_msg=name)


def test_a_nested_model_equals_a_direct_model() -> None:
    check_every_layer(nested())
    image = keras.Input((32, 32, 3))
    base = architecture(BACKBONES["MobileNet-0.25"], 32, top=False)
    tensor = keras.layers.Conv2D(3, 1, name="before")(image)
    check_every_layer(keras.Model(image, keras.layers.ReLU(name="end")(base(tensor))))


def test_a_jump_and_a_walk_give_the_same_bits() -> None:
    model = architecture(BACKBONES["MobileNetV2-0.35"], 32, top=False)
    opened = graph(model)
    walk, batch = LayerOutputs(opened), pixels(32)
    names = opened.spatial[-14:]
    jumped = {
        name: to_maps(walk.to(name, lambda: batch, "", ActivationCache(0))).copy() for name in names
    }
    kept = ActivationCache(MEGABYTES)
    for name in opened.spatial[-40:]:
        value = to_maps(walk.to(name, lambda: batch, "a", kept))
        if name in jumped:
            np.testing.assert_array_equal(value, jumped[name])


@pytest.mark.parametrize("name", ["ResNet50", "EfficientNetB0", "ConvNeXtTiny"])
def test_a_jump_and_a_walk_through_joins_give_the_same_bits(name: str) -> None:
    """Layer by layer, each from the one before it, against a jump from the image."""
    row = BACKBONES[name]
    opened = graph(architecture(row, row.smallest, top=False))
    walk, batch, kept = LayerOutputs(opened), pixels(row.smallest), ActivationCache(MEGABYTES)
    middle = list(opened.outputs)[30:66]  # some blocks, a cut or two among them
    for place, layer in enumerate(middle):
        before = len(kept)
        walked = to_maps(walk.to(layer, lambda: batch, "a", kept))
        if place > 1:  # its feeds are known: it alone is computed
            assert len(kept) - before <= 1, layer
        if place % 5 == 4:
            jumped = to_maps(walk.to(layer, lambda: batch, "", ActivationCache(0)))
            np.testing.assert_array_equal(jumped, walked, err_msg=layer)


def test_the_next_layer_runs_itself_and_nothing_else() -> None:
    walk = LayerOutputs(graph(architecture(BACKBONES["MobileNet-0.25"], 32, top=False)))
    kept, batch, asked = ActivationCache(MEGABYTES), pixels(32), []

    def ask() -> np.ndarray:
        asked.append(1)
        return batch

    walk.to("conv_pw_5", ask, "a", kept)
    before = len(kept)
    walk.to("conv_pw_5_bn", ask, "a", kept)
    assert (len(asked), len(kept) - before) == (1, 1)
    walk.to("conv_pw_5_bn", ask, "another image", kept)
    assert len(asked) == 2


def test_behind_a_jump_neither_the_sum_nor_the_way_back_runs_anything_again() -> None:
    """A jump into a residual block: its sum wants the shortcut, which the jump has passed."""
    made: list[tuple[int, int]] = []

    def counting(feeds: list[Any], ends: list[Any]) -> Any:
        made.append((len(feeds), len(ends)))
        return plain_part(feeds, ends)

    opened = graph(architecture(BACKBONES["MobileNetV2-0.35"], 64, top=False))
    walk, kept, batch = LayerOutputs(opened, counting), ActivationCache(MEGABYTES), pixels(64)
    walk.to("block_4_project_BN", lambda: batch, "a", kept)
    jump = len(made)
    assert jump == 2  # through the cuts, and from the last of them to the layer
    walk.to("block_4_add", lambda: batch, "a", kept)
    assert made[jump:] == [(2, 1)]
    walk.to("block_4_depthwise_relu", lambda: batch, "a", kept)
    walk.to("block_4_expand", lambda: batch, "a", kept)
    assert made[jump:] == [(2, 1)]


def test_a_shortcut_with_layers_of_its_own_runs_alone() -> None:
    """ResNet50's first block of a stage: the sum wants a convolution that the jump has not passed,
    and its normalisation; both start at what the jump has made known."""
    made: list[tuple[list[str], list[str]]] = []

    def naming(feeds: list[Any], ends: list[Any]) -> Any:
        made.append(tuple([t._keras_history.operation.name for t in ts] for ts in (feeds, ends)))
        return plain_part(feeds, ends)

    opened = graph(architecture(BACKBONES["ResNet50"], 32, top=False))
    walk, kept, batch = LayerOutputs(opened, naming), ActivationCache(MEGABYTES), pixels(32)
    walk.to("conv3_block1_3_bn", lambda: batch, "a", kept)
    walk.to("conv3_block1_add", lambda: batch, "a", kept)
    feeds, ends = made[-1]
    assert set(feeds) == {"conv2_block3_out", "conv3_block1_3_bn"}
    assert ends == ["conv3_block1_0_conv", "conv3_block1_0_bn", "conv3_block1_add"]


def test_only_so_many_pieces_stay_compiled() -> None:
    walk = LayerOutputs(
        graph(architecture(BACKBONES["MobileNetV2-0.35"], 32, top=False)), plain_part
    )
    kept, batch = ActivationCache(MEGABYTES), pixels(32)
    for name in walk.graph.spatial:
        walk.to(name, lambda: batch, "a", kept)
    assert walk.piece.cache_info().currsize == PIECES < len(walk.graph.spatial)


def test_what_is_kept_stays_within_its_bytes() -> None:
    kept = ActivationCache(100)
    for key in "abc":
        kept.put(key, np.zeros((2, 5), np.float32))  # 40 bytes
    assert kept.get("a") is None
    assert kept.get("b") is not None
    kept.put("d", np.zeros(10, np.float32))
    assert kept.get("c") is None  # the longest unused
    kept.put("large", np.zeros(26, np.float32))
    assert kept.get("large") is None
    assert kept.bytes == 80


def test_a_learned_layer_changes_all_behind_it_and_nothing_before() -> None:
    row = BACKBONES["MobileNet-0.25"]
    first, second = (LayerOutputs(graph(architecture(row, 32, top=False))) for _ in range(2))
    learned = second.graph.layers["conv_pw_3"]
    learned.set_weights([learned.get_weights()[0] + 0.1])
    batch = pixels(32)
    for name, same in (("conv_dw_3_relu", True), ("conv_pw_3", False), ("conv_pw_9", False)):
        before, after = (
            to_maps(walk.to(name, lambda: batch, "", ActivationCache(0)))
            for walk in (first, second)
        )
        assert same_weights(first.wiring, second.wiring, name) is same
        assert bool((before == after).all()) is same


def test_an_unknown_layer_is_told_the_closest() -> None:
    from tlcore.models.model import load_pretrained
    from tlcore.models.predictions import ModelRef
    from tlcore.settings import PROJECT, Settings

    nothing = Settings(PROJECT / "none", PROJECT / "none")
    network = load_pretrained(ModelRef("MobileNet-0.25", 32, random=True), nothing)
    with pytest.raises(UnknownName, match=r"such as conv1,.*there are \d+.*Received 'conv99'"):
        compute_activations(network, "conv99", lambda: pixels(32), "", ActivationCache(0))
