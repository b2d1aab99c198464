"""The form of a run in Chromium: the cost that comes by itself, and the rate that is found."""

from __future__ import annotations

from pathlib import Path

from tests.browser.conftest import Tab, until
from tests.images import write_patches
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.settings import Settings
from tlcore.training.status import FINISHED
from tlcore.training.store import load_run_info


def test_from_the_cost_to_a_rate_that_was_found(tab: Tab, real: Settings, tmp_path: Path) -> None:
    import_dataset("priced", incoming_from_folder(write_patches(tmp_path / "set")), real)
    tab.open("/Fine_tune?dataset=priced")
    tab.choose("Dataset", "priced")
    tab.choose("Backbone", "MobileNet-0.25")
    tab.choose("Input size", "96 × 96")
    tab.page.get_by_text("computes features of 24 images").wait_for()
    tab.page.get_by_role("button", name="Start", exact=True).click()
    tab.page.wait_for_url("**run=*")
    run = tab.page.url.split("run=")[1].split("&")[0]
    until(lambda: load_run_info(run, real).status == FINISHED)
    tab.settle()

    tab.page.go_back()  # to the form, and on to the run again
    tab.page.get_by_role("button", name="Start", exact=True).wait_for()
    tab.page.go_forward()
    tab.page.get_by_role("button", name="New run").wait_for()
    tab.settle()
    tab.press("New run")
    tab.choose("Backbone", "MobileNet-0.25")
    tab.page.get_by_text("Advanced options").click()
    tab.page.get_by_text("Estimating the time").wait_for(state="detached")
    tab.press("Find a learning rate")
    use = tab.page.get_by_role("button", name="Use 0")
    rate = use.inner_text().split()[-1]
    use.click()
    tab.settle()
    assert float(tab.page.get_by_role("spinbutton", name="Learning rate").first.input_value()) == (
        float(rate)
    )
    assert tab.errors == []
