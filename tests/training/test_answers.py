"""Runs and answers without TensorFlow, against Keras."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL.Image import Image

import tlcore
from tests.evaluation.made import write_splits
from tlcore.datasets.image_io import read_image
from tlcore.models import runtime
from tlcore.models.loaded_model import LoadedModel, compute_logits, load_pretrained
from tlcore.models.predictions import ModelRef, Prediction, softmax
from tlcore.models.runtime import NotConverted
from tlcore.settings import PROJECT, Settings
from tlcore.training import answers
from tlcore.training.config import RunConfig
from tlcore.training.features import FeatureSource
from tlcore.training.provenance import list_samples
from tlcore.training.transfer_model import convert_backbone, convert_run, load_run_model

SMALL = {"backbone": "MobileNet-0.25", "size": 64, "random_weights": True}
COUNTS = {"train": {"ants": 9, "bees": 9}, "val": {"ants": 3, "bees": 3}}


@pytest.fixture(scope="module")
def home(converted: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("answers")
    settings = Settings(home=home / "home", keras_home=home / "keras", runtime="auto")
    shutil.copytree(converted, settings.networks)
    return settings


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_splits(tmp_path_factory.mktemp("files") / "insects", COUNTS, spread=60)


RECIPES = {
    "one sigmoid unit": (2, {"dropout": 0.3, "seed": 4}),
    "hidden layers": (3, {"hidden_units": (5, 4), "dropout": 0.2, "pooling": "max"}),
    "flat": (3, {"pooling": "flatten", "classifier_activation": "softmax"}),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_file_of_a_head_is_the_one_keras_saves(
    recipe: str, home: Settings, tmp_path: Path
) -> None:
    classes, options = RECIPES[recipe]
    config = RunConfig("none", **SMALL, **options)
    source = FeatureSource(config, classes, home)
    draw = np.random.default_rng(2)
    sizes = [source.head_inputs, *config.hidden_units, source.units]
    shapes = [shape for a, b in pairwise(sizes) for shape in ((a, b), (b,))]
    weights = [draw.normal(size=shape).astype(np.float32) for shape in shapes]
    source.save_model(tmp_path, weights)
    assert "transfer_model" not in source.__dict__  # Keras had no part in it
    ours = keras.models.load_model(tmp_path / "model.keras", compile=False)
    source.transfer_model.set_head_weights(weights)
    source.transfer_model.save(tmp_path)
    theirs = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert [layer.get_config() for layer in ours.layers] == [
        layer.get_config() for layer in theirs.layers
    ]
    for one, other in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    image = draw.uniform(-1, 1, (1, 64, 64, 3))
    np.testing.assert_array_equal(ours(image), theirs(image))


WITHOUT = """
import sys, tlcore
from itertools import pairwise
from pathlib import Path
from tlcore.__main__ import main
from tlcore.evaluation.split_predictions import predict_split
from tlcore.inference.answers import explain
settings = tlcore.Settings.from_environment()
run = tlcore.train({files!r}, epochs=3, settings=settings, **{small!r})
split = predict_split(run.info.id, "val", settings)
assert len(split) == 6
assert main(["predict", {image!r}, "--run", run.info.id]) == 0
[explanation] = explain(Path({image!r}), [(run.info.ref, 1, "")], settings)
assert explanation.contributions is not None
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""


def train_without(home: Settings, files: Path) -> str:
    image = str(next(files.rglob("*.png"), None) or next(files.rglob("*.jpg")))
    code = WITHOUT.format(files=str(files), small=SMALL, image=image)
    environment = {"PATH": "/usr/bin:/bin", **home.to_environment()}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    return tlcore.list_runs(settings=home)[0].id


