"""Take README's images afresh: ``python -m tests.browser.screenshots``.

They show the drawn sample, so that no one's images stand in the repository.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import FLAGS, Server, Tab
from tests.conftest import SHARED
from tlcore.datasets.sample_dataset import SAMPLE_NAME, ensure_sample
from tlcore.settings import PROJECT, Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import start_run

FOLDER = PROJECT / ".docs"
SIZE = {"width": 1280, "height": 860}


def main() -> None:
    """Prepare a workspace with the sample and a run on it, then look at every page."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), keras_home=SHARED / "keras")
        ensure_sample(settings)
        run, process = start_run(
            RunConfig(SAMPLE_NAME, size=160, epochs=12, fine_tune_epochs=4), settings
        )
        process.wait()
        server = Server(settings, Path(home) / "server.log")
        server.start()
        try:
            _look(server, run)
        finally:
            server.stop()


def _look(server: Server, run: str) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        tab = Tab(browser.new_context(viewport=SIZE, color_scheme="light").new_page(), server)
        for name, path in {
            "upload": f"/Upload?dataset={SAMPLE_NAME}",
            "compare": f"/Compare?dataset={SAMPLE_NAME}&run={run}",
            "feature_maps": f"/Feature_maps?dataset={SAMPLE_NAME}",
            "fine_tune": f"/Fine_tune?run={run}",
        }.items():
            tab.open(path)
            tab.page.wait_for_timeout(4000)  # for the last image to be drawn
            tab.page.screenshot(path=FOLDER / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
