"""With 2, 20 and 120 classes each view says on its first screen what matters, in bounded length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.evaluation.made import stored, train_run
from tests.pages.conftest import Opened, html_of, texts, use
from tests.training.test_train_run import SMALL
from tlcore.evaluation.evaluation import evaluate
from tlcore.evaluation.split_predictions import predict_split
from tlcore.exports.report import MOST_CLASSES, render_report
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.run import RunInfo
from tlcore.ui.evaluation.mistakes import FULL
from tlcore.ui.upload.labels import STRIPS

ELEMENTS = 110  # of a view, whatever the number of classes
EACH = 5  # images of a class


@pytest.fixture(scope="module", params=[2, pytest.param(20, marks=pytest.mark.full), 120])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunInfo, Settings]:
    """A real run of one epoch on noise: it has mistakes of every kind."""
    folder = tmp_path_factory.mktemp("classes")
    draw = np.random.default_rng(0)
    for label in range(request.param):
        (folder / "files" / f"kind_{label:03}").mkdir(parents=True)
        for number in range(EACH):
            pixels = draw.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "files" / f"kind_{label:03}" / f"{number}.png")
    settings = Settings(home=folder / "home", keras_home=folder / "keras")
    name = stored(settings, folder / "files", "noise")
    config = RunConfig(name, epochs=1, **(SMALL | {"batch_size": 64}))
    info = train_run(settings, config)
    evaluate(info.id, None, settings)  # stored: the page asks nobody
    return info, settings


@pytest.fixture
def settings(made: tuple[RunInfo, Settings]) -> Settings:
    return made[1]


@pytest.fixture
def run(
    made: tuple[RunInfo, Settings], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> RunInfo:
    """It, for tests that only look."""
    use(settings, monkeypatch)
    return made[0]


def count(block: Any) -> int:
    """The number of elements that a page draws."""
    return sum(1 + count(each) for each in getattr(block, "children", {}).values())


def names(at: AppTest) -> int:
    """How often a class is named in what a page says."""
    return (texts(at) + html_of(at)).count("kind")


def test_the_summary_gathers_warnings_and_puts_the_worst_class_on_top(
    opened: Opened, run: RunInfo, settings: Settings
) -> None:
    at = opened("Fine-tune", run=run.id, view="summary")
    assert not at.exception
    assert len(at.warning) == 1
    assert count(at._tree) < ELEMENTS
    classes = len(evaluate(run.id, None, settings).classes)
    table = next(frame.value for frame in at.dataframe if "Recall" in frame.value)
    assert len(table) == classes
    assert table["F1"].dropna().is_monotonic_increasing
    assert table["Recall"].max() <= 100
    folded = f"{classes} classes with fewer than 10 images here"
    assert [box.label for box in at.expander if "fewer than" in box.label] == [folded] * (
        classes > 5
    )
    if classes > 5:
        assert f"{classes} of {classes} classes are judged by" in at.warning[0].value


def test_of_many_classes_the_most_confused_pairs_come_first(
    opened: Opened, run: RunInfo, settings: Settings
) -> None:
    at = opened("Fine-tune", run=run.id, view="mistakes")
    evaluation = evaluate(run.id, None, settings)
    key = f"cell-{run.id}-val"
    own, other, images = evaluation.confused_pairs[0]
    assert not at.exception
    assert count(at._tree) < ELEMENTS
    assert at.session_state[key] == f"{own}-{other}"
    if len(evaluation.classes) <= FULL:
        assert len(at.selectbox(key=key).options) == np.count_nonzero(evaluation.confusion_matrix)
        return
    (pairs,) = (frame.value for frame in at.dataframe if "Predicted" in frame.value)
    assert pairs["Images"].tolist() == [number for *_, number in evaluation.confused_pairs]
    assert pairs["Images"][0] == images
    at.selectbox(key=f"only-{key}").set_value("kind_007").run()
    assert not at.exception
    (pairs,) = (frame.value for frame in at.dataframe if "Predicted" in frame.value)
    assert ((pairs["Label"] == "kind 007") | (pairs["Predicted"] == "kind 007")).all()
    at.session_state[f"pairs-{key}"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception


def test_upload_shows_a_page_of_classes_and_finds_the_others(
    opened: Opened, run: RunInfo, settings: Settings
) -> None:
    classes = len(evaluate(run.id, None, settings).classes)
    at = opened("Upload", dataset="noise", view="images")
    assert not at.exception
    assert count(at._tree) < ELEMENTS + 10 * STRIPS
    shown = html_of(at).count('<div class="class-bar"')
    assert shown == min(classes, STRIPS)
    if classes > STRIPS:
        at.text_input(key="find-class").set_value(f"KIND {classes - 1}").run()
        assert not at.exception
        assert html_of(at).count('<div class="class-bar"') == 1
        assert f"of {classes} classes" in texts(at)
    for view in ("problems", "splits"):
        at = opened("Upload", dataset="noise", view=view)
        assert not at.exception
        assert count(at._tree) < ELEMENTS
        assert names(at) <= 80  # 60 of them on hover


def test_the_form_and_the_report_are_bounded(
    opened: Opened, run: RunInfo, settings: Settings
) -> None:
    at = opened("Fine-tune", dataset="noise")
    assert not at.exception
    assert count(at._tree) < ELEMENTS
    assert names(at) <= 8
    evaluation = evaluate(run.id, None, settings)
    classes = len(evaluation.classes)
    if classes == 120:
        at.selectbox(key="see-class-noise").set_value("kind_119").run()
        assert "kind 119" in html_of(at)
    page = render_report(evaluation, predict_split(run.id, "val", settings), None, settings)
    rows = min(classes, MOST_CLASSES)
    for table in page.split("<table class=")[1:]:
        assert table.partition("</table>")[0].count("<tr>") <= max(rows + 2, 20)
    assert ("90 more classes are not shown." in page) == (classes == 120)
    assert page.count("<img") <= 80
