"""Two runs that differ in nothing but their time: the one that was opened goes on answering."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import Tab
from tests.evaluation.made import write_splits
from tests.exports.conftest import trained
from tests.images import write_patches
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.settings import Settings
from tlcore.training.config import RunConfig

PATCHES, OTHER = "Two patches", "Other insects"


@pytest.fixture
def runs(real: Settings, tmp_path: Path) -> list[str]:
    """The ids of two runs of one recipe, and a second dataset; oldest first."""
    import_dataset(
        PATCHES, incoming_from_folder(write_patches(tmp_path / "patches", classes=2)), real
    )
    parts = write_splits(tmp_path / "insects", {"train": {"ants": 3, "bees": 3}})
    import_dataset(OTHER, incoming_from_folder(parts), real)
    recipe = RunConfig(PATCHES, backbone="MobileNet-0.25", size=64, epochs=2, learning_rate=0.01)
    return [trained(recipe, real) for _ in range(2)]


def test_the_opened_run_stays_through_views_datasets_and_pages(
    runs: list[str], tab: Tab, shared: Path
) -> None:
    page = tab.page
    for run in runs:
        tab.open(f"/Compare?dataset={PATCHES.replace(' ', '+')}&backbone=MobileNet-0.25&run={run}")
        page.get_by_text("points ahead").nth(1).wait_for()
        page.get_by_role("combobox", name="Run").first.click()
        options = page.get_by_role("option").all_inner_texts()
        assert len(set(options)) == len(options) >= 2
        page.keyboard.press("Escape")
        page.get_by_role("radio", name="Many images").click()
        tab.settle()
        assert f"run={run}" in page.url
        page.get_by_role("radio", name="One image").click()
        tab.settle()
        page.get_by_role("button", name="Add yours").click()
        photo = next((shared / "photos").glob("*.JPEG"))
        page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(photo)
        page.get_by_text("1 of 1").wait_for()
        tab.settle()
        assert f"run={run}" in page.url
        tab.choose("Dataset", OTHER)
        assert f"run={run}" in page.url
        page.get_by_text("This head predicts only blue and green.").wait_for()
        tab.open(f"/Feature_maps?dataset={PATCHES.replace(' ', '+')}&run={run}&network=head")
        page.get_by_text("channels, each").wait_for()
        before = page.url
        page.keyboard.press("n")
        page.wait_for_function("before => location.href !== before", arg=before)
        tab.settle()
        assert f"run={run}" in page.url
    assert tab.errors == []
