"""The whole answer of every backbone in the catalogue beside plain Keras: all 1000 rows."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.models.conftest import Loaded
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read
from tlcore.models.build import RANDOM_SEED, preprocessing
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.model import load_pretrained
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings


def small(row: Backbone) -> int:
    """A size that is quick, where the top is not tied to the default one."""
    return max(row.smallest, 64) if row.any_size_with_top else row.size


def plain_keras(row: Backbone, size: int) -> keras.Model:
    keras.utils.set_random_seed(RANDOM_SEED)
    options = {"alpha": row.alpha} if row.alpha is not None else {}
    constructor = getattr(keras.applications, row.constructor)
    return constructor(weights=None, input_shape=(size, size, 3), **options)


def plain_answer(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """One call, layer by layer: a compiled one would cost more than it saves."""
    return np.asarray(model(inputs, training=False))[0]


@pytest.mark.parametrize("row", BACKBONES.values(), ids=lambda row: row.name)
def test_all_rows_on_random_weights(row: Backbone, settings: Settings, photos: list[Path]) -> None:
    size = small(row)
    image = read(photos[0], settings.limits)
    answer = load_pretrained(ModelRef(row.name, size, random=True), settings).predict(image)
    inputs = preprocessing(row)(fit(image, size)[None].astype("f4"))
    expected = plain_answer(plain_keras(row, size), inputs)
    assert expected.shape == (1000,)
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-5)
    assert answer.probabilities.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    ranked = [ranked.index for ranked in answer.ranking()]
    assert sorted(ranked) == list(range(1000))
    # random weights tell some classes apart by less than a float holds: those may change places
    assert np.diff(expected[ranked]).max() < 1e-7


@pytest.mark.parametrize(
    ("name", "size", "file"),
    [
        ("MobileNetV2", 224, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5"),
        ("MobileNet-0.75", 192, "mobilenet_7_5_192_tf.h5"),
        ("MobileNet-0.5", 160, "mobilenet_5_0_160_tf.h5"),
        ("MobileNet-0.25", 128, "mobilenet_2_5_128_tf.h5"),
    ],
)
def test_all_rows_on_real_weights(
    name: str, size: int, file: str, loaded: Loaded, real: Settings, photos: list[Path]
) -> None:
    row = BACKBONES[name]
    plain = plain_keras(row, size)
    plain.load_weights(real.weights / file)
    network = loaded(ModelRef(name, size))
    for path in photos[3::40]:
        image = read(path, real.limits)
        inputs = preprocessing(row)(fit(image, size)[None].astype("f4"))
        expected = plain_answer(plain, inputs)
        answer = network.predict(image)
        np.testing.assert_allclose(answer.probabilities, expected, atol=1e-5)
        assert answer.probabilities.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
        ranked = [ranked.index for ranked in answer.ranking()]
        assert np.diff(expected[ranked]).max() < 1e-6
        assert ranked[:5] == np.argsort(-expected, kind="stable")[:5].tolist()
