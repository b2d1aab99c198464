"""``runs evaluate``, as a script runs it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.cli.running import answer, tlcore
from tests.evaluation.made import train_run, write_splits
from tests.training.test_train_run import SMALL
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.evaluation import evaluate as evaluate_run
from tlcore.settings import Settings
from tlcore.training.config import RunConfig


def test_evaluate_as_json_and_as_a_table(settings: Settings, tmp_path: Path) -> None:
    counts = {part: {"ants": 6, "bees": 4} for part in ("train", "val", "test")}
    run = train_run(settings, RunConfig(str(write_splits(tmp_path / "set", counts)), **SMALL))
    found = answer(settings, "runs", "evaluate", run.id)
    assert found["split"] == "test"
    assert msgspec.convert(found, Evaluation) == evaluate_run(run.id, "", settings)
    table = tlcore(settings, "runs", "evaluate", run.id, "--split", "val")
    assert table.returncode == 0
    assert "evaluated on its validation split" in table.stdout
    again = answer(settings, "runs", "evaluate", run.id, "--split", "val")  # kept: no network
    assert msgspec.convert(again, Evaluation).accuracy.text in table.stdout


@pytest.mark.parametrize(
    ("words", "said"), [(["nonsense"], "id of a run"), (["ID", "--split", "all"], "invalid choice")]
)
def test_what_evaluate_refuses(words: list[str], said: str, settings: Settings) -> None:
    done = tlcore(settings, "runs", "evaluate", *words)
    assert done.returncode != 0
    assert said in done.stderr
