"""Outputs of layers, computed from cached ones, against one plain Keras model with all outputs."""

from __future__ import annotations

import ctypes
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.backbones import assert_close, fresh_body, learn, nest, random_batch, small_nested
from tlcore.activations import extract
from tlcore.activations.extract import ActivationCache, LayerOutputs, release_memory, to_array
from tlcore.activations.layers import have_same_weights
from tlcore.models.build import build_architecture, flatten
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.summary import is_spatial

MEGABYTES = 512 * 2**20
SMALL = np.zeros((4, 4), np.float32)  # 64 bytes


def spatial(model: keras.Model) -> list[str]:
    return [operation.name for operation in model.operations if is_spatial(operation)]


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
    for name in list(expected)[2 :: max(1, len(expected) // 6)]:
        jumped = compute(outputs, name, batch, "", ActivationCache(0))
        np.testing.assert_array_equal(jumped, walked[name], err_msg=name)


def test_every_layer_before_and_after_fine_tuning(row: Backbone) -> None:
    fresh = fresh_body(row)
    check_every_layer(fresh)
    model = keras.models.clone_model(fresh)
    model.set_weights(fresh.get_weights())
    outputs, batch = LayerOutputs(model), random_batch(row.smallest)
    learn(model, row.unfreeze_from)
    after = plain_outputs(model, batch)
    names = list(after)
    cache = ActivationCache(MEGABYTES)
    for name in names:
        assert_close(compute(outputs, name, batch, "learned", cache), after[name], name)
    before = LayerOutputs(fresh)
    below = names[: names.index(row.unfreeze_from)]
    for name in (below[-1], names[-1]):  # frozen layers have the very same bits
        first = compute(before, name, batch, "", ActivationCache(0))
        second = compute(outputs, name, batch, "", ActivationCache(0))
        same = np.array_equal(first, second)
        assert same == (name in below)
        assert have_same_weights(before.graph, outputs.graph, name) == (name in below)


def test_a_nested_backbone_is_flattened(row: Backbone) -> None:
    """Layers keep Keras' own names, and the values of the flat backbone."""
    model = fresh_body(row)
    flat = flatten(nest(model))
    assert [layer.name for layer in flat.layers][2:] == [each.name for each in model.layers][1:]
    batch = random_batch(row.smallest)
    expected = plain_outputs(model, batch)
    found = plain_outputs(flat, batch)
    for name in list(expected)[1:]:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_models_nested_in_each_other_equal_their_parts_run_by_hand() -> None:
    model = small_nested()
    flat = flatten(model)
    assert spatial(flat) == ["image", "scale", "a", "c", "sum", "end"]
    batch = random_batch(16)
    block = model.get_layer("block")
    a = block.layers[0](batch * 2.0)
    c = block.layers[1].get_layer("c")(a)
    found = plain_outputs(flat, batch)
    np.testing.assert_allclose(found["a"], a, atol=1e-6)
    np.testing.assert_allclose(found["c"], c, atol=1e-6)
    np.testing.assert_allclose(found["end"], np.maximum(c + a, 0), atol=1e-5)
    np.testing.assert_array_equal(np.asarray(flat(batch)), np.asarray(model(batch)))
    check_every_layer(flat)


@pytest.mark.parametrize("name", ["MobileNetV2-0.35", "ResNet50", "ConvNeXtTiny"])
def test_the_division_does_not_depend_on_what_follows(name: str) -> None:
    model = build_architecture(BACKBONES[name], 64, top=False)
    tensor = keras.layers.GlobalAveragePooling2D(name="pooling")(model.output)
    with_head = keras.Model(model.input, keras.layers.Dense(3, name="logits")(tensor))
    ours, theirs = LayerOutputs(model).segments, LayerOutputs(with_head).segments
    assert theirs[: len(ours) - 1] == ours[:-1]
    assert len(ours) > 3
    every = [layer for segment in ours for layer in segment[1:]]
    assert every == [operation.name for operation in model.operations][1:]


def test_the_next_layer_costs_nothing_within_a_segment() -> None:
    outputs = LayerOutputs(build_architecture(BACKBONES["MobileNet-0.25"], 32, top=False))
    cache, batch, calls = ActivationCache(MEGABYTES), random_batch(32), []

    def decode() -> np.ndarray:
        calls.append(1)
        return batch

    outputs.compute("conv_pw_5", decode, "a", cache)
    before = len(cache)
    outputs.compute("conv_pw_5_bn", decode, "a", cache)
    assert (len(calls), len(cache)) == (1, before)
    outputs.compute("conv_pw_5_bn", decode, "another image", cache)
    assert len(calls) == 2


def test_many_images_at_once_are_what_each_is_alone() -> None:
    outputs = LayerOutputs(build_architecture(BACKBONES["MobileNet-0.25"], 32, top=False))
    batch = np.random.default_rng(1).random((3, 32, 32, 3), np.float32)
    found = to_array(outputs.compute_batch("conv_pw_5", batch))
    for number in range(3):
        alone = compute(outputs, "conv_pw_5", batch[number : number + 1], "", ActivationCache(0))
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


def test_memory_is_released_after_a_quarter_of_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[int] = []
    monkeypatch.setattr(extract, "release_memory", lambda: released.append(1))
    cache = ActivationCache(8 * SMALL.nbytes)
    for name in range(8 + 2):
        cache.put(name, SMALL)
    assert released == []
    cache.put("third", SMALL)  # three of eight have gone
    assert released == [1]


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
