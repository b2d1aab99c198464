"""A stranger: from the first page to one image, both answers and their maps, clicks counted."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.conftest import Tab
from tests.browser.test_accessibility import SIDEWAYS
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.settings import Settings


def test_from_home_to_both_answers_and_maps_in_two_clicks(first_tab: Tab) -> None:
    """The first visit of the server is a deep link."""
    tab = first_tab
    tab.open("/Upload")
    assert tab.page.title() == "Upload · Transfer Learning Lab"
    assert tab.page.locator("[data-testid=stSidebar] a").count() == 5
    tab.page.locator("[data-testid=stFileUploader]").wait_for()
    clicks = 0

    def click(words: str) -> None:
        nonlocal clicks
        clicks += 1
        tab.page.get_by_role("button", name=words).or_(
            tab.page.get_by_role("radio", name=words)
        ).first.click()

    tab.open("/")
    click("Try the sample")
    tab.page.get_by_role("button", name="Train on these 4 classes").wait_for()
    click("Train on these 4 classes")
    charts = tab.page.locator(".js-plotly-plot")
    charts.nth(1).wait_for()  # the head's own answer beside ImageNet's
    tab.settle()
    tab.page.get_by_text("cells ").nth(1).wait_for()
    tab.settle()
    maps = tab.page.locator("img[alt^='What supports']")
    assert maps.count() == 2
    for place in range(2):  # the answer and its map are on the first screen
        box = maps.nth(place).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 1000
    assert clicks == 2
    address = tab.page.url
    strip, steps = (tab.page.locator(f".st-key-{key}").bounding_box() for key in ("strip", "steps"))
    assert strip and steps
    assert steps["y"] >= strip["y"] + strip["height"] + 6
    tab.press("Options of ImageNet's network")  # unfold above the answer, not over it
    options = tab.page.locator(".st-key-left-options").bounding_box()
    answer = tab.page.locator(".answer").first.bounding_box()
    assert options and answer
    assert options["height"] > 40
    assert options["y"] + options["height"] <= answer["y"]
    tab.page.get_by_text("Class and layer").click()
    tab.page.locator(".st-key-select-class").wait_for()
    tab.settle()
    choice = tab.page.locator(".st-key-select-class").bounding_box()
    heat = maps.first.bounding_box()
    assert choice and heat
    assert choice["x"] + choice["width"] <= heat["x"]

    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.open(address.removeprefix(tab.server.url))  # a new session: the link restores it all
    tab.page.get_by_text("cells ").nth(1).wait_for()
    answers = tab.page.locator(".answer")
    for place in range(2):
        box = answers.nth(place).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 844
    assert tab.page.evaluate(SIDEWAYS) <= 0
    assert tab.errors == []


def test_a_batch_stops_a_row_opens_its_image_and_the_camera_brings_one(
    tab: Tab, real: Settings, shared: Path
) -> None:
    """398 images are more than one can answer before Stop is clicked."""
    import_dataset("insects", incoming_from_folder(shared / "datasets" / "hymenoptera"), real)
    tab.open("/Compare?dataset=insects&view=many")
    tab.page.get_by_role("button", name="Predict 398 images").click()
    tab.page.get_by_text(
        re.compile("of 398 images .* about")
    ).wait_for()  # the first chunk has come back
    main = tab.page.get_by_test_id("stMainBlockContainer")
    main.get_by_role("button", name="Stop", exact=True).click()
    other = tab.page.get_by_role("button", name="Predict the other")
    other.wait_for()
    tab.settle()
    assert 0 < int(other.inner_text().split()[-4]) < 398  # of 398 images

    before = tab.page.url
    tab.page.get_by_role("tab", name="Every image").click()
    table = tab.page.get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    tab.page.mouse.click(box["x"] + 12, box["y"] + 35 * 3 + 17)  # the third row's own box
    tab.settle()
    assert tab.page.url != before
    assert "image=" in tab.page.url
    assert "view=one" in tab.page.url

    tab.page.get_by_role("button", name="Add yours").click()
    tab.page.get_by_text("Use the camera").click()
    tab.page.wait_for_function("() => document.querySelector('video')?.videoWidth > 0")
    tab.page.get_by_role("button", name="Take Photo").click()
    tab.page.get_by_text("1 of 1").wait_for()
    tab.settle()
    assert "set=My+images" in tab.page.url
    assert tab.errors == []
