"""The first page of a fresh server beside that of ``streamlit hello``. By hand:

    python -m tests.benchmarks.first_page [--pairs 5]

Each pair starts both servers one after the other, with five runs on our Home, and opens the page in
a Chromium that has nothing cached. Two clocks end when the last words of the page stand in it (that
of Streamlit goes on importing behind them): one begins with the server's process, one when the
server answers and the page is asked for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import FLAGS, Server
from tests.runs_on_disk import write_runs
from tlcore.settings import Settings

COMPLETE = "words => document.querySelector('[data-testid=stMain]')?.innerText.includes(words)"


class Hello(Server):
    """Streamlit's own example."""

    program = ("hello",)


# the last words of each page
SERVERS = {Server: "All 5 runs", Hello: "See more complex demos"}


def main() -> None:
    """Print the medians of both clocks of both servers, and those of the pairs' ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as home, sync_playwright() as driver:
        settings = replace(Settings.from_environment(), home=Path(home) / "home")
        write_runs(5, settings)
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        spent: dict[type[Server], list[tuple[float, float]]] = {kind: [] for kind in SERVERS}
        for number in range(pairs + 1):  # the first pair reads the files from the disk
            for kind, words in SERVERS.items():
                clocks = first_page(kind(settings, Path(home) / "server.log"), browser, words)
                if number:
                    spent[kind].append(clocks)
    for place, clock in enumerate(("from the server's start", "from the request")):
        ours, hello = ([pair[place] for pair in spent[kind]] for kind in SERVERS)
        ratios = [one / other for one, other in zip(ours, hello, strict=True)]
        sys.stdout.write(
            f"{clock}: {median(ours):.2f} s, hello {median(hello):.2f} s, "
            f"{median(ratios):.2f} × ({min(ratios):.2f} to {max(ratios):.2f})\n"
        )


def first_page(server: Server, browser: Browser, words: str) -> tuple[float, float]:
    """Return the seconds from the server's start, and from the request, to the whole page."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    began = time.perf_counter()
    server.start()
    asked = time.perf_counter()
    page.goto(server.url, wait_until="commit")
    page.wait_for_function(COMPLETE, arg=words, polling=20)
    done = time.perf_counter()
    context.close()
    server.stop()
    return done - began, done - asked


if __name__ == "__main__":
    main()
