"""The whole story in a real browser: real images, real weights, a real run."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

from tests.browser.conftest import Tab, playwright, until
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.datasets.store import load_dataset
from tlcore.settings import Settings
from tlcore.training.store import list_runs

LONG = "1000"  # epochs: one image a batch, so that there is a middle to interrupt


def points(tab: Tab) -> int:
    """Epochs drawn on the first chart."""
    return (
        tab.page.locator(".js-plotly-plot")
        .first.locator(".trace")
        .first.locator(".points path")
        .count()
    )


def open_import_form(tab: Tab) -> None:
    """Open the form beside the datasets; without a dataset it is open."""
    button = tab.page.get_by_role("button", name="Add images")
    if button.count():
        button.click()
        tab.settle()


def start_run(tab: Tab, epochs: str) -> str:
    """Start a run on the sample with a double click, and return its id."""
    tab.open("/Fine_tune")
    tab.choose("Dataset", "Drawn sample")
    tab.choose("Input size", "96 × 96")
    tab.fill("Epochs", epochs)
    tab.page.get_by_text("Advanced options").click()
    tab.fill("Batch size", "1")
    tab.page.get_by_role("button", name="Start", exact=True).dblclick()
    tab.page.wait_for_url("**run=*")
    return tab.page.url.split("run=")[1].split("&")[0]


def stop_unless_over(tab: Tab, settings: Settings) -> None:
    """Click Stop; on a busy machine the run may come to its end before the click."""
    try:
        tab.page.get_by_role("button", name="Stop").click(timeout=30_000)
    except playwright.TimeoutError:
        assert not list_runs(settings)[0].active


def test_one_back_leaves_a_page_and_a_deep_link_restores_it(tab: Tab, real: Settings) -> None:
    page = tab.page
    tab.open("/")
    start = page.evaluate("history.length")
    tab.go("Upload")
    tab.page.locator("[data-testid=stButtonGroup] button", has_text="Splits").click()
    tab.settle()
    tab.go("Compare")
    tab.choose("Dataset", "Drawn sample")
    for _ in range(3):
        tab.press("Next image")
    page.get_by_text("4 of 208").wait_for()
    strip = page.locator(".st-key-strip [data-id]")
    strip.nth(5).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_text("7 of 208").wait_for()
    page.mouse.click(2, 300)  # the focus is nowhere: ← and → go from image to image
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.get_by_text("9 of 208").wait_for()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    page.get_by_text("7 of 208").wait_for()
    tab.settle()
    address = page.url
    assert page.evaluate("history.length") == start + 2
    page.go_back()
    page.wait_for_url("**/Upload?*view=splits*")
    tab.settle()
    assert page.get_by_text("Validation, % of each class").count()
    page.go_forward()
    page.get_by_text("7 of 208").wait_for()
    assert page.url == address
    tab.open(address.removeprefix(tab.server.url))
    page.get_by_text("7 of 208").wait_for()
    assert page.url == address
    assert tab.errors == []


def test_photographs_to_answers_and_maps(
    tab: Tab, photos: list[Path], real: Settings, tmp_path: Path
) -> None:
    bad = tmp_path / "holiday.jpg"
    bad.write_bytes(photos[0].read_bytes()[:5000])
    tab.open("/")
    tab.press("Upload your images")  # its form is open, beside whatever datasets there are
    tab.page.locator("input[type=file]").set_input_files([*map(str, photos[:6]), str(bad)])
    tab.page.get_by_role("textbox", name="Name", exact=True).fill("Six images")
    tab.page.get_by_role("textbox", name="Name", exact=True).blur()
    tab.press("Import")
    tab.page.get_by_text("1 file could not be used").wait_for()
    assert tab.page.get_by_text("holiday.jpg").count()
    assert len(load_dataset("Six images", real).samples) == 6

    tab.go("Compare")
    first = load_dataset("Six images", real).samples[0]
    truth = first.file.split("_", 1)[1].removesuffix(".JPEG").replace("_", " ")
    chart = tab.page.locator(".js-plotly-plot").first
    chart.get_by_text(truth).wait_for()
    tab.page.locator(".st-key-strip [data-id]").nth(2).click()
    tab.page.get_by_text("3 of 6").wait_for()
    tab.settle()
    address = tab.page.url

    tab.go("Feature maps")
    third = sorted(sample.file for sample in load_dataset("Six images", real).samples)[2]
    tab.page.locator(f".st-key-maps-image img[alt='{third}']").wait_for()  # the same image
    maps = tab.page.locator(".maps span")
    assert maps.count() == 32
    before = maps.first.evaluate("tile => getComputedStyle(tile).backgroundImage")
    tab.page.get_by_role("button", name="Next layer").click()
    tab.settle()
    assert maps.count() == 32
    assert maps.first.evaluate("tile => getComputedStyle(tile).backgroundImage") != before
    tab.page.keyboard.press("n")
    tab.page.get_by_text("Layer 6 of 154").wait_for()
    maps.nth(6).click()
    tab.page.wait_for_url("**channel=*")
    tab.page.get_by_role("button", name="Find the images").click()
    tab.page.get_by_text(re.compile("[Hh]ighest value")).wait_for()  # of one, or of several
    tab.settle()
    tab.page.locator(".depth i").nth(100).click()
    tab.page.get_by_text("Layer 101 of 154").wait_for()
    tab.settle()

    tab.open(address.removeprefix(tab.server.url))  # a new session: the link restores it all
    tab.page.get_by_text("3 of 6").wait_for()
    assert tab.errors == []


def test_a_run_from_start_to_its_head(tab: Tab, real: Settings) -> None:
    before = {info.id for info in list_runs(real)}
    run = start_run(tab, LONG)
    until(lambda: points(tab) > 0)
    seen = points(tab)
    until(lambda: points(tab) > seen)
    assert {info.id for info in list_runs(real)} - before == {run}  # a double click is one run

    tab.page.reload()
    until(lambda: points(tab) > seen)
    tab.server.stop(kill=True)
    tab.server.start()  # the run has gone on meanwhile
    tab.page.goto("about:blank")
    tab.errors.clear()  # the browser complained that the server was gone, and rightly
    tab.open(f"/Fine_tune?run={run}")
    seen = points(tab)
    until(lambda: points(tab) > seen or not list_runs(real)[0].active)

    stop_unless_over(tab, real)
    tab.page.get_by_text("See it in Compare").wait_for()
    tab.page.get_by_text("See it in Compare").click()
    tab.page.wait_for_url("**/Compare**")
    tab.page.locator(".js-plotly-plot").nth(1).get_by_text("sailboat").wait_for()
    tab.settle()
    assert load_dataset(SAMPLE_NAME, real)
    assert tab.errors == []


def test_a_killed_run_is_shown_as_failed_with_its_reason(tab: Tab, real: Settings) -> None:
    run = start_run(tab, LONG)
    until(lambda: points(tab) > 0)
    process = json.loads((real.runs / run / "process.json").read_text())
    os.killpg(process["group"], signal.SIGKILL)
    tab.page.get_by_text("process was killed").wait_for()  # a page at work looks every second
    tab.settle()
    assert tab.errors == []
