"""``runs compare`` and the refusals of ``train``."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest

from tlcore.__main__ import main
from tlcore.runs.config import RunConfig
from tlcore.runs.outcome import Outcome, write_outcome
from tlcore.runs.store import create_run
from tlcore.settings import Settings


@pytest.fixture
def two(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    made = []
    for rate in (0.001, 0.01):
        folder, lock = create_run(RunConfig("set", learning_rate=rate), settings)
        write_outcome(folder, Outcome("finished", 2.0, 0.5 + rate, epochs=10))
        os.close(lock)
        made.append(folder.name)
    return made


def test_compare_as_json(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "compare", *two, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["differences"]
    assert found["learning_rate"] == [0.001, 0.01]
    assert found["val_accuracy"] == [0.501, 0.51]
    assert "pooling" not in found


def test_compare_as_csv(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "compare", *two, "--csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["", *two]
    assert ["learning_rate", "0.001", "0.01"] in rows


@pytest.mark.parametrize("words", [[], ["folder", "--resume", "ID"]])
def test_train_wants_a_folder_or_a_run(
    words: list[str], two: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) != 0
    assert "either FOLDER or --resume" in capsys.readouterr().err
