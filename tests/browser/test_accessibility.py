"""No critical or serious violation by axe-core on the five pages; on a phone none of them scrolls
sideways; images are imported and left out by keyboard alone."""

from __future__ import annotations

import shutil
from importlib import util
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from tests.browser.conftest import Tab
from tests.exports.conftest import trained
from tests.images import write_patches
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.settings import Settings
from tlcore.training.config import RunConfig

DATA = "Access"
UNFOLD = """document.querySelectorAll('[data-testid=stMain] details:not([open]) > summary')
    .forEach(summary => summary.click())"""
# Pixels by which a page is wider than the screen.
SIDEWAYS = """() => { const main = document.querySelector('[data-testid=stMain]');
    return main.scrollWidth - main.clientWidth; }"""
MODEL = "&backbone=MobileNet-0.25&size=128"
# The role or kind of what has the focus, and the words that name it
FOCUSED = """() => { const it = document.activeElement, role = it.getAttribute('role');
    return [role || it.localName, it.getAttribute('aria-label') || it.innerText].join(' '); }"""
VIEWS = ("summary", "mistakes", "improve", "export")
PATHS = (
    "/",
    *(f"/Upload?dataset={DATA}&view={view}" for view in ("images", "problems")),
    f"/Compare?dataset={DATA}&run={{run}}{MODEL}",
    f"/Feature_maps?dataset={DATA}{MODEL}",
    f"/Fine_tune?dataset={DATA}",
    *(f"/Fine_tune?run={{run}}&view={view}" for view in VIEWS),
)


@pytest.fixture(scope="module")
def run(real: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a run that has ended, on images of which some have problems."""
    folder = write_patches(tmp_path_factory.mktemp("access") / "patches", classes=2)
    Image.new("RGB", (64, 64)).save(folder / "blue" / "black.png")
    import_dataset(DATA, incoming_from_folder(folder), real)
    recipe = RunConfig(DATA, backbone="MobileNet-0.25", size=64, epochs=2, fine_tune_epochs=1)
    return trained(recipe, real)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_shuts_anybody_out(tab: Tab, run: str, theme: Literal["light", "dark"]) -> None:
    spec = util.find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-playwright-python, which brings axe-core's script, is not installed")
    script, found = Path(spec.origin).with_name("axe.min.js").read_text(), []
    tab.page.emulate_media(color_scheme=theme)
    for path in PATHS:
        tab.open(path.format(run=run))
        tab.page.evaluate(UNFOLD)
        tab.settle()
        tab.page.evaluate(script)
        for each in tab.page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]:
            if each["impact"] in ("critical", "serious"):
                found.append((path, each["id"], [node["html"][:120] for node in each["nodes"]]))
        if theme == "light" and "?run=" not in path:
            tab.page.set_viewport_size({"width": 390, "height": 844})
            tab.settle()
            if tab.page.evaluate(SIDEWAYS) > 0:
                found.append((path, "sideways", []))
            tab.page.set_viewport_size({"width": 1400, "height": 1000})
    assert found == []


def test_on_a_phone_the_sidebar_closes_over_the_page_that_was_chosen(tab: Tab, run: str) -> None:
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.open(f"/Upload?dataset={DATA}")
    for name in ("Fine-tune", "Upload"):
        tab.page.get_by_test_id("stExpandSidebarButton").click()
        tab.go(name)
        tab.page.get_by_test_id("stExpandSidebarButton").wait_for()


def test_images_are_imported_and_left_out_by_keyboard_alone(
    tab: Tab, run: str, tmp_path: Path
) -> None:
    page = tab.page

    def press(kind: str, words: str) -> None:
        """Go on by Tab to what has these words, and press Enter there."""
        for _ in range(100):
            page.keyboard.press("Tab")
            focused = page.evaluate(FOCUSED)
            if focused.startswith(kind) and words in focused:
                break
        else:
            pytest.fail(f"{words} is not reached by Tab")
        page.keyboard.press("Enter")

    tab.open(f"/Upload?dataset={DATA}&view=images")
    press("button", "Add images")
    page.locator("[data-testid=stFileUploader]").first.wait_for()
    tab.settle()
    folder = write_patches(tmp_path / "two", classes=2)
    images = shutil.make_archive(str(tmp_path / "by keyboard"), "zip", folder)
    with page.expect_file_chooser() as chooser:
        press("button", "upload")
    chooser.value.set_files(images)
    page.get_by_role("button", name="Import").wait_for()
    tab.settle()
    press("button", "Import")
    page.get_by_text("by keyboard has 16 images in 2 classes").wait_for()
    tab.settle()
    tab.open("/Upload?dataset=by+keyboard&view=images")
    press("option", "blue: ")
    page.get_by_role("button", name="Exclude").wait_for()
    tab.settle()
    press("button", "Exclude")
    page.get_by_text("excluded").first.wait_for()
    tab.settle()
    page.keyboard.press("Tab")  # from where the button was
    assert "Undo" in page.evaluate(FOCUSED)
    page.keyboard.press("Enter")
    page.get_by_text("1 excluded").wait_for(state="detached")
    assert tab.errors == []
