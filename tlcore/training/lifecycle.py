"""What is done to a run from outside: made, opened again, stopped, ended, deleted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from tlcore.errors import RunError
from tlcore.locks import acquire_lock, is_locked
from tlcore.models.catalog import backbone
from tlcore.settings import PROJECT, Settings
from tlcore.storage import explained_os_errors, sync_folder, write_json
from tlcore.training import checkpoint
from tlcore.training.checkpoint import Checkpoint
from tlcore.training.config import RunConfig
from tlcore.training.history import trim_events
from tlcore.training.records import (
    CONFIG,
    EVENTS,
    PROCESS,
    find_model_damage,
    read_or_record_damage,
    read_process,
)
from tlcore.training.run import RunInfo
from tlcore.training.status import FINISHED, read_final_status, reserve_disk_space, set_status_aside
from tlcore.training.store import find_run_folder, load_run_info, unknown_run_error

_GONE = ".gone-"  # begins the name of a run's folder while it is deleted
GLANCE = 0.2  # s within which a process that only checks the lock has released it
HALF_MADE = 60.0  # s after which a run that is still being made has been given up


def create_run(config: RunConfig, settings: Settings) -> tuple[Path, int]:
    """Make a run's folder, locked from its first moment.

    Returns:
        The folder and the descriptor that holds its lock. Whoever works on the run keeps it open.

    Raises:
        StorageError: there is no room for it; nothing of it is left.
    """
    with explained_os_errors("The run could not be started"):
        settings.runs.mkdir(parents=True, exist_ok=True)
        _sweep(settings)
        return _make_folder(config, settings)


def _make_folder(config: RunConfig, settings: Settings) -> tuple[Path, int]:
    name = f"{datetime.now():%Y%m%d-%H%M%S-%f}"  # sorts by time: the queue goes by it
    making = settings.runs / f".{name}"
    folder = settings.runs / name
    making.mkdir()
    try:
        lock = acquire_lock(making / "run.lock")
        with _let_go_on_error(lock):
            write_json(making / CONFIG, config.to_json())
            reserve_disk_space(making)
            making.rename(folder)
            sync_folder(settings.runs)
    except BaseException:
        discard_run(making)
        raise
    return folder, lock


def discard_run(folder: Path) -> None:
    """Remove the folder of a run that could not be started."""
    shutil.rmtree(folder, ignore_errors=True)


def _sweep(settings: Settings) -> None:
    """Remove what is left of runs whose deletion or start was interrupted."""
    for folder in settings.runs.glob(f"{_GONE}*"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in settings.runs.glob(".[0-9]*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > HALF_MADE and not is_locked(
                folder / "run.lock"
            ):
                shutil.rmtree(folder)


def prepare_resume(run: str, settings: Settings) -> tuple[Path, int]:
    """Make a run that ended before its time ready to go on from its last checkpoint.

    What was written down after that checkpoint is taken out of its history: these epochs are
    gone through again, and are the same ones.

    Returns:
        As ``create_run``.

    Raises:
        RunError: no such run, or it is at work, or has finished, or its settings cannot be read.
        DamagedFile: its checkpoint cannot be read; the run stays as it is.
        StorageError: there is no room to go on, or it may not be written.
    """
    folder = load_run_info(run, settings).folder
    lock = _hold(folder, settings)
    with _let_go_on_error(lock):
        outcome = read_or_record_damage(partial(read_final_status, ended=True), folder, None, [])
        if outcome and outcome.status == FINISHED and not find_model_damage(folder, finished=True):
            raise RunError(
                f"Expected a run that was stopped or has failed. Received {run}, which has "
                "finished. Run it again with more epochs."
            )
        reached = checkpoint.load_checkpoint(folder / checkpoint.FILE)
        _check_network(load_run_info(run, settings), reached)
        with explained_os_errors("The run could not be resumed"):
            reserve_disk_space(folder)  # before anything of it is changed
            (folder / "queued").touch()  # without an outcome it must not look like one at work
            trim_events(folder / EVENTS, reached.event if reached else 0)
            set_status_aside(folder, outcome)
            for name in ("stop", PROCESS):
                (folder / name).unlink(missing_ok=True)
    return folder, lock


def _check_network(info: RunInfo, reached: Checkpoint | None) -> None:
    """Refuse to go on with what was learned on a network that is built otherwise today.

    Raises:
        RunError: the backbone has had another layer added since.
    """
    old = reached is not None and reached.event > 0 and reached.version < 2
    scale = backbone(info.config.backbone).imagenet_scale
    if old and scale and not info.config.random_weights:
        raise RunError(
            f"This run began before {info.config.backbone} had Keras' own scaling of its input, "
            "and cannot go on from what it learned without it. Run it again."
        )


def _hold(folder: Path, settings: Settings) -> int:
    """Take the lock of a run that has ended.

    Raises:
        RunError: it is at work, or has been deleted in this moment.
    """
    try:
        return acquire_lock(folder / "run.lock", timeout=GLANCE)
    except BlockingIOError as error:
        raise RunError(
            f"Expected a run that has ended. Received {folder.name}, which is at work. Stop it "
            "first."
        ) from error
    except FileNotFoundError as error:
        raise unknown_run_error(folder.name, settings) from error


@contextmanager
def _let_go_on_error(lock: int) -> Iterator[None]:
    """Close a lock if what follows fails: the run must not count as alive for ever."""
    try:
        yield
    except BaseException:
        os.close(lock)
        raise


def stop_run(run: str, settings: Settings) -> None:
    """Ask a run to stop after its current batch. It keeps what it has learned."""
    (find_run_folder(run, settings) / "stop").touch()


def kill_run(run: str, settings: Settings) -> None:
    """End a run's process at once; what it has not saved is lost.

    Raises:
        RunError: no such run, or it lives without a process group of its own.
    """
    folder = find_run_folder(run, settings)
    if not is_locked(folder / "run.lock"):
        return
    process = read_process(folder)  # written by whoever holds the lock now
    if process is None:
        raise RunError(
            f"Expected a run with a process of its own. Received {run}, which is just beginning, "
            "or works in a terminal. Try again in a moment, or press Ctrl-C twice there."
        )
    with suppress(ProcessLookupError):
        os.killpg(process.group, signal.SIGKILL)


def delete_run(run: str, settings: Settings) -> None:
    """Remove a run's folder.

    Raises:
        RunError: no such run, or it is still working.
    """
    folder = find_run_folder(run, settings)
    lock = _hold(folder, settings)  # nobody resumes it meanwhile
    try:
        folder.rename(folder.with_name(f"{_GONE}{folder.name}"))
        sync_folder(settings.runs)
        _sweep(settings)
    finally:
        os.close(lock)


# Starting a run as a process of its own, which no closed page and no restarted server ends.


def start_run(config: RunConfig, settings: Settings) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a run and return its id and process.

    The child inherits the run's lock, so it counts as alive from before it runs until it is gone;
    it waits for its turn by itself. The caller should ``poll`` the process now and then, so that
    the operating system can forget it.

    Raises:
        StorageError: there is no room for it; nothing of it is left.
    """
    folder, lock = create_run(config, settings)
    try:
        return _start(folder, lock, settings)
    except BaseException:
        discard_run(folder)
        raise


def resume_run(run: str, settings: Settings) -> tuple[str, subprocess.Popen[bytes]]:
    """Let a run go on that was stopped or killed, as ``start_run`` does.

    Raises:
        RunError: no such run, or it is at work, or has finished.
    """
    return _start(*prepare_resume(run, settings), settings)


def _start(folder: Path, lock: int, settings: Settings) -> tuple[str, subprocess.Popen[bytes]]:
    try:
        with (
            explained_os_errors("The run could not be started"),
            (folder / "worker.log").open("ab") as log,
        ):
            process = subprocess.Popen(
                [sys.executable, "-m", "tlcore.training.worker", str(folder)],
                cwd=PROJECT,
                env={**os.environ, **settings.to_environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the server's terminal is not for it
                pass_fds=(lock,),
            )
    finally:
        os.close(lock)
    return folder.name, process
