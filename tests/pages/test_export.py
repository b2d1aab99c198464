"""The Export view in every state of its jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.job_files import write_job
from tests.pages.conftest import Opened
from tests.runs_on_disk import write_network
from tlcore.settings import Settings
from tlcore.storage import lock_file
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.training.status import FinalStatus, write_final_status


@pytest.fixture
def run(empty_workspace: Settings) -> Path:
    """The folder of a run that has ended."""
    folder, lock = create_run(RunConfig("/nowhere", backbone="MobileNet-0.25"), empty_workspace)
    write_network(folder)
    write_final_status(folder, FinalStatus("finished", 12.0, 0.75))
    os.close(lock)
    return folder


def labels(at: AppTest) -> list[str]:
    assert not at.exception
    return [button.label for button in at.button]


def test_each_state_of_an_export(run: Path, empty_workspace: Settings, opened: Opened) -> None:
    at = opened("Fine-tune", run=run.name, view="export")
    assert {"Create report", "Create bundle"} <= set(labels(at))
    downloads = [button.proto.label for button in at.get("download_button")]
    assert downloads[:2] == ["Download model", "Epochs, CSV"]  # of the run's menu: the model first
    assert not list(run.glob("*.zip")) + list(run.glob("*.html"))  # nothing is made unasked
    folder = write_job(empty_workspace, f"{run.name}-zip", "running", 3, 10, "Writing LiteRT")
    with lock_file(folder / "job.lock"):
        at.run()
        assert [bar.proto.text for bar in at.get("progress")] == ["Writing LiteRT …"]
        assert "Create bundle" not in labels(at)
    write_job(empty_workspace, f"{run.name}-zip", "failed", 3, 10, "The disk is full.")
    at.run()
    assert any("The disk is full" in error.value for error in at.error)
    assert "Create bundle" in labels(at)
    (run / "report.html").write_text("<!doctype html>")
    assert "Update report" in labels(at.run())
    write_network(run)  # a file that is older than the model is not offered
    assert "Create report" in labels(at.run())
    assert "Update report" not in labels(at)
