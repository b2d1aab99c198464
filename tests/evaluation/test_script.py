"""A run's script, run as a person does where nothing of ours can be imported, beside the run."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import tlcore
from tests.evaluation.conftest import trained
from tests.evaluation.odd import odd_files
from tests.images import write_patches
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read
from tlcore.errors import RunError, UnknownName
from tlcore.exports.script import render_script, write_script
from tlcore.exports.script_steps import ODD, PLAIN, TURNED, _reading, reading
from tlcore.settings import Limits, Settings
from tlcore.training.config import RunConfig
from tlcore.training.store import load_run

SMALL = {"backbone": "MobileNet-0.25", "size": 64, "batch_size": 4, "learning_rate": 0.01}


def rerun(run: str, settings: Settings, data: Path, place: Path) -> str:
    """Write a run's script, run it, and return what it printed."""
    write_script(run, place / "script.py", settings)
    return _run(place / "script.py", settings, data)


def rerun_notebook(run: str, settings: Settings, data: Path, place: Path) -> str:
    """The same with the cells of its notebook, one after the other."""
    book = json.loads(render_script(run, ".ipynb", settings))
    code = ["".join(c["source"]) for c in book["cells"] if c["cell_type"] == "code"]
    code[0] = code[0].replace('"images"', repr(str(data)))
    (place / "cells.py").write_text("\n\n".join(code), encoding="utf-8")
    return _run(place / "cells.py", settings)


def _run(script: Path, settings: Settings, *words: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-I", script.name, *words],
        cwd=script.parent,
        env=os.environ | {"KERAS_HOME": str(settings.keras_home), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + script.read_text(encoding="utf-8")
    return done.stdout


def agrees(printed: str, run: str, settings: Settings) -> None:
    """Every epoch's figures are the run's, and its last words too."""
    history = load_run(run, settings).history
    losses = [float(found) for found in re.findall(r"val_loss: ([\d.e+-]+)", printed)]
    assert losses == pytest.approx([epoch.val_loss for epoch in history], rel=2e-3, abs=2e-4)
    accuracies = [float(found) for found in re.findall(r"val_accuracy: ([\d.e+-]+)", printed)]
    assert accuracies == pytest.approx([epoch.val_accuracy for epoch in history], abs=1e-3)
    right, judged, had = map(int, re.findall(r"(\d+) of (\d+) .* the run had (\d+)", printed)[0])
    info = load_run(run, settings).info
    assert judged == info.images["val"]
    assert had == round((info.val_accuracy or 0) * judged)
    assert abs(right - had) <= 1


RECIPES = {
    "hidden layers, dropout, cosine, random weights": {
        "epochs": 4, "hidden_units": (8, 6), "dropout": 0.3, "learning_rate_schedule": "cosine",
        "label_smoothing": 0.1, "random_weights": True, "pooling": "max",
    },
    "fine-tuning with dropout and patience": {
        "epochs": 3, "fine_tune_epochs": 3, "dropout": 0.2, "patience": 1, "optimizer": "rmsprop",
    },
    "stored views, weights, three classes": {
        "epochs": 3, "augmented_copies": 2, "class_weights": "balanced",
        "fine_tune_epochs": 1, "classes": 3,
    },
    "free views, sampling, softmax, padding": {
        "epochs": 2, "fine_tune_epochs": 1, "on_the_fly_augmentation": True,
        "class_weights": "oversampling",
        "classifier_activation": "softmax", "optimizer": "sgd", "fit": "pad",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_the_script_arrives_at_the_same_figures(name: str, real: Settings, tmp_path: Path) -> None:
    options = dict(RECIPES[name])
    classes = int(str(options.pop("classes", 2)))
    data = write_patches(tmp_path / "set", classes=classes, each=12)
    (data / "blue" / "09.png").unlink()  # so that the classes are not of one size
    run = trained(RunConfig(str(data), **SMALL | options), real)
    again = rerun_notebook if classes == 3 else rerun
    agrees(again(run, real, data, tmp_path), run, real)


def test_real_images_to_within_one(real: Settings, shared: Path, tmp_path: Path) -> None:
    data = shared / "datasets" / "hymenoptera"
    run = trained(RunConfig(str(data), **SMALL | {"size": 160, "epochs": 5}), real)
    agrees(rerun(run, real, data, tmp_path), run, real)


def test_it_holds_only_what_the_run_used(real: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "set", classes=2)
    run = trained(RunConfig(str(data), epochs=1, **SMALL), real)
    text = render_script(run, ".py", real)
    ast.parse(text)
    for word in ("Dropout", "view", "sample_weight", "waited", "unfreeze", "I;16", "tlcore"):
        assert word not in text, word
    assert str(tmp_path) not in text
    write_script(run, tmp_path / "script.py", real)
    called = subprocess.run(
        [sys.executable, "-I", "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (called.returncode, called.stdout) == (2, "")
    assert called.stderr == "Expected the folder of the images: python script.py FOLDER\n"
    book = json.loads(render_script(run, ".ipynb", real))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    code = ["".join(c["source"]) for c in book["cells"] if c["cell_type"] == "code"]
    for cell in code[1:]:
        assert cell in text
    assert 'DATA = Path("images")' in code[0]


def test_images_that_are_not_there_are_missed(real: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "set", classes=2)
    run = trained(RunConfig(str(data), epochs=1, **SMALL), real)
    next((data / "blue").iterdir()).unlink()
    with pytest.raises(AssertionError, match=r"1 of \d+ images are not below"):
        rerun(run, real, data, tmp_path)


@pytest.mark.parametrize("kind", [PLAIN, TURNED, ODD])
def test_images_are_read_as_the_run_read_them(kind: str, tmp_path: Path) -> None:
    files = [path for path in odd_files(tmp_path) if reading([path]) in WITHIN[kind]]
    assert {reading([path]) for path in files} == set(WITHIN[kind])
    assert reading(files) == kind
    names: dict[str, object] = {}
    exec(_IMPORTS + "\n\n".join(_reading(kind)), names)
    upright = names["upright"]
    assert callable(upright)
    for path in files:
        ours = fit(read(path, Limits()), 21)
        theirs = fit(upright(path), 21)
        np.testing.assert_array_equal(theirs, ours, err_msg=path.name)


WITHIN = {PLAIN: (PLAIN,), TURNED: (PLAIN, TURNED), ODD: (PLAIN, TURNED, ODD)}
_IMPORTS = """\
from pathlib import Path
from typing import Any
import numpy as np
from PIL import Image, ImageOps
"""


def test_what_has_no_script_says_why(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="ending"):
        render_script("none", ".txt", settings)
    with pytest.raises(RunError, match="Expected the id of a run"):
        render_script("none", ".py", settings)
    done = tlcore(settings, "runs", "script", "none", tmp_path / "a.py")
    assert done.returncode == 1
    assert "Expected the id of a run" in done.stderr
    assert list(tmp_path.glob("*.py")) == []
