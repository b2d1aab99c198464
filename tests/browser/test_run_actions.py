"""What a finished run offers: the same recipe once more, its files, its end, every backbone."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.browser.conftest import Tab, until
from tests.exports.conftest import trained
from tests.images import write_patches
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.models.weights import list_weights
from tlcore.settings import Settings
from tlcore.storage import write_json
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import delete_run
from tlcore.training.run import RunInfo
from tlcore.training.status import FINISHED
from tlcore.training.store import list_runs, load_run, load_run_info
from tlcore.ui.fine_tune.studies import BACKBONES

RECIPE = RunConfig(
    "patches", backbone="MobileNet-0.25", size=64, epochs=3, learning_rate=0.01, seed=7,
    batch_size=4, dropout=0.1,
)  # fmt: skip


@pytest.fixture(scope="module")
def first(real: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("actions")
    import_dataset("patches", incoming_from_folder(write_patches(folder / "set")), real)
    return trained(RECIPE, real)


def test_run_again_with_all_of_its_recipe(tab: Tab, real: Settings, first: str) -> None:
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.open(f"/Fine_tune?run={first}")
    tops = "buttons => buttons.map(button => Math.round(button.getBoundingClientRect().top))"
    assert len(set(tab.page.locator(".st-key-views button").evaluate_all(tops))) == 2  # rows
    tab.page.set_viewport_size({"width": 1400, "height": 1000})
    tab.page.locator(".st-key-run-actions button").first.click()
    tab.press("Run again")
    start = tab.page.get_by_role("button", name="Start", exact=True)
    tab.page.set_viewport_size({"width": 1400, "height": 500})
    start.scroll_into_view_if_needed()
    start.click()
    tab.page.wait_for_url("**run=*")
    main = "document.querySelector('[data-testid=stMain]').scrollTop"
    until(lambda: tab.page.evaluate(main) == 0)  # *Start* was below the fold, the run is not
    again = tab.page.url.split("run=")[1].split("&")[0]
    until(lambda: load_run_info(again, real).status == FINISHED)
    assert again != first
    assert load_run_info(again, real).config == RECIPE
    assert tab.errors == []


def test_a_click_on_a_point_of_the_embedding_shows_its_image(tab: Tab, first: str) -> None:
    tab.open(f"/Fine_tune?run={first}&view=embedding")
    tab.page.get_by_text("Click a point to see its image").wait_for()
    box = tab.page.locator(".scatterlayer .point").first.bounding_box()
    assert box is not None
    tab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.page.get_by_text("Show what supports it").wait_for()
    assert tab.errors == []


def test_the_same_head_on_every_backbone(tab: Tab, real: Settings, first: str) -> None:
    """One of them has been trained already: only what is missing is."""
    here = {row.backbone.name for row in list_weights(real) if row.no_top}
    others = here - {RECIPE.backbone, "MobileNet-0.5"}
    there = real.runs / "20200101-000000-000000"
    shutil.copytree(real.runs / first, there)
    alone = {"size": 0, "unfreeze_from": "", "fine_tune_learning_rate": 0.0}
    recipe = replace(RECIPE, backbone="MobileNet-0.5", **alone)
    write_json(there / "config.json", recipe.to_json())

    def heads() -> list[RunInfo]:
        return [info for info in list_runs(real) if info.notes.tags == (BACKBONES,)]

    tab.open(f"/Fine_tune?run={first}&view=improve")
    tab.page.get_by_role("radio", name="Backbones").click()
    tab.page.get_by_text("each computes features").wait_for()
    assert heads() == []  # not before the person has read what it takes
    tab.press(f"Train {len(others)} heads")
    until(lambda: len(heads()) == len(others) and all(i.status == FINISHED for i in heads()))
    assert {info.config.backbone for info in heads()} == others
    assert {info.config.epochs for info in heads()} == {RECIPE.epochs}
    tab.settle()
    assert tab.page.get_by_role("button", name="Train", exact=False).count() == 0
    assert tab.errors == []
    delete_run(there.name, real)


def test_a_run_is_taken_away_as_csv_and_json(
    tab: Tab, real: Settings, first: str, tmp_path: Path
) -> None:
    tab.open(f"/Fine_tune?run={first}")
    files = {}
    for words in ("Epochs, CSV", "Whole record, JSON"):
        if not tab.page.get_by_role("button", name=words).count():
            tab.page.locator(".st-key-run-actions button").first.click()
        with tab.page.expect_download() as coming:
            tab.page.get_by_role("button", name=words).click()
        files[words] = tmp_path / coming.value.suggested_filename
        coming.value.save_as(files[words])
        assert re.match(r"patches \d{4}-\d\d-\d\d ", files[words].name)
    losses = [epoch.val_loss for epoch in load_run(first, real).history]
    rows = list(csv.DictReader(files["Epochs, CSV"].read_text(encoding="utf-8").splitlines()))
    assert [float(row["val_loss"]) for row in rows] == losses
    about = json.loads(files["Whole record, JSON"].read_text(encoding="utf-8"))
    assert RunConfig(**about["config"]) == RECIPE
    assert [epoch["val_loss"] for epoch in about["history"]] == losses
    assert tab.errors == []
