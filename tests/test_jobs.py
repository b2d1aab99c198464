"""Jobs: real processes that are started, watched, killed and cancelled."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tlcore import jobs
from tlcore.errors import BadDataset
from tlcore.jobs import (
    CANCELLED,
    FAILED,
    FINISHED,
    Job,
    cancel_job,
    read_job,
    report_job,
    start_job,
)
from tlcore.settings import PROJECT, Settings

WAIT = 20.0  # s


def run_command() -> None:
    """The command of these jobs: ``python -m tests.test_jobs MODE FOLDER --progress-file FILE``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--progress-file", type=Path)
    args = parser.parse_args()
    if args.mode == "stubborn":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    with report_job(args.progress_file) as report, tempfile.TemporaryDirectory(dir=args.folder):
        with (args.folder / "pids").open("a") as file:
            file.write(f"{os.getpid()}\n")
        report(1, 4, "Waiting")
        while not (args.folder / "go").exists():
            time.sleep(0.01)
        if args.mode == "refuse":
            raise BadDataset("The dataset is gone. Choose another one.")
        if args.mode == "crash":
            raise ZeroDivisionError("division by zero")
        report(4, 4, "Writing")


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def state(folder: Path) -> Job:
    job = read_job(folder)
    assert job is not None
    return job


def start(folder: Path, settings: Settings, mode: str = "wait") -> Job:
    return start_job(folder, [mode, str(folder)], settings, module="tests.test_jobs")


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.jobs / "a job"


def pids(folder: Path) -> list[int]:
    """The processes that have begun to work."""
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_progress_and_end(folder: Path, settings: Settings) -> None:
    assert read_job(folder) is None
    assert start(folder, settings).is_running
    wait_until(lambda: state(folder).message == "Waiting")
    assert state(folder) == Job("running", 1, 4, "Waiting")
    assert state(folder).fraction == 0.25
    (folder / "go").touch()
    wait_until(lambda: not state(folder).is_running)
    assert state(folder) == Job(FINISHED, 4, 4)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("refuse", "The dataset is gone. Choose another one."),
        (
            "crash",
            "ZeroDivisionError: division by zero. Start it again; job.log has the details.",
        ),
    ],
)
def test_an_error_is_told_in_words(
    mode: str, message: str, folder: Path, settings: Settings
) -> None:
    start(folder, settings, mode)
    (folder / "go").touch()
    wait_until(lambda: not state(folder).is_running)
    assert state(folder) == Job(FAILED, 1, 4, message)
    # Python prints it after the end of the job has been written.
    wait_until(lambda: "Traceback" in (folder / "job.log").read_text())


def test_a_killed_job_has_failed_and_can_be_started_again(folder: Path, settings: Settings) -> None:
    start(folder, settings)
    wait_until(lambda: len(pids(folder)) == 1)
    os.kill(pids(folder)[0], signal.SIGKILL)
    wait_until(lambda: not state(folder).is_running)
    assert state(folder).status == FAILED
    assert "it was killed" in state(folder).message
    (folder / "go").touch()
    start(folder, settings)
    wait_until(lambda: state(folder).status == FINISHED)


def test_a_second_start_gives_the_job_that_runs(folder: Path, settings: Settings) -> None:
    start(folder, settings)
    wait_until(lambda: len(pids(folder)) == 1)
    assert start(folder, settings) == Job("running", 1, 4, "Waiting")
    (folder / "go").touch()
    wait_until(lambda: not state(folder).is_running)
    assert len(pids(folder)) == 1


@pytest.mark.parametrize("mode", ["wait", "stubborn"])
def test_a_cancelled_job_leaves_no_process(
    mode: str, folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "GRACE", 0.5 if mode == "stubborn" else WAIT)
    start(folder, settings, mode)
    wait_until(lambda: len(pids(folder)) == 1)
    cancel_job(folder)
    assert state(folder).status == CANCELLED
    wait_until(lambda: not Path(f"/proc/{pids(folder)[0]}").exists())  # and no zombie
    left = [path for path in folder.iterdir() if path.is_dir()]
    assert bool(left) == (mode == "stubborn")  # the other one has removed its temporary folder
    cancel_job(folder)  # a second click changes nothing
    assert state(folder).status == CANCELLED


def test_a_job_goes_on_when_the_server_ends(folder: Path, settings: Settings) -> None:
    server = (
        "import sys; from pathlib import Path; from tlcore.jobs import start_job;"
        "from tlcore.settings import Settings; folder = Path(sys.argv[1]);"
        "start_job(folder, ['wait', str(folder)], Settings.from_environment(),"
        " module='tests.test_jobs')"
    )
    environment = os.environ | settings.to_environment()
    subprocess.run(
        [sys.executable, "-c", server, str(folder)], cwd=PROJECT, env=environment, check=True
    )
    wait_until(lambda: state(folder).message == "Waiting")
    assert start(folder, settings).is_running
    (folder / "go").touch()
    wait_until(lambda: state(folder).status == FINISHED)
    assert len(pids(folder)) == 1


def test_a_damaged_file_is_a_failed_job(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "job.json").write_text("{")
    assert state(folder).status == FAILED
    assert "The file job.json" in state(folder).message


if __name__ == "__main__":
    run_command()
