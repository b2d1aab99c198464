"""Backbones for tests: which of the catalog, built once each, with weights that say something."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import pytest

from tlcore.models.build import build_architecture, freeze_base, unfreeze_from
from tlcore.models.catalog import BACKBONES, Backbone

# One of each kind of preprocessing; the last one Keras builds of nested models.
FEW = ("MobileNetV2-0.35", "VGG16", "DenseNet121", "ConvNeXtTiny")
CLOSE = 1e-5  # of the layer's largest value, or of 1 where that is more


def get_preprocessing(row: Backbone) -> Any:
    """Keras' own ``preprocess_input`` for this backbone."""
    return importlib.import_module(f"keras.applications.{row.module}").preprocess_input


def parametrize_rows(metafunc: pytest.Metafunc) -> None:
    """Give a test with the argument ``row`` a few rows of the catalog, with --all every one."""
    if "row" in metafunc.fixturenames:
        every = metafunc.config.getoption("--all")
        rows = [row for row in BACKBONES.values() if every or row.name in FEW]
        metafunc.parametrize("row", rows, ids=lambda row: row.name, scope="module")


@lru_cache(maxsize=1)
def fresh_body(row: Backbone) -> keras.Model:
    """A backbone without its top, for ImageNet's weights, at its smallest size. Change nothing."""
    return build_architecture(row, row.smallest, top=False, imagenet=True)


def random_batch(side: int) -> np.ndarray:
    return np.random.default_rng(0).random((1, side, side, 3), np.float32)


def learn(model: keras.Model, first: str) -> None:
    """Change what a run with these layers unfrozen changes, by a tenth of its size."""
    freeze_base(model)
    unfreeze_from(model, first)
    draw = np.random.default_rng(1)
    for weight in model.trainable_weights:
        value = weight.numpy()
        step = draw.normal(0, 0.1, value.shape).astype(np.float32)
        weight.assign(value + step * (np.abs(value).mean() or 1))


def assert_close(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    assert np.isfinite(wanted).all(), name
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=0, atol=CLOSE, err_msg=name)


def small_nested() -> keras.Model:
    """A small model of each kind of nesting: functional, sequential, one inside the other."""
    keras.utils.set_random_seed(1)
    inner_input = keras.Input((8, 8, 4))
    convolution = keras.layers.Conv2D(4, 3, padding="same", name="c")(inner_input)
    inner = keras.Model(
        inner_input, keras.layers.Add(name="sum")([convolution, inner_input]), name="residual"
    )
    block = keras.Sequential(
        [keras.layers.Conv2D(4, 3, strides=2, padding="same", name="a"), inner], name="block"
    )
    image = keras.Input((16, 16, 3), name="image")
    tensor = keras.layers.ReLU(name="end")(block(keras.layers.Rescaling(2.0, name="scale")(image)))
    return keras.Model(image, keras.layers.Flatten(name="flat")(tensor))
