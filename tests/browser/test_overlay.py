"""Ten runs of 200 epochs, ticked in the list: Chromium draws every line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import Tab
from tests.runs_on_disk import write_runs
from tlcore.settings import Settings
from tlcore.training.lifecycle import delete_run

RUNS = 10
# The points of each line as the browser has drawn them.
LINES = """() => [...document.querySelectorAll('.st-key-overlay .scatterlayer .trace')]
    .map(line => (line.querySelector('path.js-line')?.getAttribute('d') ?? '').split(/[ML]/).length
        - 1)"""

LOOKS = """() => [...document.querySelectorAll('.st-key-overlay .legend .traces path.js-line')]
    .map(line => line.style.stroke + line.style.strokeDasharray)"""


@pytest.fixture
def ten(real: Settings) -> Iterator[list[str]]:
    runs = write_runs(RUNS, real)
    yield runs
    for run in runs:
        delete_run(run, real)


def test_ten_runs_of_200_epochs(tab: Tab, ten: list[str]) -> None:
    tab.open("/Fine_tune")
    tab.page.get_by_text("All runs (").click()
    tab.page.get_by_placeholder("name, tag, note").fill("Drawn sample MobileNetV2")
    tab.page.keyboard.press("Enter")
    tab.settle()
    table = tab.page.locator("[data-testid=stDataFrame]").last
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    tab.page.mouse.click(box["x"] + 20, box["y"] + 18)  # the box that ticks all rows
    tab.page.wait_for_function(f"() => ({LINES})().length == {2 * RUNS}")
    assert min(tab.page.evaluate(LINES)) > 2  # Plotly leaves out points on a straight line
    assert len(set(tab.page.evaluate(LOOKS))) == RUNS
    assert tab.errors == []
