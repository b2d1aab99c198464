"""What a finished run offers: the same recipe once more, and the same head on every backbone."""

from __future__ import annotations

from pathlib import Path

from tests.browser.conftest import Tab, until
from tests.pictures import write_patches
from tests.review.conftest import trained
from tlcore.images.importing import import_set
from tlcore.images.sources import from_folder
from tlcore.networks.weights import ready
from tlcore.runs.config import RunConfig
from tlcore.runs.store import FINISHED, list_runs, run_info
from tlcore.settings import Settings


def test_run_again_and_the_leaderboard(tab: Tab, real: Settings, tmp_path: Path) -> None:
    import_set("patches", from_folder(write_patches(tmp_path / "set")), real)
    recipe = RunConfig(
        "patches", backbone="MobileNet-0.25", size=64, epochs=3, learning_rate=0.01, seed=7,
        batch_size=4, dropout=0.1,
    )  # fmt: skip
    first = trained(recipe, real)

    tab.open(f"/Fine_tune?run={first}")
    tab.press("Run again")
    tab.page.get_by_role("button", name="Start learning").click()
    tab.page.wait_for_url("**run=*")
    again = tab.page.url.split("run=")[1].split("&")[0]
    until(lambda: run_info(again, real).state == FINISHED)
    assert again != first
    assert run_info(again, real).config == recipe

    tab.open(f"/Fine_tune?run={first}")
    tab.page.get_by_text("Ask more of these features").click()
    tab.press("Which backbone?")
    others = {row.backbone.name for row in ready(real) if row.no_top} - {recipe.backbone}

    def board() -> dict[str, str]:
        return {
            info.config.backbone: info.state
            for info in list_runs(real)
            if info.notes.tags == ("leaderboard",)
        }

    until(lambda: board() == dict.fromkeys(others, FINISHED))
    tab.page.get_by_text("leaderboard", exact=True).nth(len(others) - 1).wait_for()
    assert tab.errors == []
