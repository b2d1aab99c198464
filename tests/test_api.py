"""The public API: its examples, its notebook, and a run equal to the page's, bit for bit."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tlcore
from tests.images import write_patches
from tlcore.errors import BadConfig, UnknownName
from tlcore.inference import api
from tlcore.settings import PROJECT, Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import start_run
from tlcore.training.store import load_run

EXAMPLES = ("load_dataset", "train", "list_runs", "load_run", "load_model", "predict", "evaluate",
            "export")  # fmt: skip
TINY = {"backbone": "MobileNet-0.25", "size": 64, "random_weights": True}


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = "{'numpy', 'keras', 'tlcore.inference.api'}"
    code = f"import sys, tlcore; print(sorted(set(sys.modules) & {loaded}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert len(tlcore.__all__) == 10
    assert set(tlcore.__all__) <= set(dir(tlcore))


def test_the_example_of_each_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    write_patches(tmp_path / "patches", classes=2, each=12)
    folders = sorted((tmp_path / "patches").iterdir())
    for folder, name in zip(folders, ("daisy", "tulip"), strict=True):
        folder.rename(tmp_path / name)
        (tmp_path / "flowers").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "flowers" / name)
    Image.open(next((tmp_path / "flowers" / "daisy").iterdir())).save(tmp_path / "daisy.jpg")
    monkeypatch.chdir(tmp_path)
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    names = {"tlcore": tlcore}
    for name in EXAMPLES:
        for test in doctest.DocTestFinder().find(getattr(api, name), name, globs=names):
            result = doctest.DocTestRunner().run(test, clear_globs=False)
            names |= test.globs
            assert (result.failed, result.attempted > 0) == (0, True), name


def test_the_notebook_runs_from_its_first_to_its_last_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: Settings
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in real.to_environment().items():
        monkeypatch.setenv(name, value)
    notebook = json.loads((PROJECT / ".docs" / "transfer_learning.ipynb").read_text("utf-8"))
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(cell["source"], names)
    assert names["evaluation"].accuracy.value > 0.9
    assert (tmp_path / "report.html").stat().st_size > 20_000


def test_a_run_in_a_notebook_is_the_run_of_the_page_bit_for_bit(
    tmp_path: Path, settings: Settings
) -> None:
    folder = write_patches(tmp_path / "patches", classes=3)
    options = TINY | {"epochs": 3, "fine_tune_epochs": 1, "dropout": 0.2, "hidden_units": (16,)}
    run_id, worker = start_run(RunConfig(str(folder), **options), settings)
    assert worker.wait(300) == 0
    page = load_run(run_id, settings)
    own = tlcore.train(folder, settings=settings, **options)
    figures = [
        [(each.epoch, each.stage, each.loss, each.accuracy, each.val_loss, each.val_accuracy)
         for each in run.history]
        for run in (own, page)
    ]  # fmt: skip
    assert figures[0] == figures[1]
    assert len(figures[0]) == 4
    first, second = (tlcore.load_model(run, settings=settings) for run in (page, own))
    image = next(folder.rglob("*.png"), None) or next(folder.rglob("*.jpg"))
    assert np.array_equal(first.predict(image).logits, second.predict(image).logits)
    for one, other in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_a_wrong_option_or_ending_is_refused_before_anything_is_made(
    tmp_path: Path, settings: Settings
) -> None:
    folder = write_patches(tmp_path / "patches", classes=2)
    with pytest.raises(BadConfig, match="Received 'learning_rat'"):
        tlcore.train(folder, settings=settings, learning_rat=1e-3)
    assert tlcore.list_runs(settings=settings) == []
    with pytest.raises(UnknownName, match=r"suffix .*Received '.h5'"):
        tlcore.export("20260101-000000-000000", tmp_path / "model.h5", settings=settings)
