"""The network as a map and the grid, by mouse and by keyboard alone."""

from __future__ import annotations

from tests.browser.conftest import Tab

BASE = "/Feature_maps?backbone=MobileNet-0.25&size=128"


def test_bars_and_tiles_by_mouse_and_keyboard(tab: Tab) -> None:
    tab.open(f"{BASE}&layer=conv_pw_3")
    page = tab.page
    bars = page.locator(".depth i")
    bars.first.wait_for()
    page.locator(".depth i[data-pick=conv_pw_5]").click()
    page.get_by_text("64 channels").first.wait_for()
    tab.settle()
    assert "layer=conv_pw_5" in page.url

    assert page.locator(".depth [tabindex='0']").count() == 1  # one stop for all bars
    bars.first.evaluate("bar => bar.focus()")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    last = bars.last.get_attribute("data-pick")
    page.wait_for_url(f"**layer={last}*")
    tab.settle()
    focused = "() => document.activeElement.dataset.pick"
    assert page.evaluate(focused) == last  # the focus stays where it was

    page.locator(".depth i[data-pick=conv_pw_5]").click()
    page.wait_for_url("**layer=conv_pw_5*")
    tab.settle()
    page.locator(".maps-main span").nth(2).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_text("Channel (of 64)").wait_for()
    tab.settle()
    assert "channel=4" in page.url
    assert page.evaluate(focused) == "4"
    assert page.locator(".maps-main").get_attribute("role") == "group"
    assert tab.errors == []


def test_a_click_on_a_map_or_kernel_stays_among_the_filters(tab: Tab) -> None:
    tab.open(f"{BASE}&layer=conv_pw_3&more=filters")
    page = tab.page
    page.locator(".maps-main span").nth(6).click()
    page.get_by_text("Kernel 7 of 32").wait_for()
    tab.settle()
    assert "more=filters" in page.url
    page.locator(".depth i[data-pick=conv1]").click()
    page.get_by_text("The kernels of conv1").wait_for()
    tab.settle()
    page.locator(".maps-filters span").nth(1).click()
    page.locator(".maps-filters span.chosen[data-pick='2']").wait_for()
    tab.settle()
    assert "more=filters" in page.url
    assert tab.errors == []
