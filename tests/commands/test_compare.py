"""``runs compare`` and the refusals of ``train``."""

from __future__ import annotations

import csv
import os

import pytest

from tests.commands.running import answer, tlcore
from tlcore.runs.config import RunConfig
from tlcore.runs.outcome import Outcome, write_outcome
from tlcore.runs.store import create_run
from tlcore.settings import Settings


@pytest.fixture
def two(settings: Settings) -> list[str]:
    made = []
    for rate in (0.001, 0.01):
        folder, lock = create_run(RunConfig("set", learning_rate=rate), settings)
        write_outcome(folder, Outcome("finished", 2.0, 0.5 + rate, epochs=10))
        os.close(lock)
        made.append(folder.name)
    return made


def test_compare_as_json(two: list[str], settings: Settings) -> None:
    found = answer(settings, "runs", "compare", *two)["differences"]
    assert found["learning_rate"] == [0.001, 0.01]
    assert found["val_accuracy"] == [0.501, 0.51]
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
