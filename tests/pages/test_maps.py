"""What can be asked beyond the maps: each part opens and says what it must, in one session."""

from __future__ import annotations

from tests.pages.conftest import Opened, html_of, maps_of, texts
from tlcore.settings import Settings

PARTS = {
    "channel": "Strongest at row",
    "layers": "Click the box before a row",
    "numbers": "dead channels",
    "filters": "block_2_project",
    "before": "No run of your own yet",
    "images": "one scale for both images",
}


def test_each_part_opens(opened: Opened, lasting_workspace: Settings) -> None:
    at = opened("Feature maps")
    for more, words in PARTS.items():
        at.session_state["_chosen_more"] = more
        at.run()
        assert not at.exception, more
        assert not at.error, more
        assert words in texts(at), more


def test_a_link_restores_the_drawing_and_nonsense_does_no_harm(
    opened: Opened, lasting_workspace: Settings
) -> None:
    link = {"rows": "2", "columns": "4", "scale": "layer", "order": "max", "channel": "3"}
    at = opened("Feature maps", layer="block_5_add", more="channel", **link)
    assert maps_of(at).count('title="Channel ') == 8
    assert "all tiles run from" in texts(at)
    assert at.number_input(key="channel-number").value == 3
    assert 'class="box"' in html_of(at)
    for choice, nonsense in (("rows", "99"), ("order", "beauty"), ("channel", "99999")):
        at.session_state[f"_chosen_{choice}"] = nonsense
        at.run()
        assert not at.exception, choice
        assert not at.error, choice
