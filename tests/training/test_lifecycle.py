"""Real run processes: started, queued, stopped, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.images import write_patches
from tlcore.evaluation.label_issues import load_label_issues
from tlcore.evaluation.split_predictions import predict_split
from tlcore.jobs import read_job
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.history import Progress
from tlcore.training.lifecycle import kill_run, resume_run, start_run, stop_run
from tlcore.training.status import FAILED, FINISHED, QUEUED, RUNNING, STOPPED
from tlcore.training.store import evaluation_job, load_run, load_run_info, read_log_tail

LONG = 1000  # epochs
PATIENCE = 120.0  # s; far more than any step needs, so that a slow machine does not fail a test


@pytest.fixture
def start(
    settings: Settings, tmp_path: Path
) -> Iterator[Callable[..., tuple[str, subprocess.Popen[bytes]]]]:
    data = write_patches(tmp_path / "set", each=40)
    started: list[subprocess.Popen[bytes]] = []

    def start(epochs: int) -> tuple[str, subprocess.Popen[bytes]]:
        """A long run sends every image through the network in every epoch: it takes minutes."""
        config = RunConfig(
            str(data), "MobileNet-0.25", 32, epochs=epochs, random_weights=True, batch_size=4,
            augmentations=("flip",), on_the_fly_augmentation=epochs == LONG,
        )  # fmt: skip
        run, process = start_run(config, settings)
        started.append(process)
        return run, process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_a_run_is_stopped_while_tensorflow_is_imported_and_finishes_when_it_is_resumed(
    start, settings: Settings
) -> None:
    run, process = start(epochs=2)
    assert load_run_info(run, settings).status in (QUEUED, RUNNING)
    wait_for(lambda: load_run(run, settings).stage is not None)  # the next thing is the import
    stop_run(run, settings)
    assert process.wait(PATIENCE) == 0
    stopped = load_run(run, settings)
    assert (stopped.info.status, stopped.info.error) == (STOPPED, "")
    assert not any(isinstance(e, Progress) and e.done for e in stopped.events)
    resumed, process = resume_run(run, settings)
    assert os.getsid(0) != process.pid
    assert process.wait(PATIENCE) == 0
    found = load_run(resumed, settings)
    assert (found.info.status, len(found.history)) == (FINISHED, 2)
    assert found.info.model is not None
    # What its summary needs is computed behind it, and nobody has asked for it.
    job = evaluation_job(run, settings)
    wait_for(lambda: read_job(job) is not None and not read_job(job).is_running)
    for split in ("train", "val"):
        assert predict_split(run, split, settings, predict=lambda *_: []).unreadable == ()
    assert load_label_issues(run, settings) is not None


@pytest.mark.parametrize("epochs", [pytest.param(0, marks=pytest.mark.full), 2])
def test_a_killed_process_is_a_failed_run_with_its_reason_and_log(
    epochs: int, start, settings: Settings
) -> None:
    run, process = start(epochs=LONG)
    wait_for(lambda: len(load_run(run, settings).history) >= epochs)
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: load_run_info(run, settings).status == FAILED)  # unreaped, yet known as dead
    found = load_run(run, settings)
    assert "killed" in found.info.error
    assert len(found.history) >= epochs
    assert isinstance(read_log_tail(found.info.folder), str)
    process.wait()


def test_stop_and_the_next_in_the_queue_comes_up(start, settings: Settings) -> None:
    first, _ = start(epochs=LONG)
    second, _ = start(epochs=1)
    third, third_process = start(epochs=1)
    wait_for(lambda: len(load_run(first, settings).history) > 1)
    assert load_run_info(second, settings).status == QUEUED
    stop_run(third, settings)
    assert third_process.wait(PATIENCE) == 0
    assert "before it had begun" in load_run_info(third, settings).error
    stop_run(first, settings)
    wait_for(lambda: load_run_info(first, settings).status == STOPPED)
    assert load_run_info(first, settings).model is not None
    wait_for(lambda: load_run_info(second, settings).status == FINISHED)


def test_end_now_ends_it(start, settings: Settings) -> None:
    run, process = start(epochs=LONG)
    wait_for(lambda: load_run_info(run, settings).status == RUNNING)
    stop_run(run, settings)
    kill_run(run, settings)
    assert process.wait(PATIENCE) is not None
    assert load_run_info(run, settings).status == STOPPED
