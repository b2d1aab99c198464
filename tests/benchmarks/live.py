"""How soon a run's curve is on the page, and how soon Stop stops it. By hand:

    python -m tests.benchmarks.live FOLDER

A real server and a real Chromium with 1 page and with 10 pages open on one run: the time from the
end of an epoch, as the run wrote it down, to the moment at which each page's chart has its point;
every point counts, also one that comes together with the next.
Then a run is stopped in its head stage and one in its top blocks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS, Server
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import start_run, stop_run
from tlcore.training.store import load_run, load_run_info

# In the page itself, so that looking at one page does not wait for another: when each number of
# points was first on the chart, in ms since 1970.
RECORDER = """() => { window.seen = []; setInterval(() => {
    const plot = document.querySelector('.js-plotly-plot');
    const lines = plot && plot.data ? plot.data : [];
    const points = Math.max(0, ...lines.map(line => line.x ? line.x.length : 0));
    while (window.seen.length < points) window.seen.push(Date.now());
}, 20); }"""
WATCHED = 20  # points of each page
SOON = 2.0  # s
LIMIT = 120.0  # s for a page to open, and for all points


def main() -> None:
    """Print the delays of every epoch, in seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    config = RunConfig(str(args.folder.resolve()), size=160, epochs=2, fine_tune_epochs=500)
    with tempfile.TemporaryDirectory() as home:
        settings = replace(Settings.from_environment(), home=Path(home))
        server = Server(settings, Path(home) / "server.log")
        server.start()
        try:
            for pages in (1, 10):
                found = watched(server, config, pages)
                late = sum(delay > SOON for delay in found)
                sys.stdout.write(
                    f"{pages:2} pages: median {median(found):.2f} s, longest {max(found):.2f} s; "
                    f"{late} of {len(found)} points later than {SOON:g} s\n"
                )
        finally:
            server.stop()
        for stage, long in (("head", replace(config, epochs=1_000)), ("fine-tune", config)):
            sys.stdout.write(f"Stop in {stage}: {stopped(long, stage, settings):.2f} s\n")


def watched(server: Server, config: RunConfig, pages: int) -> list[float]:
    """Start a run, look at it from so many pages, and return each point's delay on each page."""
    run, process = start_run(config, server.settings)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        tabs = [browser.new_page() for _ in range(pages)]
        for tab in tabs:  # one after the other, as people come
            tab.goto(f"{server.url}/Fine_tune?run={run}", wait_until="commit", timeout=LIMIT * 1000)
            tab.evaluate(RECORDER)
            _until_drawn(tab, 1)
        drawn = [len(tab.evaluate("window.seen")) for tab in tabs]
        for tab, points in zip(tabs, drawn, strict=True):
            _until_drawn(tab, points + WATCHED)
        shown = [tab.evaluate("window.seen") for tab in tabs]
        browser.close()
    stop_run(run, server.settings)
    process.wait()
    history = load_run(run, server.settings).history
    return [
        seen / 1000 - epoch.time
        for first, times in zip(drawn, shown, strict=True)
        for epoch, seen in zip(history[first:], times[first:], strict=False)
    ]


def _until_drawn(tab: Page, points: int) -> None:
    """Wait for so many points; a page takes its time to load, only what comes after that counts."""
    tab.wait_for_function(f"window.seen.length >= {points}", timeout=LIMIT * 1000, polling=200)


def stopped(config: RunConfig, stage: str, settings: Settings) -> float:
    """Return the seconds from the order to stop until the run's process has ended."""
    run, process = start_run(config, settings)
    while True:
        now = load_run(run, settings)
        if sum(epoch.stage == stage for epoch in now.history) > 1:
            break
        if not load_run_info(run, settings).active:
            raise SystemExit(f"The run ended before it could be stopped: {now.info.error}")
        time.sleep(0.05)
    began = time.perf_counter()
    stop_run(run, settings)
    process.wait()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