def test_a_run_trains_predicts_and_is_evaluated_without_tensorflow(
    home: Settings, files: Path, tmp_path: Path
) -> None:
    """Its predictions are Keras', and a second run of the seed has its bits: without any cache, and
    half of the features computed anew in other batches, among images of another dataset."""
    run = train_without(home, files)
    paths = sorted(files.rglob("*.*g"))
    frozen = answers.open_model(ModelRef(run=run), home)
    ours = answers.compute_logits([frozen], [(path, "") for path in paths], home)
    loaded = load_run_model(run, home)
    theirs = list(compute_logits([loaded], paths, home.limits))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(softmax(one[0]), softmax(other[0]), atol=1e-4)
    single = predict(read_image(paths[0], home.limits), frozen, home)
    assert (single.labels, single.source, single.note) == (
        loaded.labels, loaded.source, loaded.note
    )  # fmt: skip
    np.testing.assert_allclose(single.logits, ours[0][0], atol=1e-5)
    for index in (0, 1):  # both of one sigmoid unit
        assert_explained_alike(paths[0], frozen, loaded, index, home)

    for cache in (home.features, home.networks, home.jobs):
        shutil.rmtree(cache, ignore_errors=True)
    # Here, where no network is too slow: in a process of its own a busy machine may refuse it.
    convert_backbone(ModelRef("MobileNet-0.25", 64, random=True), home)
    more = {"train": {"ants": 20, "bees": 2}, "val": {"ants": 2, "bees": 2}}
    others = write_splits(tmp_path / "others", more, spread=60)  # its first ants are the same
    tlcore.train(str(others), epochs=1, settings=home, **SMALL)
    again = train_without(home, files)
    first, second = (load_run_model(each, home).model.get_weights() for each in (run, again))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_a_fine_tuned_run_has_the_logits_of_its_own_images_before_it_is_converted(
    home: Settings, files: Path
) -> None:
    by_keras = replace(home, runtime="keras")  # converts nothing
    run = tlcore.train(str(files), epochs=0, fine_tune_epochs=2, settings=by_keras, **SMALL)
    frozen = answers.open_model(ModelRef(run=run.info.id), home)
    samples = [s for split in ("train", "val") for s in list_samples(run.info, split)]
    ours = answers.compute_logits([frozen], [(s.path, s.sha256) for s in samples], home)
    theirs = compute_logits(
        [load_run_model(run.info.id, home)], [s.path for s in samples], home.limits
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(softmax(one[0]), softmax(other[0]), atol=1e-4)
    with pytest.raises(NotConverted):  # of any other image
        answers.compute_logits([frozen], [(samples[0].path, "")], home)


def predict(image: Image, frozen: answers.FrozenModel, settings: Settings) -> Prediction:
    [prediction] = answers.predict([frozen], answers.run_networks(image, [frozen], settings))
    return prediction


def assert_explained_alike(
    path: Path, frozen: answers.FrozenModel, loaded: LoadedModel, index: int, settings: Settings
) -> None:
    """What adds up to a logit is the same with Keras and without, and so is the Grad-CAM map."""
    image = read_image(path, settings.limits)
    theirs, forward = loaded.explain(image, index), answers.run_networks(image, [frozen], settings)
    ours = answers.explain(frozen, index, forward)
    assert (ours.label, ours.wnid, ours.note) == (theirs.label, theirs.wnid, theirs.note)
    for name in ("cam", "contributions", "bias", "logit", "probability"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-4)


def test_another_backbone_in_the_file_of_a_run_is_not_taken_for_the_converted_one(
    home: Settings, files: Path
) -> None:
    run = tlcore.train(str(files), epochs=1, settings=home, **SMALL)
    path = run.info.folder / "model.keras"
    model = keras.models.load_model(path, compile=False)
    kernel = model.layers[2].weights[0]
    kernel.assign(kernel * 2)
    model.save(path)
    frozen = answers.open_model(ModelRef(run=run.info.id, weights="changed"), home)
    with pytest.raises(NotConverted) as error:
        answers.open_runtimes([frozen], home)
    assert error.value.networks[0].run == run.info.id
    assert convert_run(run.info.id, home).difference < 1e-5
    image = read_image(next(files.rglob("*.*g")), home.limits)
    ours = predict(image, frozen, home)
    theirs = load_run_model(run.info.id, home).predict(image)
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("MobileNet-0.25", 128),
        pytest.param("MobileNet-0.5", 160, marks=pytest.mark.full),
        pytest.param("MobileNet-0.75", 192, marks=pytest.mark.full),
        pytest.param("MobileNetV2", 224, marks=pytest.mark.full),
    ],
)
def test_imagenets_classes_are_kerass(
    name: str, size: int, real: Settings, photos: list[Path]
) -> None:
    """From the same features as heads; all photographs, all 1000 probabilities."""
    settings = Settings(home=real.home, keras_home=real.keras_home, runtime="auto")
    ref = ModelRef(name, size)
    with pytest.raises(NotConverted):
        answers.open_runtimes([answers.open_model(ref, settings)], settings)
    convert_backbone(ref, settings)
    model, keras_own = answers.open_model(ref, settings), load_pretrained(ref, settings)
    assert model.output == runtime.POOLED
    ours = answers.compute_logits([model], [(path, "") for path in photos], settings)
    theirs = compute_logits([keras_own], photos, settings.limits)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(softmax(one[0]), softmax(other[0]), atol=1e-4)
        assert one[0].argsort()[:-6:-1].tolist() == other[0].argsort()[:-6:-1].tolist()
    assert_explained_alike(photos[0], model, keras_own, 207, settings)
