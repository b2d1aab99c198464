"""Upload in a real browser: images brought, checked, corrected, labelled, split."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from tests.browser.conftest import Tab, until
from tests.browser.test_story import open_import_form
from tests.datasets.findings import placeholder
from tlcore.datasets.store import load_dataset, load_state
from tlcore.settings import Settings

COPIES, EACH = 2, 24


@pytest.fixture
def archive(width: int, photos: list[Path], tmp_path: Path) -> Path:
    """A zip with an outer folder: two classes of images, two copies, a placeholder."""
    path = tmp_path / f"two classes {width}.zip"
    with zipfile.ZipFile(path, "w") as out:
        for number, photo in enumerate(photos[: 2 * EACH]):
            out.write(photo, f"mine/{'birds' if number < EACH else 'other'}/{photo.name}")
        for number in range(COPIES):
            out.write(photos[number], f"mine/birds/copy {number}.JPEG")
        buffer = io.BytesIO()
        placeholder().save(buffer, "PNG")
        out.writestr("mine/other/gone.png", buffer.getvalue())
        out.writestr("__MACOSX/mine/._x.JPEG", b"litter")
    return path


def view(tab: Tab, name: str) -> None:
    tab.page.locator("[data-testid=stButtonGroup] button", has_text=name).click()
    tab.settle()


@pytest.mark.parametrize("width", [pytest.param(1400, marks=pytest.mark.full), 390])
def test_the_story_of_a_dataset(width: int, tab: Tab, archive: Path, real: Settings) -> None:
    tab.page.set_viewport_size({"width": width, "height": 1000})
    tab.open("/Upload")
    open_import_form(tab)
    tab.page.locator("input[type=file]").set_input_files(str(archive))
    tab.press("Import")
    name = archive.stem
    tab.page.get_by_text("Exact duplicates").first.wait_for()  # what is wrong comes first

    tab.press(f"Exclude all but one ({COPIES})")
    tab.press("Exclude them (1)")
    tab.page.get_by_text("Nothing here needs a decision").wait_for()
    assert load_dataset(name, real).counts == {"birds": EACH, "other": EACH}
    before = load_state(name, real).dataset.hash

    view(tab, "Images")
    for place in (0, 3):
        tab.page.locator(".st-key-grid-strip-0 [data-id]").nth(place).click()
    tab.page.get_by_text("Label 2 images").wait_for()
    tab.settle()
    field = tab.page.get_by_role("combobox", name="Label 2 images")
    field.fill("other")
    tab.page.get_by_role("option", name="other").first.click()  # once the list has followed
    tab.settle()
    tab.press("Label")
    until(lambda: load_dataset(name, real).counts == {"birds": EACH - 2, "other": EACH + 2})
    tab.page.locator(".st-key-undo button >> visible=true").first.click()
    until(lambda: load_state(name, real).dataset.hash == before)
    tab.settle()

    tab.page.locator(".st-key-dataset-more button").first.click()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download (").click()
    assert download.value.suggested_filename.startswith(name)
    with zipfile.ZipFile(download.value.path()) as cleaned:
        assert len(cleaned.namelist()) == 2 * EACH  # without the copies and the placeholder
    tab.page.keyboard.press("Escape")
    view(tab, "Splits")
    tab.press("Split")
    tab.page.get_by_text("kept for the test").wait_for()
    assert set(load_dataset(name, real).counts_by_split) == {"train", "val", "test"}

    tab.page.get_by_text("About this dataset").click()
    tab.page.get_by_text("The average image").wait_for()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.errors == []
