"""predict.py of a bundle where not every runtime is installed: it answers, or ends in words."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.datasets.files import encoded
from tlcore.exports import bundle_predict
from tlcore.exports.bundle import build_deployable, write_format
from tlcore.exports.bundle_check import FormatCheck

RUNTIMES = ("keras", "tensorflow", "ai_edge_litert", "tflite_runtime")
# As if some packages were not installed.
WITHOUT = """
import importlib.machinery, runpy, sys
class Without(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        gone = name.partition(".")[0] in {names!r}
        return None if gone else super().find_spec(name, path, target)
others = [finder for finder in sys.meta_path if finder is not importlib.machinery.PathFinder]
sys.meta_path[:] = [*others, Without]
sys.argv = ["predict.py", *sys.argv[1:]]
runpy.run_path("predict.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a bundle of a tiny network holds, and an image beside it."""
    place = tmp_path_factory.mktemp("bundle")
    pixels = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(pixels)
    logits = keras.layers.Dense(2, kernel_initializer="ones")(pooled)
    model = build_deployable(keras.Model(pixels, keras.layers.Activation("softmax")(logits)), "tf")
    for name in ("keras", "saved_model", "tflite"):
        write_format(name, model, place)
    about = {"labels": ["ant", "bee"], "size": 8, "fit": "crop", "run": "1"}
    (place / "labels.json").write_text(json.dumps(about))
    shutil.copyfile(bundle_predict.__file__, place / "predict.py")
    for name, form in (("photo.png", "PNG"), ("photo.heic", "HEIF")):
        (place / name).write_bytes(encoded(Image.new("RGB", (20, 10), (200, 30, 30)), form))
    return place


def called(
    folder: Path, *words: str, without: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Call it as its card suggests, in a Python that lacks some packages."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT.format(names=without), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def test_it_takes_the_runtime_that_is_installed(folder: Path) -> None:
    done = called(folder, "--json", "photo.png", without=("keras", "ai_edge_litert"))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)["photo.png"]
    np.testing.assert_allclose([answer["ant"], answer["bee"]], 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "without", "said"),
    [
        (["photo.png"], RUNTIMES, "requirements-tflite.txt"),
        (["--format", "keras", "photo.png"], ("keras",), "needs keras"),
        (["--format", "saved_model", "photo.png"], RUNTIMES, "needs tensorflow"),
        (["--format", "tflite", "photo.png"], RUNTIMES, "needs ai_edge_litert or tflite_runtime"),
        (["photo.png"], ("PIL",), "NumPy and Pillow are needed"),
        (["photo.heic"], ("keras", "pillow_heif"), "pip install pillow-heif"),
        (["none.png"], ("keras",), "none.png: cannot be read"),
    ],
)
def test_what_it_cannot_do_is_said_in_words(
    folder: Path, words: list[str], without: tuple[str, ...], said: str
) -> None:
    done = called(folder, *words, without=without)
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize("name", ["labels.json", "model.tflite"])
def test_a_damaged_file_of_the_bundle_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    damaged = tmp_path / "bundle"
    shutil.copytree(folder, damaged)
    (damaged / name).write_bytes(b"torn")
    done = called(damaged, "photo.png", without=("keras",))
    assert done.returncode == 1
    assert name in done.stderr
    assert "Unpack the bundle again" in done.stderr


@pytest.mark.parametrize(
    ("greatest", "agreed", "points", "images", "judge"),
    [
        (7.2e-7, 32, "<0.1 points", "None of 32 images gets", False),
        (0.0093, 32, "0.9 points", "None of 32 images gets", False),
        (0.18, 32, "18 points", "None of 32 images gets", True),
        (0.03, 31, "3.0 points", "1 of 32 images gets", True),
        (0.4, 29, "40 points", "3 of 32 images get", True),
    ],
)
def test_a_difference_is_told_by_its_size(
    greatest: float, agreed: int, points: str, images: str, judge: bool
) -> None:
    found = FormatCheck("tflite-int8", images=32, max_difference=greatest, same_class=agreed)
    advice = " Evaluate it on your own images before you use it." if judge else ""
    assert found.text == (
        f"The greatest difference of a probability is {points}. {images} another class.{advice}"
    )
    assert found.differs == (greatest > 0.001)
