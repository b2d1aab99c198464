"""A run's script, run as a person does where nothing of this project can be imported."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.cli.running import tlcore
from tests.exports.conftest import trained
from tests.images import write_patches
from tlcore.errors import RunError
from tlcore.evaluation.intervals import proportion_of
from tlcore.exports.script import (
    convert_to_notebook,
    pack_scripts,
    render_script,
    render_split,
    write_script,
)
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.store import load_run

SMALL = {"backbone": "MobileNet-0.25", "size": 64, "batch_size": 4, "learning_rate": 0.01}
RECIPES = {
    "hidden layers, dropout, cosine, random weights": {
        "epochs": 4, "hidden_units": (8, 6), "dropout": 0.3, "learning_rate_schedule": "cosine",
        "label_smoothing": 0.1, "random_weights": True, "pooling": "max", "fit": "squash",
    },
    "fine-tuning with patience, class weights, three classes, as a notebook": {
        "epochs": 6, "fine_tune_epochs": 2, "patience": 1, "optimizer": "rmsprop",
        "class_weights": "balanced", "classes": 3,
    },
    "augmentation, oversampling, softmax, padding": {
        "epochs": 2, "fine_tune_epochs": 1, "on_the_fly_augmentation": True, "fit": "pad",
        "class_weights": "oversampling", "classifier_activation": "softmax", "optimizer": "sgd",
    },
}  # fmt: skip


def ignore(done: int, steps: int, message: str) -> None:
    """Take the progress of an export and do nothing."""


def run_script(script: Path, settings: Settings, *words: Path) -> str:
    """Run a script in Python's isolated mode; return what it printed."""
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


def code_cells(notebook: str) -> list[str]:
    book = json.loads(notebook)
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    return ["".join(c["source"]) for c in book["cells"] if c["cell_type"] == "code"]


def check_agreement(printed: str, run: str, settings: Settings) -> None:
    """The script's accuracy lies in the interval of the run's, on as many images."""
    correct, images, of_run = map(
        int, re.findall(r"(\d+) of (\d+) .* the run had (\d+)", printed)[0]
    )
    info = load_run(run, settings).info
    assert images == info.images["val"]
    assert of_run == round((info.val_accuracy or 0) * images)
    share = proportion_of(of_run, images)
    assert share.low <= correct / images <= share.high


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.full) for name in RECIPES],
)
def test_the_script_arrives_within_the_interval(name: str, real: Settings, tmp_path: Path) -> None:
    options = dict(RECIPES[name])
    classes = int(str(options.pop("classes", 2)))
    data = write_patches(tmp_path / "set", classes=classes, each=12)
    (data / "blue" / "09.png").unlink()  # so that the classes are not of one size
    run = trained(RunConfig(str(data), **SMALL | options), real)
    if classes == 3:
        (tmp_path / "split.json").write_text(render_split(run, real))
        cells = code_cells(render_script(run, ".ipynb", real))
        (tmp_path / "script.py").write_text("\n\n".join(cells), encoding="utf-8")
    else:
        write_script(run, tmp_path / "script.py", real, ignore)
    printed = run_script(tmp_path / "script.py", real)
    check_agreement(printed, run, real)
    epochs = printed.count("val_loss:")
    assert epochs <= len(load_run(run, real).history) + (options.get("patience", 0) and 6)
    model = keras.models.load_model(tmp_path / "model.keras", compile=False)  # safe mode is on
    probabilities = model.predict(np.zeros((1, 64, 64, 3), np.uint8), verbose=0)
    assert probabilities.shape == (1, classes if classes == 3 or "softmax" in name else 1)


def test_real_images_from_a_copy_of_the_dataset(
    real: Settings, shared: Path, tmp_path: Path
) -> None:
    """The copy is flat and has other names: images are recognised by their bytes."""
    for folder in (shared / "datasets" / "hymenoptera").glob("*/*"):
        few = tmp_path / "set" / folder.parent.name / folder.name
        few.mkdir(parents=True)
        for image in sorted(folder.iterdir())[:20]:
            shutil.copy(image, few)
    run = trained(RunConfig(str(tmp_path / "set"), **SMALL | {"epochs": 3}), real)
    write_script(run, tmp_path / "script.py", real, ignore)
    split = json.loads((tmp_path / "script-split.json").read_text(encoding="utf-8"))
    copy = tmp_path / "copy"
    copy.mkdir()
    for number, row in enumerate(split["images"]):
        shutil.copyfile(row["path"], copy / f"{number}.jpg")
        row["path"] = "gone"
    (tmp_path / "script-split.json").write_text(json.dumps(split))
    check_agreement(run_script(tmp_path / "script.py", real, copy), run, real)


def test_script_and_notebook_hold_only_what_the_run_used(real: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "set", classes=2)
    run = trained(RunConfig(str(data), epochs=1, **SMALL), real)
    text = render_script(run, ".py", real)
    ast.parse(text)
    for word in ("Dropout", "Random", "class_weight = {", "patience = 1", "Fine-tuning", "tlcore"):
        assert word not in text, word
    assert str(tmp_path) not in text
    assert len(text.splitlines()) < 170
    assert max(map(len, text.splitlines())) <= 100
    cells = code_cells(render_script(run, ".ipynb", real))
    assert len(cells) == text.count("\n# %% ")
    assert all(cell in text for cell in cells)
    with zipfile.ZipFile(io.BytesIO(pack_scripts(run, real))) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    assert names == {"script.py", "script.ipynb", "split.json"}
    split = json.loads(render_split(run, real))
    assert {row["split"] for row in split["images"]} == {"train", "val"}
    assert len(split["images"]) == sum(load_run(run, real).info.images.values())
    next((data / "blue").iterdir()).unlink()
    write_script(run, tmp_path / "script.py", real, ignore)
    with pytest.raises(AssertionError, match=r"1 of \d+ images are missing, e\.g\. blue/"):
        run_script(tmp_path / "script.py", real)


def test_a_notebook_has_the_comments_of_its_cells_as_text() -> None:
    source = (
        '"""Title.\n\nWords.\n"""\n\n# %% One\n# Why\n# so.\n\nx = 1\n\n# %% Two\n\ny = 2  # here\n'
    )
    cells = json.loads(convert_to_notebook(source))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    assert texts == ["Title.\n\nWords.\n", "## One\n\nWhy\nso.", "x = 1", "## Two", "y = 2  # here"]


def test_what_has_no_script_says_why(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="Expected the id of a run"):
        render_script("none", ".py", settings)
    done = tlcore(settings, "runs", "script", "none", tmp_path / "a.py")
    assert done.returncode == 1
    assert list(tmp_path.glob("a*")) == []
