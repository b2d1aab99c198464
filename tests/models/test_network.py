"""Predictions against plain Keras on the same pixels, and against hand arithmetic."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.models.conftest import Loaded
from tlcore.datasets.image_io import read
from tlcore.models.build import preprocessing
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.model import load_pretrained, preprocess
from tlcore.models.predictions import ModelRef, expand_sigmoid, softmax
from tlcore.settings import Limits, Settings


def test_softmax_by_hand() -> None:
    np.testing.assert_allclose(
        softmax(np.log(np.array([[1, 2, 5]], np.float32))), [[0.125, 0.25, 0.625]], atol=1e-7
    )
    assert softmax(np.array([[1e4, 0]], np.float32)).tolist() == [[1, 0]]


def test_a_sigmoid_unit_as_two_classes() -> None:
    both = softmax(expand_sigmoid(np.array([[np.log(3)]], np.float32)))
    np.testing.assert_allclose(both, [[0.25, 0.75]], atol=1e-7)  # σ(log 3) = 3/4


@pytest.mark.parametrize("row", BACKBONES.values(), ids=lambda row: row.name)
def test_preprocessing_is_keras_own_and_leaves_the_pixels_alone(row: Backbone) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    before = pixels.copy()
    expected = preprocessing(row)(pixels.astype(np.float32))
    np.testing.assert_array_equal(preprocess(pixels, row.name), expected)
    np.testing.assert_array_equal(pixels, before)


def test_photographs_are_recognised(loaded: Loaded, photos: list[Path]) -> None:
    network = loaded(ModelRef("MobileNetV2", 224))
    ranks = []
    for path in photos:
        wnids = [row.wnid for row in network.predict(read(path, Limits())).ranking(5)]
        wnid = path.name.split("_")[0]
        ranks.append(wnids.index(wnid) if wnid in wnids else 5)
    assert np.mean(np.array(ranks) < 1) >= 0.88
    assert np.mean(np.array(ranks) < 5) >= 0.95


def test_random_weights_are_said_and_are_the_same_in_every_build(
    settings: Settings, photos: list[Path]
) -> None:
    ref = ModelRef("MobileNet-0.25", 64, random=True)
    image = read(photos[0], Limits())
    first = load_pretrained(ref, settings).predict(image)
    second = load_pretrained(ref, settings).predict(image)
    assert first.source == "random"
    assert "random" in first.note
    np.testing.assert_array_equal(first.logits, second.logits)


def test_ranking_of_a_prediction(loaded: Loaded, photos: list[Path]) -> None:
    answer = loaded(ModelRef("MobileNetV2", 224)).predict(read(photos[0], Limits()))
    rows = answer.ranking()
    assert [row.rank for row in rows] == list(range(1, 1001))
    assert sorted(row.index for row in rows) == list(range(1000))
    assert all(a.probability >= b.probability for a, b in pairwise(rows))
