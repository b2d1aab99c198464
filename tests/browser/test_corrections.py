"""The loop in a real browser: a cell of the matrix → another label → run again → the change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import Tab, until
from tests.exports.conftest import trained
from tlcore.datasets.edits import relabel
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.datasets.splits import SplitPlan, split_dataset
from tlcore.datasets.store import load_state
from tlcore.evaluation.corrections import corrected_run
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.store import list_runs

WRONG = 4  # validation images that are given the label of another class


@pytest.fixture
def mislabelled(real: Settings) -> tuple[str, list[str]]:
    """A run on the sample, some of whose labels are wrong; its id and the images' keys."""
    state = split_dataset(SAMPLE_NAME, SplitPlan(val=0.3, test=0), real)
    truth, other = list(state.counts)[:2]
    keys = [item.key for item in state.included if item.split == "val" and item.label == truth][
        :WRONG
    ]
    relabel(SAMPLE_NAME, keys, other, real)
    recipe = RunConfig(
        SAMPLE_NAME, backbone="MobileNet-0.25", size=96, epochs=15, learning_rate=0.01
    )
    return trained(recipe, real), keys


def test_from_a_mistake_to_its_repair(
    mislabelled: tuple[str, list[str]], tab: Tab, real: Settings, tmp_path: Path
) -> None:
    run, keys = mislabelled
    state = load_state(SAMPLE_NAME, real)
    truth, other = list(state.counts)[:2]
    tab.open(f"/Fine_tune?run={run}&view=mistakes")
    tab.page.get_by_text(f"of {other} predicted as {truth}").first.wait_for()  # the most mistakes
    matrix = tab.page.locator("[class*=st-key-matrix-] .js-plotly-plot")
    matrix.get_by_text("0", exact=True).first.wait_for()
    images = tab.page.locator(".image-grid [role=option]")
    assert images.count() >= WRONG
    cells = matrix.locator(".scatterlayer .point")
    box = cells.first.bounding_box()  # of the first class, classified correctly
    tab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.page.get_by_text(f"of {truth} classified correctly").first.wait_for()
    tab.choose("Images", f"{other}, predicted {truth}")
    tab.page.get_by_text(f"of {other} predicted as {truth}").first.wait_for()
    for place in range(images.count()):
        images.nth(place).click()
        tab.settle()
    tab.page.get_by_text("Show what supports it").click()
    tab.page.get_by_text("What adds up to the answer").first.wait_for()
    tab.settle()
    tab.choose(f"New label of {images.count()} image", truth)  # nothing is filled in
    tab.press("Relabel")
    until(lambda: all(load_state(SAMPLE_NAME, real).by_key[key].label == truth for key in keys))
    tab.page.get_by_text("Since this run:").wait_for()

    tab.press("Run again on the corrected dataset")
    tab.page.get_by_text("Change on the validation split").wait_for()
    later = list_runs(real)[0]
    assert later.id in tab.page.url
    assert corrected_run(later) == run
    assert later.images == {"train": later.images["train"], "val": later.images["val"]}
    tab.page.get_by_text("Of the same").wait_for()
    assert tab.page.get_by_text("had another label then").count()

    for view in ("Summary", "Label issues", "Embedding"):
        tab.page.locator("[data-testid=stButtonGroup] button", has_text=view).first.click()
        tab.settle()
    tab.page.set_viewport_size({"width": 390, "height": 900})
    tab.settle()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert tab.errors == []
