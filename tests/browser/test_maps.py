"""Steps through layers by mouse and by keyboard alone, a link to a page of maps, a phone."""

from __future__ import annotations

import re

from tests.browser.conftest import Tab
from tests.browser.test_accessibility import SIDEWAYS
from tlcore.datasets.sample_dataset import SAMPLE_NAME

BASE = "/Feature_maps?backbone=MobileNet-0.25&size=128"
START = f"/Feature_maps?dataset={SAMPLE_NAME}"


def test_keys_clicks_and_a_link_lead_through_the_layers(tab: Tab) -> None:
    tab.open(START)
    tiles = tab.page.locator(".maps-main span")
    tiles.first.wait_for()
    tab.page.get_by_text("Layer 4 of 154").wait_for()  # Conv1_relu
    tab.page.locator(".depth i.chosen").wait_for(state="attached")
    for _ in range(10):  # faster than the page draws: each counts
        tab.page.keyboard.press("n")
    tab.page.get_by_text("Layer 14 of 154").wait_for()
    tab.page.keyboard.press("p")
    tab.page.get_by_text("Layer 13 of 154").wait_for()
    tab.settle()
    assert tab.page.locator(".depth i.chosen").count() == 1
    tab.press("Size and fit")  # both unfold in place and cover nothing
    tab.page.get_by_text("Display", exact=True).click()
    tab.page.locator(".st-key-select-order").wait_for()
    tab.settle()
    size, bars, maps, order = (
        tab.page.locator(place).first.bounding_box() or {}
        for place in (".st-key-size-and-fit", ".depth", ".maps-main", ".st-key-select-order")
    )
    assert size["y"] + size["height"] <= bars["y"]
    assert maps["y"] + maps["height"] <= order["y"]

    tab.page.locator(".depth i").nth(60).click()  # a layer of more channels than a page has tiles
    tab.page.wait_for_url("**layer=block_6_depthwise_relu&**")
    tab.settle()
    tab.page.get_by_role("button", name="Page 3", exact=True).click()  # of six pages
    tab.page.wait_for_url(re.compile("page=3"))
    tab.page.get_by_text("65–96 of 192 channels").wait_for()
    address = tab.page.url.removeprefix(tab.server.url)

    tab.open(address)  # in a session of its own
    tab.page.get_by_text("65–96 of 192 channels").wait_for()
    tiles.nth(1).click()
    tab.page.wait_for_url("**channel=*")
    tab.settle()
    number = tiles.nth(1).get_attribute("data-pick")
    assert f"channel={number}&" in tab.page.url + "&"
    tab.page.get_by_text(f"Channel {number} of 192").wait_for()
    assert tab.page.locator(".over .box").count() == 1
    assert tab.errors == []


def test_another_network_is_drawn_anew_though_its_layers_have_the_same_names(
    tab: Tab,
) -> None:
    tab.open(f"{START}&layer=block_2_add")
    bar = tab.page.locator(".depth i").nth(26)
    bar.wait_for(state="attached")
    tab.page.wait_for_function("() => document.querySelectorAll('.depth i').length > 100")
    assert "56 × 56 × 24" in (bar.get_attribute("title") or "")
    tab.open(f"{START}&layer=block_2_add&size=160")
    tab.page.get_by_text("40 × 40 pixels").wait_for()
    assert tab.page.locator(".depth i.chosen").count() == 1
    assert "40 × 40 × 24" in (bar.get_attribute("title") or "")


def test_on_a_phone_the_maps_begin_on_the_first_screen(tab: Tab) -> None:
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.open(START)
    tab.page.locator(".maps-main span").first.wait_for()
    tab.settle()
    box = tab.page.locator(".maps-main").bounding_box()
    assert box is not None
    assert box["y"] < 844 - 40
    assert box["width"] <= 390
    assert tab.page.evaluate(SIDEWAYS) <= 0
    assert tab.errors == []


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
    fourth = page.locator(".maps-main span").nth(3).get_attribute("data-pick")
    page.wait_for_url(f"**channel={fourth}*")
    page.get_by_text(f"Channel {fourth} of 64").wait_for()
    tab.settle()
    assert page.evaluate(focused) == fourth
    assert page.locator(".maps-main").get_attribute("role") == "group"
    assert tab.errors == []


def test_a_click_on_a_map_or_kernel_stays_among_the_filters(tab: Tab) -> None:
    tab.open(f"{BASE}&layer=conv_pw_3&more=filters&order=index")
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
