"""Ten runs of 200 epochs laid over each other in Chromium: every line is drawn."""

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
    tab.open(f"/Fine_tune?run={ten[0]}")
    choose_all(tab, ten)
    tab.page.wait_for_function(f"() => ({LINES})().length == {2 * RUNS}")
    drawn = tab.page.evaluate(LINES)
    assert min(drawn) > 2  # Plotly leaves out points that lie on a straight line
    assert len(set(tab.page.evaluate(LOOKS))) == RUNS
    assert tab.errors == []


def choose_all(tab: Tab, runs: list[str]) -> None:
    """Choose runs to compare, one after the other; the first one is chosen already."""
    tab.page.get_by_text("Compare runs").click()
    box = tab.page.get_by_role("combobox", name="Runs")
    for run in runs[1:]:
        box.click()
        box.press_sequentially(run[4:])
        tab.page.get_by_role("option").first.wait_for()
        box.press("Enter")
    tab.settle()
