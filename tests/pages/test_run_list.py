"""The list of runs: what a row says, filtering, and what can be done with ticked rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import Opened, texts, tick_runs
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.errors import RunError
from tlcore.settings import Settings
from tlcore.storage import write_json
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.training.run import write_notes
from tlcore.training.status import FinalStatus, write_final_status
from tlcore.training.store import list_runs
from tlcore.ui.fine_tune import run_list


def made(
    settings: Settings, name: str, accuracy: float, loss: float, *, tag: str = "", dataset: str = ""
) -> Path:
    backbone = "ResNet50" if name == "beta" else "MobileNetV2"
    folder, lock = create_run(RunConfig(dataset or SAMPLE_NAME, backbone=backbone), settings)
    write_json(folder / "provenance.json", {"data_hash": "f" * 64, "images": {"val": 48}})
    write_final_status(folder, FinalStatus("finished", 30.0, accuracy, val_loss=loss, epochs=7))
    write_notes(folder, name, "a long story" if name == "alpha" else "", [tag] if tag else [])
    os.close(lock)
    return folder


@pytest.fixture
def three(workspace: Settings) -> list[Path]:
    return [
        made(workspace, "alpha", 0.5, 0.9, tag="night"),
        made(workspace, "beta", 0.9, float("nan"), dataset="/elsewhere"),
        made(workspace, "gamma", 0.7, 0.2),
    ]


def rows(at: AppTest) -> list[dict[str, Any]]:
    table = next(frame.value for frame in at.dataframe if "Status" in frame.value)
    return list(table.to_dict("records"))


def names(at: AppTest) -> list[str]:
    return [row["Run"].split(" · ")[0] for row in rows(at)]


def test_a_row_holds_what_tells_runs_apart_this_dataset_first(
    opened: Opened, three: list[Path]
) -> None:
    at = opened("Fine-tune", dataset=SAMPLE_NAME)
    assert names(at) == ["gamma", "alpha", "beta"]
    alpha = rows(at)[1]
    assert alpha["Run"] == "alpha · Drawn sample · MobileNetV2"
    expected = {"Status": "finished", "Accuracy": 0.5, "95% interval": "36–64%", "Loss": 0.9,
                "Epochs": 7, "Took": 30, "Tags": ["night"], "Note": "a long story"}  # fmt: skip
    assert {name: alpha[name] for name in expected} == expected
    assert rows(at)[2]["Loss"] != rows(at)[2]["Loss"]  # diverged: empty, sorted last


FILTERED = {
    "resnet": ["beta"],
    "NIGHT": ["alpha"],
    "sample mobile": ["gamma", "alpha"],
    "story": ["alpha"],
    "finished": ["gamma", "alpha", "beta"],
}


def test_filtered_by_words_and_opened_by_a_click(opened: Opened, three: list[Path]) -> None:
    at = opened("Fine-tune", dataset=SAMPLE_NAME)
    for words, expected in FILTERED.items():
        at.text_input(key="runs-filter").set_value(words).run()
        assert not at.exception
        assert names(at) == expected
    at.text_input(key="runs-filter").set_value("sample resnet night").run()
    assert "No run matches" in texts(at)
    at.text_input(key="runs-filter").set_value("").run()
    tick_runs(at, cell=1)
    assert not at.exception
    assert three[0].name in at.query_params["run"]


def test_ticked_runs_are_compared_and_deleted(
    opened: Opened, workspace: Settings, three: list[Path]
) -> None:
    at = tick_runs(opened("Fine-tune", dataset=SAMPLE_NAME), 0, 2)
    assert not at.exception
    assert "Backbone" in next(f.value for f in at.dataframe if "Status" not in f.value).index
    assert "gamma" in texts(at).partition("are deleted for good")[2]  # it names what it deletes
    at.button(key="runs-delete").click().run()
    assert not at.exception
    assert [info.id for info in list_runs(workspace)] == [three[0].name]


def test_a_queued_run_is_cancelled(opened: Opened, workspace: Settings) -> None:
    folder, lock = create_run(RunConfig(SAMPLE_NAME), workspace)
    at = tick_runs(opened("Fine-tune"), 0)
    at.button(key="runs-cancel").click().run()
    assert not at.exception
    assert (folder / "stop").exists()
    os.close(lock)


def test_what_is_refused_is_said_once(
    opened: Opened, three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RunError("Expected a run that has ended. Received one at work.")

    monkeypatch.setattr(run_list, "delete_run", refuse)
    at = tick_runs(opened("Fine-tune", dataset=SAMPLE_NAME), 0)
    at.button(key="runs-delete").click().run()
    assert not at.exception
    assert "Received one at work" in at.error[0].value
    assert not at.run().error
