"""A report opened from disk in a browser without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import tlcore
from tests.exports.conftest import trained
from tests.images import write_patches
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.evaluation import evaluate as evaluate_run
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.store import load_run

LARGEST = 10 * 2**20  # bytes
ODD = "<b>wasps & “bees”"  # a folder's name that a page must not take for its own


@pytest.fixture
def run(real: Settings, tmp_path: Path) -> str:
    data = write_patches(tmp_path / "set", each=10)
    (data / "red").rename(data / ODD)
    config = RunConfig(
        str(data), backbone="MobileNet-0.25", size=64, epochs=2, fine_tune_epochs=1, batch_size=4
    )
    return trained(config, real)


def test_it_opens_offline_and_its_numbers_are_the_runs(
    run: str, real: Settings, tmp_path: Path, chromium: Any
) -> None:
    file = tmp_path / "report.html"
    done = tlcore(real, "runs", "report", run, file)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_size < LARGEST
    context = chromium.new_context(viewport={"width": 390, "height": 900})
    context.set_offline(True)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert said == []
    _compare(page, evaluate_run(run, "", real))
    info = load_run(run, real).info
    words = page.inner_text("body")
    for expected in (info.data_hash, info.id, ODD, "MobileNet-0.25", "Limits", "blocks from"):
        assert expected in words, expected
    assert page.locator("img").count() >= 12
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def _compare(page: Any, found: Evaluation) -> None:
    def exact(selector: str) -> list[float]:
        return [float(each.get_attribute("value")) for each in page.locator(selector).all()]

    assert exact("#accuracy data") == [found.accuracy.value]
    figures = [each for each in (found.accuracy, found.balanced_accuracy)]
    shown = exact("table.figures data")
    assert shown[:3] == [*(each.value for each in figures), found.macro_f1]
    assert found.majority_baseline.accuracy.value in shown
    assert found.log_loss in shown
    assert found.calibration.error in shown
    cells = [int(each.inner_text()) for each in page.locator("#matrix td").all()]
    assert cells == [number for row in found.confusion_matrix for number in row]
    brackets = page.inner_text("table.figures")
    assert f"({found.accuracy.low * 100:.0f}–{found.accuracy.high * 100:.0f}" in brackets


def test_a_run_that_is_not_there_has_no_report(settings: Settings, tmp_path: Path) -> None:
    done = tlcore(settings, "runs", "report", "none", tmp_path / "a.html")
    assert done.returncode == 1
    assert "Expected the id of a run" in done.stderr
    assert list(tmp_path.glob("*.html")) == []
