"""The Export view in every state of its jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exports.conftest import trained
from tests.images import write_patches
from tests.job_files import write_job
from tests.pages.conftest import Opened
from tests.runs_on_disk import write_network
from tlcore.locks import lock_file
from tlcore.settings import Settings
from tlcore.training.config import RunConfig


@pytest.fixture
def run(empty_workspace: Settings, tmp_path: Path) -> Path:
    """A run's folder."""
    data = write_patches(tmp_path / "set", classes=2)
    options = {"backbone": "MobileNet-0.25", "size": 32, "random_weights": True}
    return empty_workspace.runs / trained(
        RunConfig(str(data), epochs=1, **options), empty_workspace
    )


def labels(at: object) -> list[str]:
    return [button.label for button in at.button]  # type: ignore[attr-defined]


def test_nothing_is_made_before_it_is_asked_for(run: Path, opened: Opened) -> None:
    at = opened("Fine-tune", run=run.name, view="export")
    assert not at.exception
    assert {"Create report", "Create bundle"} <= set(labels(at))
    assert not list(run.glob("*.zip")) + list(run.glob("*.html"))


def test_one_that_is_being_made_shows_how_far_it_is(
    run: Path, empty_workspace: Settings, opened: Opened
) -> None:
    folder = write_job(empty_workspace, f"{run.name}-zip", "running", 3, 10, "Writing LiteRT")
    with lock_file(folder / "job.lock"):
        at = opened("Fine-tune", run=run.name, view="export")
        assert not at.exception
        assert [bar.proto.text for bar in at.get("progress")] == ["Writing LiteRT …"]
        assert "Create bundle" not in labels(at)


def test_a_failure_is_said_and_can_be_tried_again(
    run: Path, empty_workspace: Settings, opened: Opened
) -> None:
    write_job(empty_workspace, f"{run.name}-zip", "failed", 3, 10, "The disk is full.")
    at = opened("Fine-tune", run=run.name, view="export")
    assert any("The disk is full" in error.value for error in at.error)
    assert "Create bundle" in labels(at)


def test_a_file_older_than_the_network_is_not_offered(run: Path, opened: Opened) -> None:
    (run / "report.html").write_text("<!doctype html>")
    at = opened("Fine-tune", run=run.name, view="export")
    assert "Update report" in labels(at)
    write_network(run)
    at = opened("Fine-tune", run=run.name, view="export")
    assert "Update report" not in labels(at)
    assert "Create report" in labels(at)
