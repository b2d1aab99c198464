"""A disk that is full or read-only, for real: everybody is told in words, and nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.running import CRASHED, refusals
from tests.images import write_patches
from tests.small_disk import fill, free, make_read_only
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, Event
from tlcore.training.lifecycle import create_run, prepare_resume, start_run
from tlcore.training.status import FAILED, FINISHED
from tlcore.training.store import list_runs, load_run
from tlcore.training.worker import execute_run

SMALL = {"backbone": "MobileNet-0.25", "size": 32, "random_weights": True, "batch_size": 4}
SET = "patches"


@pytest.fixture
def small(disk: Path, tmp_path: Path) -> Settings:
    """A workspace on that disk, with a set."""
    settings = Settings(home=disk / "home", keras_home=tmp_path)
    import_dataset(
        SET, incoming_from_folder(write_patches(tmp_path / "set", classes=2, each=6)), settings
    )
    return settings


def trained(
    settings: Settings, config: RunConfig, emit: Callable[[Event], None] = lambda _: None
) -> str:
    folder, lock = create_run(config, settings)
    try:
        execute_run(folder, settings, emit=emit)
    finally:
        os.close(lock)
    return folder.name


def resumed(run: str, settings: Settings) -> None:
    folder, lock = prepare_resume(run, settings)
    try:
        execute_run(folder, settings)
    finally:
        os.close(lock)


def test_a_run_whose_disk_fills_up_says_so_and_goes_on_when_there_is_room(
    small: Settings, disk: Path
) -> None:
    config = RunConfig(SET, epochs=6, **SMALL)
    whole = load_run(trained(small, config), small).history

    def fill_in_epoch_3(event: Event) -> None:
        if isinstance(event, Epoch) and event.epoch == 3:
            fill(disk)

    run = trained(small, config, fill_in_epoch_3)
    info = load_run(run, small).info
    assert info.status == FAILED
    assert info.error.startswith("The run could not save its files. The disk is full.")
    assert "Resume it: it continues from its last checkpoint." in info.error
    assert "memory" not in info.error
    [(status, said)] = refusals(small, [("train", "--resume", run)])
    assert (status, said.split(".")[:2]) == (
        1,
        ["The run could not be resumed", " The disk is full"],
    )
    free(disk)
    resumed(run, small)
    found = load_run(run, small)
    assert (found.info.status, found.info.error) == (FINISHED, "")
    assert [epoch.val_loss for epoch in found.history] == [epoch.val_loss for epoch in whole]
    assert not [path for path in found.info.folder.iterdir() if path.name.startswith(".")]


def test_a_run_whose_disk_becomes_read_only_says_so(small: Settings, disk: Path) -> None:
    def lock_the_disk(event: Event) -> None:
        if isinstance(event, Epoch):
            make_read_only(disk)

    with pytest.raises(OSError, match="Read-only"):
        trained(small, RunConfig(SET, epochs=2, **SMALL), lock_the_disk)
    [info] = list_runs(small)
    assert info.status == FAILED
    assert info.error.startswith("The disk is read-only, so that the run could not save anything.")


def test_a_run_that_cannot_be_started_leaves_nothing(small: Settings, disk: Path) -> None:
    config = RunConfig(SET, epochs=1, **SMALL)
    small.runs.mkdir()
    fill(disk)
    [(status, said)] = refusals(
        small, [("train", SET, "--backbone", "MobileNet-0.25", "--random-weights")]
    )
    assert status == 1
    assert said.startswith("The run could not be started. The disk is full.")
    with pytest.raises(Exception, match=r"The run could not be started\. The disk is full\."):
        start_run(config, small)
    assert list(small.runs.glob("[!.]*")) == []
    (small.runs / ".import-0").mkdir()  # of one that was killed as it was made
    free(disk)
    run = trained(small, config)
    assert [path.name for path in small.runs.glob("[!.]*")] == [run]
    assert not list(small.runs.glob(".import*"))


@pytest.mark.parametrize("fault", [fill, pytest.param(make_read_only, marks=pytest.mark.full)])
def test_every_command_says_it_in_words(
    fault: Callable[[Path], None], small: Settings, disk: Path, tmp_path: Path
) -> None:
    run = trained(small, RunConfig(SET, epochs=1, **SMALL))
    before = sorted(path for path in small.datasets.rglob("*") if path.is_file())
    fault(disk)
    writing = [
        ("dataset", "import", tmp_path / "set", "--name", "new"),
        ("dataset", "import", tmp_path / "set", "--name", SET, "--add", "--label", "more"),
        ("dataset", "split", SET, "--seed", "5", "--redo"),
        ("dataset", "export", SET, disk / "set.zip"),
        ("train", SET, "--backbone", "MobileNet-0.25", "--size", "32", "--random-weights"),
        ("runs", "report", run, disk / "report.html"),
        ("runs", "export", run, disk / "bundle.zip"),
        ("runs", "script", run, disk / "script.py"),
        ("predict", next((tmp_path / "set" / "blue").iterdir()), "--run", run, "--csv",
         disk / "table.csv"),
    ]  # fmt: skip
    reading = [
        ("dataset", "list"), ("dataset", "show", SET), ("dataset", "doctor", SET), ("runs",),
        ("runs", "show", run), ("runs", "evaluate", run),
    ]  # fmt: skip
    told = refusals(small, [*writing, *reading])
    cause = "The disk is full." if fault is fill else "read-only"
    for line, (status, said) in zip(writing, told, strict=False):
        assert status in (1, 2), (line, said)
        assert cause in said or line[:2] == ("dataset", "import"), (line, said)
        assert "Traceback" not in said, said
    for line, (status, said) in zip(reading, told[len(writing) :], strict=True):
        assert status != CRASHED, (line, said)
        assert "Traceback" not in said, said
    assert sorted(path for path in small.datasets.rglob("*") if path.is_file()) == before
    assert {path.name for path in disk.iterdir()} - {"filler"} == {"home"}
