"""The network for ImageNet's weights is the one that Keras builds for ``weights="imagenet"``."""

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

from tlcore.cli.summary import summary
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read
from tlcore.models import build
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.model import load_pretrained
from tlcore.models.predictions import ModelRef
from tlcore.models.weights import file_name
from tlcore.settings import Settings
from tlcore.training.feature_keys import hash_network, hash_weights

WIDE = ("MobileNetV2-", "MobileNet-")  # of these the narrowest alone: one function builds all
ROWS = [
    row
    for row in BACKBONES.values()
    if not row.name.startswith(WIDE) or row.name in ("MobileNetV2-0.35", "MobileNet-0.25")
]


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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_layer_is_keras_own(row: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    top = row.any_size_with_top  # the others' dense layers are as large as all that is before them
    monkeypatch.setattr(file_utils, "get_file", lambda *args, **options: "stand-in.h5")
    monkeypatch.setattr(keras.Model, "load_weights", lambda *args, **options: None)
    expected = keras_own(row, top=top, stateless=True)
    model = build.architecture(row, row.size, top=top, imagenet=True)
    assert list(map(described, model.layers)) == list(map(described, expected.layers))
    assert model.name == expected.name


def described(layer: keras.layers.Layer) -> tuple[type, dict[str, Any]]:
    return type(layer), layer.get_config()


@pytest.mark.parametrize("top", [True, False], ids=["with top", "without top"])
def test_the_same_weight_file_gives_keras_own_values(
    top: bool, settings: Settings, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in file's hash cannot be Keras', so the row has none here."""
    row = BACKBONES["EfficientNetB0"]
    row = replace(row, files=replace(row.files, top_hash="", no_top_hash=""))
    monkeypatch.setattr(build, "backbone", lambda _: row)
    settings.weights.mkdir(parents=True)
    path = settings.weights / file_name(row, row.size, top=top)
    build.architecture(row, row.size, top=top).save(path)
    monkeypatch.setattr(file_utils, "get_file", lambda *args, **options: str(path))
    expected = keras_own(row, top=top, stateless=False)
    image = read(photos[0], settings.limits)
    network = load_pretrained(ModelRef(row.name, row.size, top=top), settings)
    inputs = build.preprocessing(row)(fit(image, row.size)[None].astype(np.float32))
    wanted = np.asarray(expected(inputs, training=False))
    np.testing.assert_allclose(network.forward(inputs).numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_the_summary_lists_what_imagenets_network_has(settings: Settings) -> None:
    out = io.StringIO()
    words = Namespace(backbone="EfficientNetB0", size=None, no_top=True, frozen=False, json=True)
    assert summary(words, settings, out) == 0
    rows = json.loads(out.getvalue())["layers"]
    assert len(rows) == 238  # https://github.com/tensorflow/tensorflow/issues/49930
    assert [row["type"] for row in rows[1:4]] == ["Rescaling", "Normalization", "Rescaling"]


def test_features_kept_of_the_network_without_that_layer_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(b"weights")
    assert hash_network(BACKBONES["MobileNetV2"], path) == hash_weights(path)
    assert hash_network(BACKBONES["EfficientNetB0"], path) != hash_weights(path)
