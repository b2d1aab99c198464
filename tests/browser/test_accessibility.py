"""No critical or serious violation by axe-core on the five pages, in light and in dark."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import pytest

from tests.browser.conftest import Server, Tab, playwright
from tlcore.datasets.sample_dataset import ensure_sample

PATHS = ("/", "/Upload", "/Compare", "/Compare?view=many", "/Feature_maps", "/Fine_tune")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_shuts_anybody_out(
    chromium: playwright.Browser, server: Server, theme: str
) -> None:
    spec = util.find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-playwright-python, which brings axe-core's script, is not installed")
    script = Path(spec.origin).with_name("axe.min.js").read_text()
    ensure_sample(server.settings)
    context = chromium.new_context(viewport={"width": 1400, "height": 1000}, color_scheme=theme)
    tab, found = Tab(context.new_page(), server), []
    for path in PATHS:
        tab.open(path)
        tab.page.evaluate(script)
        for each in tab.page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]:
            if each["impact"] in ("critical", "serious"):
                found.append((path, each["id"], [node["html"][:120] for node in each["nodes"]]))
    context.close()
    assert found == []
