"""The command line as a script uses it: real processes, and only JSON on standard output."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import answer, refusals, tlcore
from tests.images import write_patches
from tlcore.settings import PROJECT, Settings

SMALL = ("--backbone", "MobileNet-0.25", "--size", "32", "--random-weights")


def test_predict_names_the_unreadable_and_goes_on(
    real: Settings, photos: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_text("no image")
    done = tlcore(real, "predict", photos[0], broken, photos[1], "--top", "3", "--json")
    assert done.returncode == 1
    first, second, third = json.loads(done.stdout)
    assert first["image"] == str(photos[0])
    assert first["weights"] == "imagenet"
    assert first["source"] == "MobileNetV2"
    assert [row["rank"] for row in first["top"]] == [1, 2, 3]
    assert set(first["top"][0]) >= {"rank", "index", "label", "wnid", "probability"}
    assert set(second) == {"image", "error"}
    assert "broken.jpg" in second["error"]
    assert third["top"]


def test_predict_with_two_backbones_writes_a_table_and_where_they_looked(
    real: Settings, photos: list[Path], tmp_path: Path
) -> None:
    table, looks = tmp_path / "answers.csv", tmp_path / "why.png"
    words = ("--backbone", "MobileNetV2", "--backbone", "MobileNet-0.25", "--size", "128")
    files = ("--csv", table, "--explain", looks, "--class", "tench")
    told = answer(real, "predict", photos[0], photos[1], *words, "--top", "3", *files)
    assert [row["source"] for row in told] == ["MobileNetV2", "MobileNet-0.25"] * 2
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 2 * 2 * 3
    assert rows[0]["label"] == told[0]["top"][0]["label"]
    assert float(rows[0]["probability"]) == told[0]["top"][0]["probability"]
    with Image.open(looks) as drawn:
        assert drawn.size == (3 * 448, 2 * 448)  # the image and two maps, two images


def test_train_show_predict_and_features_of_a_run(settings: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "set", classes=2)
    trained = answer(settings, "train", data, *SMALL, "--epochs", "3", "--fine-tune-epochs", "1")
    assert trained["status"] == "finished"
    assert [row["epoch"] for row in trained["history"]] == [1, 2, 3, 4]
    assert set(trained["history"][0]) == {
        "epoch", "stage", "loss", "accuracy", "val_loss", "val_accuracy", "seconds",
    }  # fmt: skip
    assert trained["val_accuracy"] == trained["history"][-1]["val_accuracy"]

    shown = answer(settings, "runs", "show", trained["run"])
    assert set(shown) >= {"id", "status", "folder", "config", "history", "error"}
    assert shown["history"] == trained["history"]
    assert (Path(shown["folder"]) / "model.keras").exists()
    assert [row["id"] for row in answer(settings, "runs")] == [trained["run"]]

    image = data / "blue" / "00.png"
    [told] = answer(settings, "predict", image, "--run", trained["run"])
    assert told["weights"] == "run"
    assert {row["label"] for row in told["top"]} == {"blue", "green"}
    assert sum(row["probability"] for row in told["top"]) == pytest.approx(1)

    npz, png = tmp_path / "maps.npz", tmp_path / "maps.png"
    words = ("--layer", "conv_pw_3_relu", "--run", trained["run"], "--npz", npz, "--png", png)
    seen = answer(settings, "features", image, *words)
    with np.load(npz) as file:
        maps = file["maps"]
    assert maps.dtype == np.float32
    assert list(maps.shape) == seen["shape"] == [8, 8, 32]
    with Image.open(png) as drawn:
        assert drawn.mode == "P"


def test_summary(settings: Settings) -> None:
    told = answer(
        settings, "summary", "--backbone", "MobileNetV2", "--size", "160", "--no-top", "--frozen"
    )
    assert (told["total"], told["trainable"], told["non_trainable"]) == (2257984, 0, 2257984)
    assert told["layers"][-1]["output_shape"] == [5, 5, 1280]
    assert set(told["layers"][-1]) == {
        "name", "type", "output_shape", "parameters", "connected_to", "trainable",
    }  # fmt: skip
    printed = tlcore(settings, "summary", "--backbone", "MobileNet-0.25").stdout
    assert "Total params: 475,544" in printed


def test_weights_lists_what_is_here(real: Settings) -> None:
    rows = {row["name"]: row for row in answer(real, "weights")}
    assert rows["MobileNetV2"]["ready"]
    assert not rows["ResNet50"]["ready"]
    assert "192 px" in rows["MobileNet-0.75"]["note"]


REFUSED = (
    (("predict", "a.jpg", "--backbone", "AlexNet"), "Received 'AlexNet'"),
    (("predict", "a.jpg", "--class", "owl"), "Expected --explain"),
    (("predict", "a.jpg", "--run", "nothing"), "Received 'nothing'"),
    (("summary", "--backbone", "VGG16", "--size", "160"), "Expected 224 px"),
    (("train", "no-such-set", *SMALL), "no-such-set"),
    (("runs", "show", "nothing"), "Received 'nothing'"),
    (("features", "no.jpg", "--layer", "Conv1"), "no.jpg"),
    (("weights", "fetch", "AlexNet"), "Received 'AlexNet'"),
)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str]]:
    home = tmp_path_factory.mktemp("refused")
    return refusals(Settings(home=home, keras_home=home), [words for words, _ in REFUSED])


@pytest.mark.parametrize("place", range(len(REFUSED)), ids=[said for _, said in REFUSED])
def test_what_cannot_be_done_is_said(place: int, refused: list[tuple[int, str]]) -> None:
    status, said = refused[place]
    assert status == 1
    assert REFUSED[place][1] in said


def test_a_process_that_cannot_says_so_on_standard_error(settings: Settings) -> None:
    done = tlcore(settings, "predict", "a.jpg")
    assert (done.returncode, done.stdout) == (1, "")
    assert "python -m tlcore weights fetch MobileNetV2" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_variable_is_said(settings: Settings) -> None:
    environment = os.environ | settings.to_environment() | {"TLCORE_MODELS_KEPT": "many"}
    done = subprocess.run(
        [sys.executable, "-m", "tlcore", "runs"],
        cwd=PROJECT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "TLCORE_MODELS_KEPT" in done.stderr


def test_features_of_some_channels_drawn_as_asked(
    settings: Settings, photos: list[Path], tmp_path: Path
) -> None:
    npz, png = tmp_path / "maps.npz", tmp_path / "maps.png"
    words = ("--layer", "conv_pw_1_relu", "--channels", "0-2,7", "--grid", "1x2")
    drawn = ("--order", "max", "--scale", "layer", "--npz", npz, "--png", png)
    told = answer(settings, "features", photos[0], *SMALL, *words, *drawn)
    assert told["shape"] == [16, 16, 4]
    with np.load(npz) as file:
        assert file["maps"].shape == (16, 16, 4)
    with Image.open(png) as image:
        assert image.size == (2 * 112 + 4, 112)
    bad = (("--grid", "4"), ("--channels", "a-b"), ("--channels", "99"))
    lines = [("features", photos[0], *SMALL, *words, *wrong) for wrong in bad]
    for status, said in refusals(settings, lines):
        assert status != 0
        assert "Expected" in said
