"""What is handed over of a run, asked for and taken away in a real browser."""

from __future__ import annotations

import ast
import json
import re
import zipfile
from pathlib import Path

import pytest

from tests.browser.conftest import Tab
from tests.exports.conftest import trained
from tests.images import write_patches
from tlcore.training.config import RunConfig

LONG = 240_000  # ms


def test_report_bundle_script_and_notebook(
    tab: Tab, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The bundle, which takes a minute, with --all: its files have tests of their own."""
    jobs = ("report", "bundle") if request.config.getoption("--all") else ("report",)
    data = write_patches(tmp_path / "set", classes=2)
    config = RunConfig(str(data), backbone="MobileNet-0.25", size=64, epochs=2, batch_size=4)
    run = trained(config, tab.server.settings)
    tab.open(f"/Fine_tune?run={run}&view=export")
    for job in jobs:
        tab.page.get_by_role("button", name=f"Create {job}").click()
        tab.page.locator("[data-testid=stProgress]").wait_for()
        tab.page.get_by_role("button", name=f"Download {job}").wait_for(timeout=LONG)
    tab.settle()
    report = _taken(tab, "Download report", tmp_path)
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
    if "bundle" in jobs:
        with zipfile.ZipFile(_taken(tab, "Download bundle", tmp_path)) as bundle:
            assert bundle.testzip() is None
            assert any(name.endswith("predict.py") for name in bundle.namelist())
        tab.page.locator("[data-testid=stDataFrame]").first.wait_for()
    model = _taken(tab, "Download model", tmp_path)  # at once, without making it first
    assert re.fullmatch(r"set \d{4}-\d\d-\d\d \d{4} model\.keras", model.name)
    with zipfile.ZipFile(model) as archive:
        assert "config.json" in archive.namelist()
    with zipfile.ZipFile(_taken(tab, "Download script", tmp_path)) as scripts:
        texts = {Path(name).suffix: scripts.read(name) for name in scripts.namelist()}
    ast.parse(texts[".py"].decode())
    assert json.loads(texts[".ipynb"])["nbformat"] == 4
    assert tab.errors == []
    tab.open(f"/Fine_tune?run={run}&view=export")  # still there, and not made again
    tab.page.get_by_role("button", name=f"Download {jobs[-1]}").wait_for()
    assert tab.page.locator("[data-testid=stProgress]").count() == 0


def _taken(tab: Tab, name: str, place: Path) -> Path:
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name=name).last.click()
    file = place / download.value.suggested_filename
    download.value.save_as(file)
    return file
