"""Heads, freezing and cuts on small networks; each backbone elsewhere."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tlcore.errors import BadConfig, UnknownName
from tlcore.models.build import (
    add_head,
    build_architecture,
    find_cut_below,
    freeze_base,
    list_cuts,
    unfreeze_from,
)
from tlcore.models.catalog import get_backbone


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
