"""The list of runs: what a row says, searching, sorting, and what can be done from it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import Opened, texts
from tlcore.datasets.sample import SAMPLE_NAME
from tlcore.errors import RunError
from tlcore.settings import Settings
from tlcore.storage import write_json
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.training.run import write_notes
from tlcore.training.status import FinalStatus, write_final_status
from tlcore.training.store import list_runs
from tlcore.ui.fine_tune import run_list as listing

LONG = "a long story " * 20


def made(
    settings: Settings, name: str, accuracy: float, loss: float, seconds: float, tag: str = ""
) -> Path:
    backbone = "ResNet50" if name == "beta" else "MobileNetV2"
    folder, lock = create_run(RunConfig(SAMPLE_NAME, backbone=backbone), settings)
    write_json(folder / "provenance.json", {"data_hash": "f" * 64, "images": {"val": 48}})
    write_final_status(folder, FinalStatus("finished", seconds, accuracy, val_loss=loss, epochs=7))
    write_notes(folder, name, LONG if name == "alpha" else "", [tag] if tag else [])
    os.close(lock)
    return folder


@pytest.fixture
def three(workspace: Settings) -> list[Path]:
    return [
        made(workspace, "alpha", 0.5, 0.9, 30.0, tag="night"),
        made(workspace, "beta", 0.9, float("nan"), 10.0),
        made(workspace, "", 0.7, 0.2, 20.0),
    ]


def order(at: AppTest) -> list[str]:
    """The ids of the runs in the list, from top to bottom."""
    return [
        re.search(r"run=([^&]+)", element.proto.query_string).group(1)  # type: ignore[union-attr]
        for element in at.get("page_link")
        if "run=" in element.proto.query_string
    ]


def names(three: list[Path], *numbers: int) -> list[str]:
    return [three[number].name for number in numbers]


def test_a_row_says_from_what_on_what_and_how_well(
    opened: Opened, workspace: Settings, three: list[Path]
) -> None:
    at = opened("Fine-tune")
    said = texts(at)
    links = [element.proto.label for element in at.get("page_link")]
    assert "**alpha · 50% · Drawn sample · MobileNetV2**" in links
    assert "50% (36–64, 48 images) · loss 0.9 · 7 epochs · " in said
    assert "took 30 s" in said
    assert f"{LONG[:150]}" in said  # the beginning of its note …
    assert LONG not in said  # … but not all of it


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("newest", (2, 1, 0)),
        ("highest accuracy", (1, 2, 0)),
        ("lowest loss", (2, 0, 1)),  # what is no number comes last
        ("shortest", (1, 2, 0)),
        ("longest", (0, 2, 1)),
        ("name", (0, 1, 2)),
    ],
)
def test_sorted_by(
    opened: Opened, workspace: Settings, three: list[Path], by: str, expected: tuple[int, ...]
) -> None:
    at = opened("Fine-tune")
    at.selectbox(key="runs-order").set_value(by).run()
    assert not at.exception
    assert order(at) == names(three, *expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("resnet", (1,)),
        ("NIGHT", (0,)),
        ("sample mobile", (2, 0)),
        ("story", (0,)),
        ("sample resnet night", ()),
    ],
)
def test_searched(
    opened: Opened, workspace: Settings, three: list[Path], words: str, expected: tuple[int, ...]
) -> None:
    at = opened("Fine-tune")
    at.text_input(key="runs-search").set_value(words).run()
    assert order(at) == names(three, *expected)
    assert expected or "None that matches" in texts(at)


def test_narrowed_by_state_from_two_runs_on(opened: Opened, workspace: Settings) -> None:
    made(workspace, "alpha", 0.5, 0.9, 30.0)
    at = opened("Fine-tune")
    assert "runs-search" not in [field.key for field in at.text_input]
    folder, lock = create_run(RunConfig(SAMPLE_NAME), workspace)
    os.close(lock)  # it has ended without a word
    at.run()
    at.multiselect(key="runs-states").set_value(["failed"]).run()
    assert order(at) == [folder.name]


def test_deleted_from_the_list(opened: Opened, workspace: Settings, three: list[Path]) -> None:
    at = opened("Fine-tune")
    at.button(key=f"delete-{three[1].name}").click().run()
    assert not at.exception
    assert order(at) == names(three, 2, 0)
    assert [info.id for info in list_runs(workspace)] == names(three, 2, 0)


def test_a_waiting_run_is_taken_back(opened: Opened, workspace: Settings) -> None:
    folder, lock = create_run(RunConfig(SAMPLE_NAME), workspace)
    at = opened("Fine-tune")
    at.button(key=f"take-{folder.name}").click().run()
    assert not at.exception
    assert (folder / "stop").exists()
    os.close(lock)


def test_what_is_refused_is_said(
    opened: Opened, workspace: Settings, three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RunError("Expected a run that has ended. Received one at work.")

    monkeypatch.setattr(listing, "delete_run", refuse)
    at = opened("Fine-tune")
    at.button(key=f"delete-{three[0].name}").click().run()
    assert not at.exception
    assert "Received one at work" in at.error[0].value
    assert not at.run().error
