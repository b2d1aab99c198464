"""What can be asked beyond the maps: each part opens, and says what it must."""

from __future__ import annotations

import pytest

from tests.pages.conftest import Opened, html_of, maps_of, texts
from tlcore.settings import Settings


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("channel", "Strongest at row"),
        ("layers", "Click the box before a row"),
        ("numbers", "dead channels"),
        ("filters", "block_2_project"),
        ("before", "No run of your own yet"),
        ("images", "one scale for both pictures"),
    ],
)
def test_each_part_opens(more: str, words: str, opened: Opened, real_workspace: Settings) -> None:
    at = opened("Feature maps", more=more)
    assert not at.exception
    assert not at.error
    assert words in texts(at)


def test_a_link_restores_the_drawing(opened: Opened, real_workspace: Settings) -> None:
    link = {"rows": "2", "columns": "4", "scale": "layer", "order": "max", "channel": "3"}
    at = opened("Feature maps", layer="block_5_add", more="channel", **link)
    assert maps_of(at).count('title="Channel ') == 8
    assert "all tiles run from" in texts(at)
    assert at.number_input(key="channel-number").value == 3
    assert 'class="box"' in html_of(at)


@pytest.mark.parametrize("link", [{"rows": "99"}, {"order": "beauty"}, {"channel": "99999"}])
def test_a_link_to_nonsense_opens(
    link: dict[str, str], opened: Opened, real_workspace: Settings
) -> None:
    at = opened("Feature maps", more="channel", **link)
    assert not at.exception
    assert not at.error
