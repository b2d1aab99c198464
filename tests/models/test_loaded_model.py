"""Predictions and activations against plain Keras on the same pixels, and by hand."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.backbones import get_preprocessing
from tests.models.conftest import Loaded
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.errors import BadImage, UnknownName
from tlcore.models.build import RANDOM_SEED
from tlcore.models.catalog import BACKBONES, Backbone, preprocess
from tlcore.models.loaded_model import compute_logits, load_pretrained, open_image
from tlcore.models.predictions import ModelRef, Prediction, expand_sigmoid, softmax
from tlcore.settings import Limits, Settings

REFS = (ModelRef("MobileNet-0.25", 128), ModelRef("MobileNet-0.5", 160, fit="squash"))
RANDOM = ModelRef("MobileNet-0.25", 64, random=True)
MANY = 21  # images: two whole batches and a part of one


def test_softmax_by_hand() -> None:
    np.testing.assert_allclose(
        softmax(np.log(np.array([[1, 2, 5]], np.float32))), [[0.125, 0.25, 0.625]], atol=1e-7
    )
    assert softmax(np.array([[1e4, 0]], np.float32)).tolist() == [[1, 0]]


def test_a_sigmoid_unit_as_two_classes() -> None:
    both = softmax(expand_sigmoid(np.array([[np.log(3)]], np.float32)))
    np.testing.assert_allclose(both, [[0.25, 0.75]], atol=1e-7)  # σ(log 3) = 3/4


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda row: row.name)
def test_preprocessing_is_keras_own_and_leaves_the_pixels_alone(backbone: Backbone) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    before = pixels.copy()
    expected = get_preprocessing(backbone)(pixels.astype(np.float32))
    np.testing.assert_array_equal(preprocess(pixels, backbone.name), expected)
    np.testing.assert_array_equal(pixels, before)


def plain_keras(row: Backbone, size: int) -> keras.Model:
    keras.utils.set_random_seed(RANDOM_SEED)
    options = {"alpha": row.alpha} if row.alpha is not None else {}
    constructor = getattr(keras.applications, row.constructor)
    return constructor(weights=None, input_shape=(size, size, 3), **options)


def check_thousand(row: Backbone, plain: keras.Model, answer: Prediction, image: Image) -> None:
    """All 1000 probabilities within 1e-5 of plain Keras, and in its order."""
    inputs = get_preprocessing(row)(fit(image, answer.size)[None].astype("f4"))
    expected = np.asarray(plain(inputs, training=False))[0]
    assert expected.shape == (1000,)
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-5)
    assert answer.probabilities.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    ranked = [ranked.index for ranked in answer.ranking()]
    assert sorted(ranked) == list(range(1000))
    assert ranked[0] == answer.best
    # random weights tell some classes apart by less than a float holds: those may change places
    assert np.diff(expected[ranked]).max() < (1e-7 if answer.source == "random" else 1e-6)


FEW = ("MobileNetV2-0.35", "ConvNeXtTiny")  # a flat one and one that Keras nests; without --all


@pytest.mark.parametrize(
    "backbone",
    [
        pytest.param(row, marks=[] if row.name in FEW else pytest.mark.full, id=row.name)
        for row in BACKBONES.values()
    ],
)
def test_all_probabilities_on_random_weights(
    backbone: Backbone, settings: Settings, photos: list[Path]
) -> None:
    size = max(backbone.smallest, 64) if backbone.any_size_with_top else backbone.size
    image = read_image(photos[0], settings.limits)
    answer = load_pretrained(ModelRef(backbone.name, size, random=True), settings).predict(image)
    check_thousand(backbone, plain_keras(backbone, size), answer, image)


@pytest.mark.parametrize(
    ("name", "size", "file"),
    [
        ("MobileNetV2", 224, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5"),
        pytest.param("MobileNet-0.75", 192, "mobilenet_7_5_192_tf.h5", marks=pytest.mark.full),
        pytest.param("MobileNet-0.5", 160, "mobilenet_5_0_160_tf.h5", marks=pytest.mark.full),
        ("MobileNet-0.25", 128, "mobilenet_2_5_128_tf.h5"),
    ],
)
def test_all_probabilities_on_real_weights(
    name: str, size: int, file: str, loaded: Loaded, real: Settings, photos: list[Path]
) -> None:
    plain = plain_keras(BACKBONES[name], size)
    plain.load_weights(real.weights / file)
    for path in photos[3::40]:
        image = read_image(path, real.limits)
        answer = loaded(ModelRef(name, size)).predict(image)
        check_thousand(BACKBONES[name], plain, answer, image)


def test_photographs_are_recognised(loaded: Loaded, photos: list[Path]) -> None:
    model = loaded(ModelRef("MobileNetV2", 224))
    ranks = []
    for path in photos:
        wnids = [row.wnid for row in model.predict(path).ranking(5)]
        wnid = path.name.split("_")[0]
        ranks.append(wnids.index(wnid) if wnid in wnids else 5)
    assert np.mean(np.array(ranks) < 1) >= 0.88
    assert np.mean(np.array(ranks) < 5) >= 0.95


def test_a_path_an_image_and_pixels_are_the_same_image(
    settings: Settings, photos: list[Path], tmp_path: Path
) -> None:
    model, other = (load_pretrained(RANDOM, settings) for _ in range(2))  # the same in every build
    image = read_image(photos[0], settings.limits)
    answers = [model.predict(each) for each in (photos[0], str(photos[0]), np.array(image))]
    answers.append(other.predict(image))
    assert answers[0].source == "random"
    assert "random" in answers[0].note
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.logits, answers[0].logits)
    turned = Image.new("RGB", (20, 10))
    turned.getexif()[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=turned.getexif())
    assert open_image(Image.open(tmp_path / "turned.jpg")).size == (10, 20)
    assert open_image(Image.new("L", (5, 5))).mode == "RGB"
    assert model.explain(photos[0]).index == answers[0].best
    with pytest.raises(BadImage, match=r"Received float64 \(4, 4\)"):
        model.predict(np.zeros((4, 4)))


@pytest.mark.parametrize("count", [0, 1, MANY])
def test_many_files_give_what_each_gives_alone(
    count: int, loaded: Loaded, photos: list[Path]
) -> None:
    models = [loaded(ref) for ref in REFS]
    rows = list(compute_logits(models, photos[:count], Limits()))
    assert len(rows) == count
    for row, path in zip(rows, photos, strict=False):
        assert not isinstance(row, BadImage)
        for logits, model in zip(row, models, strict=True):
            np.testing.assert_allclose(logits, model.predict(path).logits, atol=1e-4)


def test_what_cannot_be_read_keeps_its_place(
    settings: Settings, photos: list[Path], tmp_path: Path
) -> None:
    bad = tmp_path / "no image.jpg"
    bad.write_text("nothing")
    model = load_pretrained(RANDOM, settings)
    first, second, third = compute_logits([model], [photos[0], bad, photos[1]], Limits())
    assert isinstance(second, BadImage)
    assert "no image.jpg" in str(second)
    assert not isinstance(first, BadImage)
    assert not isinstance(third, BadImage)
    [only] = compute_logits([model], [bad], Limits())
    assert isinstance(only, BadImage)


def test_activations_of_a_photograph_equal_plain_keras_at_every_layer(
    real: Settings, photos: list[Path]
) -> None:
    model = load_pretrained(ModelRef("MobileNetV2", 96, top=False), real)
    plain = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
    plain.load_weights(
        real.weights / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    )
    pixels = fit(read_image(photos[0], real.limits), 96).astype(np.float32)
    inputs = keras.applications.mobilenet_v2.preprocess_input(pixels)[None]
    names = [layer.name for layer in plain.layers if len(layer.output.shape) == 4][1:]
    assert names == list(model.spatial_layers)[1:]
    wanted = keras.Model(plain.input, [plain.get_layer(name).output for name in names])(inputs)
    found = keras.Model(model.model.input, [model.output(name) for name in names])(inputs)
    for name, expected, maps in zip(names, wanted, found, strict=True):
        np.testing.assert_array_equal(maps, expected, err_msg=name)
    for name, expected in list(zip(names, wanted, strict=True))[::19]:  # each its own sub-model
        maps = model.activations(photos[0], name).maps
        np.testing.assert_array_equal(maps, expected[0], err_msg=name)


def test_a_layer_without_maps_is_refused_with_the_list(settings: Settings) -> None:
    model = load_pretrained(RANDOM, settings)
    for name in ("reshape_2", "conv99"):
        with pytest.raises(UnknownName, match=rf"there are \d+.*Received '{name}'"):
            model.output(name)
