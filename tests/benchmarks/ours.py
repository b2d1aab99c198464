"""Our side of the benchmarks: a run in this process, on a feature cache of its own."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tlcore.jobs import read_job
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch
from tlcore.training.lifecycle import create_run, start_run
from tlcore.training.store import load_run
from tlcore.training.worker import execute_run


def folder_argument(description: str | None) -> Path:
    """Return the only argument of a benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="class folders, or splits with class folders")
    folder: Path = parser.parse_args().folder
    return folder


@dataclass(frozen=True)
class Took:
    """A run and its clock."""

    seconds: float  # from before it began until its network was saved
    stage: float  # until its last epoch had ended: features and training
    history: tuple[Epoch, ...]

    @property
    def accuracy(self) -> float:
        return self.history[-1].val_accuracy


@contextmanager
def empty_home() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory() as home:
        yield replace(Settings.from_environment(), home=Path(home))


def run(config: RunConfig, settings: Settings) -> Took:
    folder, lock = create_run(config, settings)
    began, clock = time.perf_counter(), time.time()
    outcome = execute_run(folder, settings)
    seconds = time.perf_counter() - began
    os.close(lock)
    if outcome.error:
        raise SystemExit(outcome.error)
    history = load_run(folder.name, settings).history
    return Took(seconds, history[-1].time - clock, history)


def run_process(config: RunConfig, settings: Settings) -> Took:
    """Do what ``run`` does in a process of its own, as a page does; its start counts."""
    began, clock = time.perf_counter(), time.time()
    run, process = start_run(config, settings)
    process.wait()
    seconds = time.perf_counter() - began
    while any((job := read_job(path)) and job.is_running for path in settings.jobs.glob("*")):
        time.sleep(0.1)  # what follows a run would slow the next one
    history = load_run(run, settings).history
    return Took(seconds, history[-1].time - clock, history)
