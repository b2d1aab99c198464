"""A stranger: from the first page to one picture, both answers, and why, clicks counted."""

from __future__ import annotations

from tests.browser.conftest import Tab

PATIENCE = 180_000  # ms: a head learns meanwhile, on a machine that may be busy


def test_from_home_to_both_answers_and_why_in_three_clicks(tab: Tab) -> None:
    clicks = 0

    def click(words: str) -> None:
        nonlocal clicks
        clicks += 1
        tab.page.get_by_role("button", name=words).or_(
            tab.page.get_by_role("radio", name=words)
        ).first.click()

    tab.page.set_default_timeout(PATIENCE)
    tab.open("/")
    click("Try it with the sample")
    tab.page.get_by_role("button", name="Teach it these 4 classes").wait_for()
    click("Teach it these 4 classes")
    charts = tab.page.locator(".js-plotly-plot")
    charts.nth(1).get_by_text("sailboat").wait_for()  # the head's own answer beside ImageNet's
    tab.settle()
    click("Why")
    tab.page.get_by_text("Grad-CAM of").nth(1).wait_for()
    tab.settle()
    assert tab.page.locator("img[alt^='Where the network looked']").count() == 2
    assert clicks == 3
    assert "view=why" in tab.page.url
    address = tab.page.url

    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.open(address.removeprefix(tab.server.url))  # a new session: the link restores it all
    tab.page.get_by_text("Grad-CAM of").nth(1).wait_for()
    wider = tab.page.evaluate(
        "() => { const main = document.querySelector('[data-testid=stMain]');"
        " return main.scrollWidth - main.clientWidth; }"
    )
    assert wider <= 0
    assert tab.errors == []
