"""Weights: what is here, and a download seen from the page."""

from __future__ import annotations

import pytest

from tests.job_files import write_job
from tests.pages.conftest import Opened, texts
from tests.weight_files import write_stand_in
from tlcore.models.catalog import BACKBONES
from tlcore.models.weights import weights_file_name
from tlcore.settings import Settings
from tlcore.storage import lock_file
from tlcore.ui.components import weights


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of the commands that were to be started; none is."""
    started: list[list[str]] = []
    monkeypatch.setattr(
        weights, "start_job", lambda folder, arguments, settings: started.append(arguments)
    )
    return started


def test_home_names_what_is_here(opened: Opened, real_workspace: Settings) -> None:
    at = opened("Home")
    assert "MobileNetV2" in texts(at)
    at.session_state["more-backbones"] = True  # unfolded
    at.run().selectbox(key="to-download").set_value("Xception").run()
    assert "python -m tlcore weights fetch Xception" in texts(at)
    assert at.button(key="list-Xception").label == "Download"


def test_home_says_that_nothing_is_here(opened: Opened, workspace: Settings) -> None:
    at = opened("Home")
    assert f"{len(BACKBONES)} more backbones to download" in [box.label for box in at.expander]
    assert "None yet. Download some" in texts(at)


def test_download_starts_one_process_and_shows_how_far_it_is(
    opened: Opened, workspace: Settings, commands: list[list[str]]
) -> None:
    at = opened("Compare")
    at.button(key="offer-MobileNetV2").click().run()
    assert not at.exception
    assert len(commands) == 1
    assert commands[0] == ["weights", "fetch", "MobileNetV2"]
    folder = write_job(workspace, "weights-MobileNetV2", "running", 7 << 20, 14 << 20, "x.h5")
    with lock_file(folder / "job.lock"):
        at.run()
        assert "7.0 MB of 14 MB" in str(at.get("progress")[0].proto)


def test_a_failed_download_says_why_and_can_be_tried_again(
    opened: Opened, workspace: Settings
) -> None:
    write_job(workspace, "weights-MobileNetV2", "failed", 0, None, "The network does not answer.")
    at = opened("Compare")
    assert "The network does not answer." in texts(at)
    assert at.button(key="offer-MobileNetV2")
    files = at.code[0].value.split()  # to be copied and brought from elsewhere
    assert [file.rpartition("/")[2] for file in files] == [
        weights_file_name(BACKBONES["MobileNetV2"], 224, top=top) for top in (True, False)
    ]
    assert str(workspace.weights) in texts(at)


@pytest.mark.parametrize(
    ("name", "top", "also"),
    [
        ("Home", True, True),
        ("Compare", True, True),
        ("Feature maps", False, False),
        ("Fine-tune", False, True),
    ],
)
def test_a_file_that_was_cut_short_is_named_and_can_be_downloaded_again(
    name: str,
    top: bool,
    also: bool,
    opened: Opened,
    workspace: Settings,
    commands: list[list[str]],
) -> None:
    row = BACKBONES["MobileNetV2"]
    cut = write_stand_in(workspace, row, 224, top=top)
    cut.write_bytes(cut.read_bytes()[:100_000])
    if also:  # the other of the two files is whole
        write_stand_in(workspace, row, 224, top=not top)
    at = opened(name)
    assert not at.exception
    assert not at.error
    [warning] = [each.value for each in at.warning if "are damaged" in each.value]
    assert f"The file {cut.name}" in warning.replace("\\", "")
    assert "it was cut short, 100,000 of " in warning
    if name == "Home":
        assert "None yet. Download some" in texts(at)
    next(button for button in at.button if button.label == "Download again").click().run()
    assert commands[0] == ["weights", "fetch", "MobileNetV2"]
