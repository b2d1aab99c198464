"""Grad-CAM against a reference straight from gradients: both kinds of head, flat and nested."""

from __future__ import annotations

from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tlcore.errors import UnknownName
from tlcore.models.build import add_head, flatten
from tlcore.models.gradcam import SIGNED, Explanation, overlay_heat, weigh_maps
from tlcore.models.loaded_model import LoadedModel

SIZE = 64
IMAGE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 120, 3), np.uint8))


@cache
def backbone(**options: object) -> keras.Model:
    """A small network with lively maps: as it is built, they fade to zero layer by layer."""
    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNet(
        alpha=0.25, weights=None, input_shape=(SIZE, SIZE, 3), **options
    )
    generator = np.random.default_rng(4)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(generator.uniform(2, 4, layer.gamma.shape))
            layer.beta.assign(generator.normal(0, 0.5, layer.beta.shape))
    return model


def network(model: keras.Model, classes: int, source: str = "run") -> LoadedModel:
    labels = tuple(f"class {number}" for number in range(classes))
    return LoadedModel(flatten(model), "MobileNet-0.25", SIZE, "crop", labels, (), source, "")


@cache
def flat_head(classes: int, seed: int = 5) -> keras.Model:
    """A head with weights that say something, which ends in logits as a loaded run does."""
    model = add_head(backbone(include_top=False), classes)
    kernel = np.random.default_rng(seed).normal(size=model.get_layer("logits").kernel.shape)
    model.get_layer("logits").kernel.assign(kernel)
    model.get_layer("logits").bias.assign(np.arange(1.0, kernel.shape[1] + 1))
    return keras.Model(model.input, model.get_layer("logits").output)


@cache
def nested_head(classes: int, seed: int = 5) -> keras.Model:
    """The same head as the tutorials build it: the backbone is one layer of it."""
    base = backbone(include_top=False)
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            base,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1 if classes == 2 else classes),
        ]
    )
    kernel = np.random.default_rng(seed).normal(size=model.layers[-1].kernel.shape)
    model.layers[-1].kernel.assign(kernel)
    return model


def reference(lower: keras.Model, upper: object, batch: np.ndarray, sign: float, unit: int):
    """The paper's formula, loop by loop: α is the mean gradient of a map, the sum is cut at 0."""
    maps = lower(batch, training=False)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        score = sign * upper(maps)[0, unit]
    gradient = tape.gradient(score, maps).numpy()[0]
    cam = np.zeros(maps.shape[1:3])
    for channel in range(maps.shape[3]):
        cam += gradient[:, :, channel].mean() * maps.numpy()[0, :, :, channel]
    return np.maximum(cam, 0)


@pytest.mark.parametrize(
    ("classes", "index", "sign", "unit"),
    [(3, 0, 1.0, 0), (3, 2, 1.0, 2), (2, 0, -1.0, 0), (2, 1, 1.0, 0)],
)
@pytest.mark.parametrize("build", [flat_head, nested_head])
def test_a_heads_map_is_the_papers(
    build: object, classes: int, index: int, sign: float, unit: int
) -> None:
    """Three classes end in a softmax; of two, one sigmoid unit speaks for both."""
    model = build(classes)
    loaded, dense = network(model, classes), model.layers[-1]
    expected = reference(
        backbone(include_top=False),
        lambda maps: dense(tf.reduce_mean(maps, (1, 2))),
        loaded.prepare([IMAGE]),
        sign,
        unit,
    )
    found = loaded.explain(IMAGE, index)
    np.testing.assert_allclose(found.cam, expected, atol=1e-4)
    assert (found.layer, found.label) == ("conv_pw_13_relu", f"class {index}")
    own = sign * float(model(loaded.prepare([IMAGE]), training=False)[0, unit])
    assert_adds_up(found, own)
    every = [loaded.explain(IMAGE, place).probability for place in range(classes)]
    assert sum(every) == pytest.approx(1)


