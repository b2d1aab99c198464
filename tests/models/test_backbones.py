"""Backbones of the catalog as they are built: what a row says, and what Keras itself builds."""

from __future__ import annotations

import io
import json
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from tests.backbones import (
    fresh_body,
    get_preprocessing,
)
from tlcore.cli.summary import summary
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.models import build
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.loaded_model import load_pretrained
from tlcore.models.predictions import ModelRef
from tlcore.models.weights import hash_network, hash_weights, weights_file_name
from tlcore.settings import Settings
from tlcore.ui.feature_maps.layer_text import UNKNOWN, layer_text


def test_a_row_says_what_keras_builds(row: Backbone) -> None:
    model = fresh_body(row)
    assert model.input_shape == (None, row.smallest, row.smallest, 3)
    assert model.count_params() / 1e6 == pytest.approx(row.million, abs=0.0006)
    names = [layer.name for layer in model.layers]
    assert [names.index(name) for name in row.layers] == sorted(map(names.index, row.layers))
    assert all(len(model.get_layer(name).output.shape) == 4 for name in row.layers)
    assert set(row.layers[:-1]) <= set(build.list_cuts(model))
    assert row.unfreeze_from in names


def test_what_is_unfrozen_from_a_block_on_is_all_that_lies_above_its_cut(row: Backbone) -> None:
    model = fresh_body(row)
    names = [layer.name for layer in model.layers]
    assert [names.index(name) for name in row.blocks] == sorted(map(names.index, row.blocks))
    for name in (*row.blocks, row.unfreeze_from):
        cut = build.find_cut_below(model, name)
        between = model.layers[names.index(cut) + 1 : names.index(name)]
        assert [layer.name for layer in between if layer.weights] == [], name


def test_below_the_smallest_size_keras_refuses(row: Backbone) -> None:
    side = row.smallest - 1
    with pytest.raises(ValueError, match="Input size must be at least"):
        getattr(keras.applications, row.constructor)(
            weights=None, include_top=False, input_shape=(side, side, 3)
        )


def test_every_kind_of_layer_has_its_words(row: Backbone) -> None:
    kinds = {type(operation).__name__ for operation in fresh_body(row).operations}
    assert {kind for kind in kinds if layer_text(kind) == UNKNOWN} == set()


def keras_own(row: Backbone, *, top: bool, stateless: bool) -> keras.Model:
    """What the constructor makes of "imagenet", in a thread, as its names are counted by thread."""
    options: dict[str, Any] = {"alpha": row.alpha} if row.alpha else {}

    def construct() -> keras.Model:
        return getattr(keras.applications, row.constructor)(
            weights="imagenet", include_top=top, classifier_activation=None,
            input_shape=(row.size, row.size, 3), **options,
        )  # fmt: skip

    def without_values() -> keras.Model:
        with keras.StatelessScope():
            return construct()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(without_values if stateless else construct).result()


def describe(model: keras.Model) -> list[tuple[type, dict[str, Any]]]:
    """Each layer's type and configuration, those of nested models in their place."""
    layers: list[tuple[type, dict[str, Any]]] = []
    for layer in model.layers:
        nested = isinstance(layer, keras.Model)
        layers += describe(layer) if nested else [(type(layer), layer.get_config())]
    return layers


def test_every_layer_is_keras_own(row: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    top = row.any_size_with_top  # the others' dense layers are as large as all that is before them
    monkeypatch.setattr(file_utils, "get_file", lambda *args, **options: "stand-in.h5")
    monkeypatch.setattr(keras.Model, "load_weights", lambda *args, **options: None)
    expected = keras_own(row, top=top, stateless=True)
    model = build.build_architecture(row, row.size, top=top, imagenet=True)
    assert describe(model) == describe(expected)
    assert model.name == expected.name


@pytest.mark.parametrize("top", [pytest.param(True, marks=pytest.mark.full), False])
def test_the_same_weight_file_gives_keras_own_values(
    top: bool, settings: Settings, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in file's hash cannot be Keras', so the row has none here."""
    row = BACKBONES["EfficientNetB0"]
    row = replace(row, files=replace(row.files, top_hash="", no_top_hash=""))
    monkeypatch.setattr(build, "get_backbone", lambda _: row)
    settings.weights.mkdir(parents=True)
    path = settings.weights / weights_file_name(row, row.size, top=top)
    build.build_architecture(row, row.size, top=top).save(path)
    monkeypatch.setattr(file_utils, "get_file", lambda *args, **options: str(path))
    expected = keras_own(row, top=top, stateless=False)
    image = read_image(photos[0], settings.limits)
    loaded = load_pretrained(ModelRef(row.name, row.size, top=top), settings)
    inputs = get_preprocessing(row)(fit(image, row.size)[None].astype(np.float32))
    wanted = np.asarray(expected(inputs, training=False))
    np.testing.assert_allclose(loaded.forward(inputs).numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_the_summary_lists_what_imagenets_model_has(settings: Settings) -> None:
    out = io.StringIO()
    words = Namespace(backbone="EfficientNetB0", size=None, no_top=True, frozen=False, json=True)
    assert summary(words, settings, out) == 0
    rows = json.loads(out.getvalue())["layers"]
    assert len(rows) == 238  # https://github.com/tensorflow/tensorflow/issues/49930
    assert [row["type"] for row in rows[1:4]] == ["Rescaling", "Normalization", "Rescaling"]


def test_cached_features_of_the_model_without_that_layer_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(b"weights")
    assert hash_network(BACKBONES["MobileNetV2"], path) == hash_weights(path)
    assert hash_network(BACKBONES["EfficientNetB0"], path) != hash_weights(path)
