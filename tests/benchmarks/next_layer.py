"""From the click on "Next layer" to the new grid on screen, beside an empty page's rerun.

    python -m tests.benchmarks.next_layer URL EMPTY_URL

URL is a running dashboard's Feature maps page on a dataset, EMPTY_URL a running page that holds a
button and, under it, how often it was clicked (EMPTY below). Both are measured in the same
browser: from the click until the new content has been drawn (two frames after it is in the page).
Warm means that the network is loaded and each layer has been compiled, on the first image of the
set; what is measured is the second image, of which nothing is known yet.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS

EMPTY = """
import streamlit as st
st.session_state.n = st.session_state.get("n", 0) + 1
st.button("Next layer")
st.html(f'<i id="shown" data-n="{st.session_state.n}">{st.session_state.n}</i>')
"""
SWITCHES = 40
CLICK = """
([watched]) => new Promise((done) => {
  const button = [...document.querySelectorAll('button')]
    .find((found) => found.innerText.includes('Next layer'));
  const state = () => document.querySelector(watched)?.outerHTML;
  const before = state();
  const start = performance.now();
  const look = () => {
    const now = state();
    if (now && now !== before) requestAnimationFrame(() => requestAnimationFrame(
      () => done(performance.now() - start)));
    else requestAnimationFrame(look);
  };
  button.click();
  look();
})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of the Feature maps page")
    parser.add_argument("empty_url", help="of a page that runs EMPTY")
    args = parser.parse_args()
    url, empty = args.url, args.empty_url
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        report("an empty page's rerun", times(page, empty, "#shown"))
        report("the next layer, not warm", times(page, url, ".maps-main"))
        report("the next layer", times(page, second_image(page, url), ".maps-main"))
        report("an empty page's rerun", times(page, empty, "#shown"))
        browser.close()


def second_image(page: Page, url: str) -> str:
    """Return the address of the same page with the image behind."""
    page.goto(url)
    page.locator(".maps-main").wait_for(state="attached", timeout=60_000)
    first = page.url
    page.get_by_role("button", name="Next image", exact=True).click()
    page.wait_for_url(lambda now: now != first)
    return page.url


def times(page: Page, url: str, watched: str) -> list[float]:
    """Return the milliseconds of each switch."""
    page.goto(url)
    page.locator(watched).wait_for(state="attached", timeout=60_000)
    page.wait_for_timeout(2000)
    found = []
    for _ in range(SWITCHES):
        found.append(page.evaluate(CLICK, [watched]))
        page.wait_for_timeout(150)
    return found


def report(what: str, found: list[float]) -> None:
    middle, worst = statistics.median(found), max(found)
    sys.stdout.write(f"{what}: median {middle:.0f} ms, worst {worst:.0f} ms of {len(found)}\n")


if __name__ == "__main__":
    main()
