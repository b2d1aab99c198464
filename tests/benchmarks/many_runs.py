"""What many runs cost: the list of 50 and of 500, and ten curves of 200 epochs over each other.

By hand; FOLDER is not needed:

    python -m tests.benchmarks.many_runs

The page is drawn by Streamlit's AppTest, the first time in a fresh process and then warm. The
overlay is drawn by a real server and a real Chromium: from the click that selects all runs
until all lines are there, with the longest task that kept the browser from answering meanwhile.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright
from streamlit.testing.v1 import AppTest

from tests.browser.conftest import FLAGS, Server, Tab
from tests.browser.test_overlay import LINES, RUNS
from tests.runs_on_disk import write_runs
from tlcore.settings import PROJECT, Settings
from tlcore.training.store import list_runs

TIMES = 5
WATCH = """() => { window.longest = 0;
    new PerformanceObserver(list => list.getEntries().forEach(task => {
        window.longest = Math.max(window.longest, task.duration); })
    ).observe({type: 'longtask'}); }"""


def main() -> None:
    """Print the seconds of the list and of the overlay."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings = replace(Settings.from_environment(), home=Path(home))
        os.environ.update(settings.to_environment())
        page()
        figures = []
        for more in (50, 450):
            write_runs(more, settings)
            first = page()
            began = time.perf_counter()
            list_runs(settings)
            listed = time.perf_counter() - began
            figures.append((listed, first, median(page() for _ in range(TIMES))))
    for count, (listed, first, warm) in zip((50, 500), figures, strict=True):
        sys.stdout.write(
            f"{count} runs: listed in {listed:.3f} s, the page first in {first:.2f} s, "
            f"then in {warm:.2f} s\n"
        )
    sys.stdout.write(f"{figures[1][2] / figures[0][2]:.2f} × warm\n")
    for drawn, longest in overlays():
        sys.stdout.write(f"{RUNS} curves: {drawn:.2f} s, longest task {longest:.0f} ms\n")


def page() -> float:
    """Return the seconds that the Fine-tune page takes."""
    began = time.perf_counter()
    at = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=90)
    at.switch_page("pages/4_Fine_tune.py")
    at.run()
    assert not at.exception
    return time.perf_counter() - began


def overlays() -> Iterator[tuple[float, float]]:
    """Yield, time after time, the seconds from the click that selects all runs until their curves
    are drawn, and the longest task in ms; tasks under 50 ms are not seen."""
    with tempfile.TemporaryDirectory() as home, _served(Path(home)) as server:
        write_runs(RUNS, server.settings)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            for _ in range(TIMES):
                tab = Tab(browser.new_page(viewport={"width": 1400, "height": 1000}), server)
                tab.open("/Fine_tune")
                yield _select_all(tab)
                tab.page.close()
            browser.close()


def _select_all(tab: Tab) -> tuple[float, float]:
    tab.page.get_by_text("All runs (").click()
    tab.settle()
    table = tab.page.locator("[data-testid=stDataFrame]").last
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    tab.page.evaluate(WATCH)
    began = time.perf_counter()
    tab.page.mouse.click(box["x"] + 20, box["y"] + 18)  # the box that ticks all rows
    tab.page.wait_for_function(f"() => ({LINES})().length == {2 * RUNS}")
    drawn = time.perf_counter() - began
    tab.page.wait_for_timeout(500)  # what still comes behind it
    return drawn, float(tab.page.evaluate("window.longest"))


@contextmanager
def _served(home: Path) -> Iterator[Server]:
    server = Server(replace(Settings.from_environment(), home=home / "home"), home / "server.log")
    server.start()
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    main()
