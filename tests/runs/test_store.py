"""A run's state is what its folder and its lock say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tlcore.errors import RunError
from tlcore.runs.config import RunConfig
from tlcore.runs.events import EventLog, Stage
from tlcore.runs.locks import held
from tlcore.runs.store import (
    FAILED,
    FINISHED,
    QUEUED,
    RUNNING,
    STOPPED,
    Outcome,
    create_run,
    delete_run,
    list_runs,
    load_run,
    run_info,
    stop_run,
    write_outcome,
)
from tlcore.settings import Settings


@pytest.fixture
def made(settings: Settings) -> tuple[Path, int]:
    return create_run(RunConfig("set"), settings)


def test_states_in_the_order_of_a_life(made: tuple[Path, int], settings: Settings) -> None:
    folder, lock = made
    assert run_info(folder.name, settings).state == QUEUED
    log = EventLog(folder / "events.jsonl")
    log.write(Stage("features", 10))
    log.close()
    assert run_info(folder.name, settings).state == RUNNING
    write_outcome(folder, Outcome(FINISHED, 1.0, 0.9))
    os.close(lock)
    info = run_info(folder.name, settings)
    assert (info.state, info.val_accuracy, info.error) == (FINISHED, 0.9, "")


def test_a_free_lock_without_an_outcome_is_a_failure(
    made: tuple[Path, int], settings: Settings
) -> None:
    folder, lock = made
    os.close(lock)
    info = run_info(folder.name, settings)
    assert info.state == FAILED
    assert "without a word" in info.error


def test_ended_after_a_request_to_stop_is_stopped(
    made: tuple[Path, int], settings: Settings
) -> None:
    folder, lock = made
    stop_run(folder.name, settings)
    os.close(lock)
    assert run_info(folder.name, settings).state == STOPPED


def test_the_lock_is_held_from_the_first_moment(made: tuple[Path, int]) -> None:
    folder, lock = made
    assert held(folder / "run.lock")
    os.close(lock)
    assert not held(folder / "run.lock")


def test_runs_are_listed_newest_first_and_strangers_passed_over(settings: Settings) -> None:
    assert list_runs(settings) == []
    locks = [create_run(RunConfig("set", seed=seed), settings) for seed in range(3)]
    (settings.runs / "notes").mkdir()
    assert [info.id for info in list_runs(settings)] == sorted(
        (folder.name for folder, _ in locks), reverse=True
    )
    for _, lock in locks:
        os.close(lock)


@pytest.mark.parametrize("name", ["", "nothing", "../runs", "a/b", "."])
def test_an_unknown_id_is_refused(name: str, settings: Settings) -> None:
    with pytest.raises(RunError, match="Expected the id of a run"):
        load_run(name, settings)


def test_a_run_is_deleted_only_when_it_has_ended(
    made: tuple[Path, int], settings: Settings
) -> None:
    folder, lock = made
    with pytest.raises(RunError, match="Stop it first"):
        delete_run(folder.name, settings)
    os.close(lock)
    delete_run(folder.name, settings)
    assert list(settings.runs.iterdir()) == []
