"""A run's state is what its folder and its lock say."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from tests.runs_on_disk import write_network
from tlcore.errors import RunError, StorageError
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.storage import is_locked
from tlcore.training import status as states
from tlcore.training.config import RunConfig
from tlcore.training.history import EventLog, Stage
from tlcore.training.lifecycle import create_run, delete_run, kill_run, prepare_resume, stop_run
from tlcore.training.run import write_notes
from tlcore.training.store import list_runs, load_run, load_run_info
from tlcore.training.worker import execute_run


@pytest.fixture
def made(settings: Settings) -> tuple[Path, int]:
    return create_run(RunConfig("set"), settings)


def test_states_in_the_order_of_a_life(made: tuple[Path, int], settings: Settings) -> None:
    folder, lock = made
    assert is_locked(folder / "run.lock")
    assert load_run_info(folder.name, settings).status == states.QUEUED
    log = EventLog(folder / "events.jsonl")
    log.write(Stage("features", 10))
    log.close()
    assert load_run_info(folder.name, settings).status == states.RUNNING
    with pytest.raises(RunError, match="Stop it first"):
        delete_run(folder.name, settings)
    states.write_final_status(folder, states.FinalStatus(states.FINISHED, 1.0, 0.9))
    os.close(lock)
    info = load_run_info(folder.name, settings)
    assert (info.status, info.val_accuracy, info.error) == (states.FINISHED, 0.9, "")
    delete_run(folder.name, settings)
    assert list(settings.runs.glob("[!.]*")) == []


@pytest.mark.parametrize("stop", [True, False])
def test_a_process_that_ended_without_a_status_was_killed(
    stop: bool, made: tuple[Path, int], settings: Settings
) -> None:
    folder, lock = made
    if stop:
        stop_run(folder.name, settings)
    os.close(lock)
    before = load_run_info(folder.name, settings)
    assert before.status == (states.STOPPED if stop else states.FAILED)
    assert "was killed" in before.error
    write_notes(folder, "name", "", [])
    for path in (folder / "notes.json", folder / "run.lock"):
        os.utime(path, (2e9, 2e9))
    assert load_run_info(folder.name, settings).seconds == before.seconds  # as before the notes


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


@pytest.mark.parametrize("text", ["", "{", '{"dataset": "a", "backbone": "AlexNet"}'])
def test_one_run_that_cannot_be_read_hides_no_other(text: str, settings: Settings) -> None:
    locks = [create_run(RunConfig("set"), settings) for _ in range(2)]
    (locks[0][0] / "config.json").write_text(text)
    assert [info.id for info in list_runs(settings)] == [locks[1][0].name]
    for _, lock in locks:
        os.close(lock)
    delete_run(locks[0][0].name, settings)


def test_a_failing_resume_lets_go_of_the_run(
    made: tuple[Path, int], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, lock = made
    os.close(lock)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr("tlcore.training.lifecycle.trim_events", full)
        with pytest.raises(StorageError, match="disk is full"):
            prepare_resume(folder.name, settings)
    assert not is_locked(folder / "run.lock")
    os.close(prepare_resume(folder.name, settings)[1])


@pytest.mark.parametrize("stop", [True, False], ids=["taken back", "fails"])
def test_a_resumed_run_that_gets_nowhere_keeps_its_figures(
    stop: bool, made: tuple[Path, int], settings: Settings
) -> None:
    folder, lock = made
    states.write_final_status(folder, states.FinalStatus(states.STOPPED, 50.0, 0.8, "", 0.4, 3))
    (folder / "model.keras").touch()
    os.close(lock)
    for times in (1, 2):  # resumed twice
        _, lock = prepare_resume(folder.name, settings)
        if stop:
            (folder / "stop").touch()
        execute_run(folder, settings)  # there is no such dataset
        os.close(lock)
        info = load_run_info(folder.name, settings)
        assert info.status == (states.STOPPED if stop else states.FAILED)
        assert (info.val_accuracy, info.val_loss, info.epochs) == (0.8, 0.4, 3)
        assert info.seconds is not None
        assert 50 <= info.seconds < 50 + 5 * times


def test_only_a_worker_of_its_own_is_ended(made: tuple[Path, int], settings: Settings) -> None:
    folder, lock = made
    with pytest.raises(RunError, match="in a terminal"):
        kill_run(folder.name, settings)  # this very process holds it
    (folder / "process.json").write_text(json.dumps({"group": 2**22 + 1}))  # nobody's
    kill_run(folder.name, settings)
    os.close(lock)
    kill_run(folder.name, settings)  # has ended: nothing to do
    _, lock = prepare_resume(folder.name, settings)
    assert not (folder / "process.json").exists()  # another's, by now
    os.close(lock)


def test_a_model_that_a_resumed_run_has_written_again_is_another_model(
    made: tuple[Path, int], settings: Settings
) -> None:
    folder, lock = made
    os.close(lock)
    assert load_run_info(folder.name, settings).ref == ModelRef(run=folder.name)  # none yet
    refs = []
    for written in (1_000, 2_000):
        write_network(folder)
        os.utime(folder / "model.keras", ns=(1, written))
        refs.append(load_run_info(folder.name, settings).ref)
    assert refs == [ModelRef(run=folder.name, weights=str(each)) for each in (1_000, 2_000)]
