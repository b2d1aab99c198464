"""Outputs of layers, computed from cached ones, against one plain Keras model with all outputs."""

from __future__ import annotations

import ctypes
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.backbones import assert_close, fresh_body, learn, random_batch, small_nested
from tlcore.activations.extract import ActivationCache, LayerOutputs, release_memory, to_array
from tlcore.activations.layers import have_same_weights
from tlcore.models.build import build_architecture, flatten
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.summary import is_spatial

MEGABYTES = 512 * 2**20
SMALL = np.zeros((4, 4), np.float32)  # 64 bytes
FEW = ("MobileNetV2-0.35",)  # without --all
ROWS = [
    pytest.param(row, marks=[] if row.name in FEW else pytest.mark.full, id=row.name)
    for row in BACKBONES.values()
]


def plain_outputs(model: keras.Model, batch: np.ndarray) -> dict[str, np.ndarray]:
    """Every spatial layer by Keras alone, uncompiled."""
    outputs = {each.name: each.output for each in model.operations if is_spatial(each)}
    values = keras.Model(model.input, list(outputs.values()))(batch, training=False)
    return {name: np.asarray(value) for name, value in zip(outputs, values, strict=True)}


def compute(
    outputs: LayerOutputs, name: str, batch: np.ndarray, image: str, cache: ActivationCache
) -> np.ndarray:
    return to_array(outputs.compute(name, lambda: batch, image, cache)).copy()


def check_every_layer(model: keras.Model) -> None:
    """Walked through and jumped to, each layer has the same bits, within 1e-5 of plain Keras."""
    batch = random_batch(model.input_shape[1])
    outputs, cache = LayerOutputs(model), ActivationCache(MEGABYTES)
    expected = plain_outputs(model, batch)
    walked = {name: compute(outputs, name, batch, "image", cache) for name in expected}
    for name, wanted in expected.items():
        assert_close(walked[name], wanted, name)
    for name in list(expected)[2 :: max(1, len(expected) // 3)]:
        jumped = compute(outputs, name, batch, "", ActivationCache(0))
        np.testing.assert_array_equal(jumped, walked[name], err_msg=name)


@pytest.mark.parametrize("row", ROWS)
def test_every_layer_before_and_after_fine_tuning(row: Backbone) -> None:
    fresh = fresh_body(row)
    check_every_layer(fresh)
    model = keras.models.clone_model(fresh)
    model.set_weights(fresh.get_weights())
    outputs, batch = LayerOutputs(model), random_batch(row.smallest)
    learn(model, row.unfreeze_from)
    after = plain_outputs(model, batch)
    names, before = list(after), LayerOutputs(fresh)
    below = names[: names.index(row.unfreeze_from)]
    for name in (below[-1], names[-1]):  # frozen layers have the very same bits
        first = compute(before, name, batch, "", ActivationCache(0))
        second = compute(outputs, name, batch, "", ActivationCache(0))
        assert_close(second, after[name], name)
        same = np.array_equal(first, second)
        assert same == (name in below)
        assert have_same_weights(before.graph, outputs.graph, name) == (name in below)


def test_models_nested_in_each_other_equal_their_parts_run_by_hand() -> None:
    model = small_nested()
    flat = flatten(model)
    batch = random_batch(16)
    block = model.get_layer("block")
    a = block.layers[0](batch * 2.0)
    c = block.layers[1].get_layer("c")(a)
    found = plain_outputs(flat, batch)
    assert list(found) == ["image", "scale", "a", "c", "sum", "end"]
    np.testing.assert_allclose(found["a"], a, atol=1e-6)
    np.testing.assert_allclose(found["c"], c, atol=1e-6)
    np.testing.assert_allclose(found["end"], np.maximum(c + a, 0), atol=1e-5)
    np.testing.assert_array_equal(np.asarray(flat(batch)), np.asarray(model(batch)))
    check_every_layer(flat)


@pytest.mark.parametrize("name", ["MobileNetV2-0.35", "ConvNeXtTiny"])
def test_the_division_does_not_depend_on_what_follows(name: str) -> None:
    model = build_architecture(BACKBONES[name], 64, top=False)
    tensor = keras.layers.GlobalAveragePooling2D(name="pooling")(model.output)
    with_head = keras.Model(model.input, keras.layers.Dense(3, name="logits")(tensor))
    ours, theirs = LayerOutputs(model).segments, LayerOutputs(with_head).segments
    assert theirs[: len(ours) - 1] == ours[:-1]
    assert len(ours) > 3
    every = [layer for segment in ours for layer in segment[1:]]
    assert every == [operation.name for operation in model.operations][1:]


@pytest.fixture(scope="module")
def small() -> LayerOutputs:
    return LayerOutputs(build_architecture(BACKBONES["MobileNet-0.25"], 32, top=False))


def test_the_next_layer_costs_nothing_within_a_segment(small: LayerOutputs) -> None:
    cache, batch, calls = ActivationCache(MEGABYTES), random_batch(32), []

    def decode() -> np.ndarray:
        calls.append(1)
        return batch

    small.compute("conv_pw_5", decode, "a", cache)
    before = len(cache)
    small.compute("conv_pw_5_bn", decode, "a", cache)
    assert (len(calls), len(cache)) == (1, before)
    small.compute("conv_pw_5_bn", decode, "another image", cache)
    assert len(calls) == 2


def test_many_images_at_once_are_what_each_is_alone(small: LayerOutputs) -> None:
    batch = np.random.default_rng(1).random((3, 32, 32, 3), np.float32)
    found = to_array(small.compute_batch("conv_pw_5", batch))
    for number in range(3):
        alone = compute(small, "conv_pw_5", batch[number : number + 1], "", ActivationCache(0))
        assert_close(found[number], alone[0], str(number))


def test_the_least_recently_used_goes_first_and_the_bound_holds() -> None:
    cache = ActivationCache(3 * SMALL.nbytes)
    for name in "abc":
        cache.put(name, SMALL)
    assert cache.get("a") is SMALL  # now the latest used
    cache.put("d", SMALL)
    assert cache.get("b") is None
    assert cache.get("a") is SMALL
    assert (len(cache), cache.bytes) == (3, cache.bound)
    cache.put("whole", np.zeros((100, 100), np.float32))  # larger than all there is room for
    assert cache.get("whole") is None
    assert len(cache) == 3


def test_holes_between_what_stays_go_back_to_the_system() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("the C library cannot give memory back")

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    blocks = [np.ones(16_000, np.float32) for _ in range(3_000)]  # 64 KB each, 190 MB
    stay = blocks[::2]
    del blocks
    before = resident()
    release_memory()
    assert before - resident() > 50 * 2**20
    assert len(stay) == 1_500
