"""The process of one run: ``python -m tlcore.training.worker FOLDER``, or ``execute_run`` here."""

from __future__ import annotations

import faulthandler
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from tlcore.datasets.store import open_dataset
from tlcore.errors import TLCoreError
from tlcore.locks import acquire_lock, is_locked
from tlcore.settings import Settings
from tlcore.storage import explain_os_error, is_disk_error, sync_files
from tlcore.training.config import read_config
from tlcore.training.history import Event, EventLog
from tlcore.training.recipe import train_run
from tlcore.training.records import CHECKPOINT, CONFIG, EVENTS, MODEL, STATUS
from tlcore.training.status import (
    FAILED,
    RESUME,
    STOPPED,
    FinalStatus,
    add_previous_status,
    is_waiting,
    write_final_status,
)

NICENESS = 10  # the page and its answers come first
QUEUE_POLL = 0.5  # s between two looks while waiting for a turn
LEARNED = (EVENTS, CHECKPOINT, MODEL)  # on disk before the outcome speaks of them
TAKEN_BACK = FinalStatus(STOPPED, 0.0, None, "It was taken back before its turn came.")


def execute_run(
    folder: Path, settings: Settings, *, emit: Callable[[Event], None] = lambda _: None
) -> FinalStatus:
    """Wait for this run's turn, train it and write down how it ended.

    Args:
        folder: made by ``create_run``, whose lock the caller keeps.
        settings: where datasets and weights lie, and how many runs work at once.
        emit: told each event, after it is on disk.
    """
    start = time.time()
    try:
        with _turn(
            settings.runs / ".queue",
            settings.runs_at_once,
            may_go=lambda: _is_next(folder),
            given_up=(folder / "stop").exists,
        ) as came:
            outcome = _work(folder, settings, emit) if came else TAKEN_BACK
    except Exception as error:  # the last frame of the process: whatever it was is written down
        outcome = FinalStatus(FAILED, time.time() - start, None, _said(error))
    outcome = add_previous_status(folder, outcome)
    outcome = _on_disk(folder, outcome)
    write_final_status(folder, outcome)
    return outcome


@contextmanager
def _turn(
    folder: Path, places: int, *, may_go: Callable[[], bool], given_up: Callable[[], bool]
) -> Iterator[bool]:
    """Wait until one of ``places`` is free and ``may_go()`` holds; keep the place meanwhile.

    Yields:
        Whether there is a place: False once ``given_up()`` holds before the turn came.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = None
    while descriptor is None and not given_up():
        if may_go():
            descriptor = _free_place(folder, places)
        if descriptor is None:
            time.sleep(QUEUE_POLL)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _free_place(folder: Path, places: int) -> int | None:
    for place in range(places):
        with suppress(BlockingIOError):
            return acquire_lock(folder / f"{place}.lock")
    return None


def _on_disk(folder: Path, outcome: FinalStatus) -> FinalStatus:
    """See to it that what the run learned survives a power cut; return how it ended then."""
    try:
        sync_files(folder, [name for name in LEARNED if (folder / name).is_file()])
    except OSError as error:
        if outcome.status != FAILED:
            return replace(outcome, status=FAILED, error=_said(error))
    return outcome


def _said(error: Exception) -> str:
    """Return what a person is told of it; the log has the rest."""
    if isinstance(error, TLCoreError):
        return str(error)
    with suppress(OSError):  # the log lies on the same disk
        traceback.print_exc()
    if isinstance(error, OSError) and is_disk_error(error):
        return f"The run could not save its files. {explain_os_error(error)} {RESUME}"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return f"Memory ran out. {RESUME} If it runs out again, take a smaller batch or image size."
    return f"{type(error).__name__}: {error}. The log says where; nothing else is affected."


def _work(folder: Path, settings: Settings, emit: Callable[[Event], None]) -> FinalStatus:
    log = EventLog(folder / "events.jsonl")  # there from now on: the run is no longer queued
    (folder / "queued").unlink(missing_ok=True)

    def note(event: Event) -> None:
        log.write(event)
        emit(event)

    config = read_config(folder / CONFIG)
    try:
        return train_run(
            folder, config, lambda: open_dataset(config.dataset, settings), settings, emit=note
        )
    finally:
        log.close()


def _is_next(folder: Path) -> bool:
    """Whether no run that came earlier still waits."""
    earlier = (other for other in folder.parent.glob("[!.]*") if other.name < folder.name)
    return not any(
        is_locked(other / "run.lock") and is_waiting(other) and not (other / STATUS).exists()
        for other in earlier
    )


def main() -> NoReturn:
    """Run the worker; the folder is the only argument, the lock is inherited."""
    folder = Path(sys.argv[1])
    os.nice(NICENESS)
    faulthandler.enable()  # a crash of native code leaves its name in the log
    try:
        process = folder / "process.json"
        process.write_text(f'{{"group": {os.getpgid(0)}}}', encoding="utf-8")
        outcome = execute_run(folder, Settings.from_environment())
    except OSError as error:  # the disk was full before the run began
        outcome = FinalStatus(FAILED, 0.0, None, _said(error))
        write_final_status(folder, outcome)
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # At once: a run that is stopped early leaves a thread in TensorFlow's import, which an orderly
    # end would tear down under its feet.
    os._exit(1 if outcome.status == FAILED else 0)


if __name__ == "__main__":
    main()
