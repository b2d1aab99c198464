"""``runs compare`` and the refusals of ``train``."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from tests.cli.running import answer, refusals, tlcore
from tests.images import write_patches
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.training.status import FinalStatus, write_final_status
from tlcore.training.store import list_runs


@pytest.fixture
def two(settings: Settings) -> list[str]:
    made = []
    for rate in (0.001, 0.01):
        folder, lock = create_run(RunConfig("set", learning_rate=rate), settings)
        write_final_status(folder, FinalStatus("finished", 2.0, 0.5 + rate, epochs=10))
        os.close(lock)
        made.append(folder.name)
    return made


def test_compare_as_json(two: list[str], settings: Settings) -> None:
    found = answer(settings, "runs", "compare", *two)["differences"]
    assert found["learning_rate"] == [0.001, 0.01]
    assert found["val_accuracy"] == [0.501, 0.51]
    assert found["epochs_done"] == [10, 10]
    assert "pooling" not in found


def test_compare_as_csv(two: list[str], settings: Settings) -> None:
    rows = list(csv.reader(tlcore(settings, "runs", "compare", *two, "--csv").stdout.splitlines()))
    assert rows[0] == ["", *two]
    assert ["learning_rate", "0.001", "0.01"] in rows


@pytest.mark.parametrize("words", [[], ["folder", "--resume", "ID"]])
def test_train_wants_a_folder_or_a_run(words: list[str], settings: Settings) -> None:
    done = tlcore(settings, "train", *words)
    assert done.returncode != 0
    assert "either FOLDER or --resume" in done.stderr


def test_what_cannot_be_trained_makes_no_run(settings: Settings, tmp_path: Path) -> None:
    one = write_patches(tmp_path / "one", each=1)
    more = write_patches(tmp_path / "more", each=4)
    small = ["--backbone", "MobileNet-0.25", "--size", "32", "--random-weights"]
    layer = ["--fine-tune-epochs", "1", "--unfreeze-from", "conv_dw_99"]
    found = refusals(settings, [["train", one, *small], ["train", more, *small, *layer]])
    assert [status for status, _ in found] == [1, 1]
    assert "Expected images for validation" in found[0][1]
    assert "Received 'conv_dw_99'" in found[1][1]
    assert list_runs(settings) == []


def test_a_run_that_never_began_is_resumed_with_its_own_recipe(
    settings: Settings, tmp_path: Path
) -> None:
    data = write_patches(tmp_path / "set", classes=2, each=4)
    folder, lock = create_run(
        RunConfig(
            str(data), "MobileNet-0.25", 32, epochs=2, augmented_copies=1, random_weights=True
        ),
        settings,
    )
    os.close(lock)  # as if it had been killed
    found = answer(settings, "train", "--resume", folder.name)
    assert (found["run"], found["status"]) == (folder.name, "finished")
    assert [epoch["epoch"] for epoch in found["history"]] == [1, 2]
    (segment,) = settings.features.glob("*/*.json")
    ids = json.loads(segment.read_bytes())["ids"]
    assert len(set(ids)) == len(ids) == 2 * 6 + 2  # each training image twice
    assert "has finished" in tlcore(settings, "train", "--resume", folder.name).stderr
