"""The process of one run, ``python -m tlcore.training.worker FOLDER``, and the queue of runs."""

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
from tlcore.training import status as files
from tlcore.training.config import read_config
from tlcore.training.history import Event, EventLog
from tlcore.training.status import (
    FAILED,
    RESUME,
    STOPPED,
    FinalStatus,
    add_previous_status,
    is_waiting,
    write_final_status,
    write_process_group,
)
from tlcore.training.train_run import train_run

NICENESS = 10  # pages and predictions come first
QUEUE_POLL = 0.5  # s between two checks whether the run's turn has come
SYNCED = (
    files.EVENTS,
    files.CHECKPOINT,
    files.MODEL,
)  # on disk before status.json speaks of them


def execute_run(
    folder: Path, settings: Settings, *, emit: Callable[[Event], None] = lambda _: None
) -> FinalStatus:
    """Wait for a run's turn, train it and write its final status.

    Args:
        folder: made by ``create_run``, whose lock the caller keeps.
        settings: where datasets and weights are, and how many runs train at once.
        emit: called with each event, after it is on disk.
    """
    start = time.time()
    try:
        with _wait_for_turn(folder, settings) as has_turn:
            if has_turn:
                status = _train(folder, settings, emit)
            else:
                status = FinalStatus(STOPPED, 0.0, None, "It was stopped before it had begun.")
    except Exception as error:  # the last frame of the process: any error becomes its status
        status = FinalStatus(FAILED, time.time() - start, None, _explain(error))
    status = _sync(folder, add_previous_status(folder, status))
    write_final_status(folder, status)
    return status


def _train(folder: Path, settings: Settings, emit: Callable[[Event], None]) -> FinalStatus:
    log = EventLog(folder / files.EVENTS)  # with this file the run is no longer queued
    (folder / files.QUEUED_MARK).unlink(missing_ok=True)

    def write(event: Event) -> None:
        log.write(event)
        emit(event)

    config = read_config(folder / files.CONFIG)
    try:
        return train_run(
            folder, config, lambda: open_dataset(config.dataset, settings), settings, emit=write
        )
    finally:
        log.close()


@contextmanager
def _wait_for_turn(folder: Path, settings: Settings) -> Iterator[bool]:
    """Wait until no earlier run waits and fewer than ``runs_at_once`` train; hold that place.

    Yields:
        False if the run was stopped before its turn came.
    """
    queue = settings.runs / ".queue"
    queue.mkdir(parents=True, exist_ok=True)
    place = None
    while place is None and not (folder / files.STOP).exists():
        if _is_next(folder):
            place = _take_place(queue, settings.runs_at_once)
        if place is None:
            time.sleep(QUEUE_POLL)
    try:
        yield place is not None
    finally:
        if place is not None:
            os.close(place)


def _is_next(folder: Path) -> bool:
    """Whether no run that was created earlier still waits."""
    earlier = (other for other in folder.parent.glob("[!.]*") if other.name < folder.name)
    return not any(
        is_locked(other / files.LOCK) and is_waiting(other) and not (other / files.STATUS).exists()
        for other in earlier
    )


def _take_place(queue: Path, places: int) -> int | None:
    """Lock one of the places in which runs train; return the lock, None where all are taken."""
    for place in range(places):
        with suppress(BlockingIOError):
            return acquire_lock(queue / f"{place}.lock")
    return None


def _sync(folder: Path, status: FinalStatus) -> FinalStatus:
    """Make what the run has learned survive a power cut; return the status it ends with."""
    try:
        sync_files(folder, [name for name in SYNCED if (folder / name).is_file()])
    except OSError as error:
        if status.status != FAILED:
            return replace(status, status=FAILED, error=_explain(error))
    return status


def _explain(error: Exception) -> str:
    """Return the message of an error for a person; the log gets its traceback."""
    if isinstance(error, TLCoreError):
        return str(error)
    with suppress(OSError):  # the log is on the same disk
        traceback.print_exc()
    if isinstance(error, OSError) and is_disk_error(error):
        return f"The run could not save its files. {explain_os_error(error)} {RESUME}"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return f"Memory ran out. {RESUME} If it runs out again, take a smaller batch or image size."
    return f"{type(error).__name__}: {error}. The log says where; nothing else is affected."


def main() -> NoReturn:
    """Execute the run whose folder is the only argument; its lock is inherited."""
    folder = Path(sys.argv[1])
    os.nice(NICENESS)
    faulthandler.enable()  # a crash of native code leaves its name in the log
    try:
        write_process_group(folder)
        status = execute_run(folder, Settings.from_environment())
    except OSError as error:  # the disk was full before the run began
        status = FinalStatus(FAILED, 0.0, None, _explain(error))
        write_final_status(folder, status)
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # At once: a run that is stopped early leaves a thread in TensorFlow's import, which an orderly
    # end would tear down while it runs.
    os._exit(1 if status.status == FAILED else 0)


if __name__ == "__main__":
    main()