@pytest.mark.parametrize("layer", ["", "conv_pw_5_relu"])
def test_imagenets_own_head_at_any_layer(layer: str) -> None:
    model = backbone(classifier_activation=None)
    for weight in model.get_layer("conv_preds").weights:
        weight.assign(np.random.default_rng(2).uniform(0, 1, weight.shape))
    net = network(model, 1000, "random")
    name = layer or "conv_pw_13_relu"
    lower = keras.Model(model.input, model.get_layer(name).output)
    upper = keras.Model(model.get_layer(name).output, model.output)
    expected = reference(lower, upper, net.prepare([IMAGE]), 1.0, 207)
    found = net.explain(IMAGE, 207, layer)
    assert found.layer == name
    np.testing.assert_allclose(found.cam, expected, atol=1e-4)
    own = float(model(net.prepare([IMAGE]), training=False)[0, 207])
    assert found.logit == pytest.approx(own, abs=1e-4)
    if layer:
        assert found.contributions is None
    else:
        assert_adds_up(found, own)
    assert found.heat.max() == (pytest.approx(1) if expected.max() > 0 else 0)


def assert_adds_up(found: Explanation, logit: float) -> None:
    """The cells and the bias are the model's own logit; what supports it is the Grad-CAM map."""
    assert found.contributions is not None
    assert float(found.contributions.sum()) + found.bias == pytest.approx(logit, abs=1e-4)
    assert found.logit == pytest.approx(logit, abs=1e-4)
    np.testing.assert_allclose(np.maximum(found.contributions, 0), found.cam, atol=1e-4)


@pytest.mark.parametrize(
    "options", [{"pooling": "max"}, {"pooling": "flatten"}, {"hidden": [8]}, {"dropout": 0.5}]
)
def test_only_average_pooling_and_one_dense_layer_add_up(options: dict[str, Any]) -> None:
    model = add_head(backbone(include_top=False), 3, **options)
    model = keras.Model(model.input, model.get_layer("logits").output)
    found = network(model, 3).explain(IMAGE, 1)
    assert (found.contributions is None) == ("dropout" not in options)  # which does nothing here


def test_by_hand() -> None:
    maps = np.zeros((1, 2, 2), np.float32)
    maps[0, :, 0], maps[0, :, 1] = [1, 2], [4, 0]
    gradient = np.zeros((1, 2, 2), np.float32)
    gradient[0, :, 0], gradient[0, :, 1] = [1, 3], [-1, 0]  # means 2 and -0.5
    assert weigh_maps(maps, gradient).tolist() == [[0.0, 4.0]]  # 2·1 − ½·4 = 0, 2·2 − 0 = 4


@pytest.mark.parametrize(
    ("index", "layer", "said"),
    [(3, "", "Received '3'"), (-1, "", "Received '-1'"), (0, "conv99", "Received 'conv99'"),
     (0, "logits", "Received 'logits'")],
)  # fmt: skip
def test_what_cannot_be_explained_is_said(index: int, layer: str, said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        network(flat_head(3), 3).explain(IMAGE, index, layer)


def test_overlay_leaves_the_image_where_nothing_speaks() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    np.testing.assert_array_equal(overlay_heat(grey, np.zeros((2, 2), np.float32), 1.0), grey)
    hot = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(overlay_heat(grey, hot, 0.0), grey)
    assert overlay_heat(grey, hot, 1.0)[0, 0].tolist() == [255, 225, 70]
    assert overlay_heat(grey, hot, 1.0, signed=True)[0, 0].tolist() == SIGNED[-1].tolist()
    assert overlay_heat(grey, -hot, 1.0, signed=True)[0, 0].tolist() == SIGNED[0].tolist()


def test_a_map_of_nothing_stays_zero() -> None:
    nothing = Explanation(
        np.zeros((2, 2), np.float32), 0, "a", "", 0.5, "x", "run", "", 8, "crop", 0.0
    )
    assert nothing.heat.max() == 0
