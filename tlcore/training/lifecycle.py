"""Create, start, resume, stop, kill and delete runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from tlcore import storage
from tlcore.errors import RunError
from tlcore.jobs import start_process
from tlcore.models.catalog import get_backbone
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors, write_json
from tlcore.training import status as files
from tlcore.training.checkpoint import Checkpoint, load_checkpoint
from tlcore.training.config import RunConfig
from tlcore.training.history import trim_events
from tlcore.training.run import RunInfo
from tlcore.training.store import find_run_folder, load_run_info, unknown_run_error

LOCK_TIMEOUT = 0.2  # s within which a process that only checks the lock has released it


def create_run(config: RunConfig, settings: Settings) -> tuple[Path, int]:
    """Create a run's folder, locked from its first moment.

    Returns:
        The folder, and the descriptor that holds its lock: the run counts as active as long as a
        process keeps it open.

    Raises:
        StorageError: there is no room for it; nothing of it is left.
    """
    folder = settings.runs / f"{datetime.now():%Y%m%d-%H%M%S-%f}"  # the queue goes by this order
    with explained_os_errors("The run could not be started"):
        storage.remove_leftovers(settings.runs)
        with storage.work_folder(settings.runs) as work:
            lock = storage.acquire_lock(work / files.LOCK)
            with _release_on_error(lock):
                write_json(work / files.CONFIG, config.to_json())
                files.reserve_disk_space(work)
                storage.publish_folder(work, folder)
    return folder, lock


def prepare_resume(run: str, settings: Settings) -> tuple[Path, int]:
    """Prepare a run that ended early to continue from its last checkpoint.

    Epochs after that checkpoint are removed from its history: they are repeated, with the same
    results.

    Returns:
        As ``create_run``.

    Raises:
        RunError: no such run, or it is active, or has finished, or its options cannot be read.
        DamagedFile: its checkpoint cannot be read; the run stays as it is.
        StorageError: the disk is full or read-only.
    """
    folder = load_run_info(run, settings).folder
    lock = _lock_ended_run(folder, settings)
    with _release_on_error(lock):
        read_status = partial(files.read_final_status, ended=True)
        status = files.read_or_record_damage(read_status, folder, None, [])
        is_finished = status is not None and status.status == files.FINISHED
        if is_finished and not files.find_model_damage(folder, finished=True):
            raise RunError(
                f"Expected a run that was stopped or has failed. Received {run}, which has "
                "finished. Run it again with more epochs."
            )
        checkpoint = load_checkpoint(folder / files.CHECKPOINT)
        _check_architecture(load_run_info(run, settings), checkpoint)
        with explained_os_errors("The run could not be resumed"):
            files.reserve_disk_space(folder)  # before anything of it is changed
            (folder / files.QUEUED_MARK).touch()  # without a status it must not look as if it ran
            trim_events(folder / files.EVENTS, checkpoint.event if checkpoint else 0)
            files.set_status_aside(folder, status)
            for name in (files.STOP, files.PROCESS):
                (folder / name).unlink(missing_ok=True)
    return folder, lock


def _check_architecture(info: RunInfo, checkpoint: Checkpoint | None) -> None:
    """Refuse a checkpoint of a backbone that has been built with another layer since."""
    is_old = checkpoint is not None and checkpoint.event > 0 and checkpoint.version < 2
    backbone = info.config.backbone
    if is_old and get_backbone(backbone).imagenet_scale and not info.config.random_weights:
        raise RunError(
            f"This run began before {backbone} had Keras' own scaling of its input, and cannot "
            "continue without it. Run it again."
        )


def _lock_ended_run(folder: Path, settings: Settings) -> int:
    """Lock a run. Raises RunError where it is active, or has been deleted in this moment."""
    try:
        return storage.acquire_lock(folder / files.LOCK, timeout=LOCK_TIMEOUT)
    except BlockingIOError as error:
        raise RunError(
            f"Expected a run that has ended. Received {folder.name}, which is running. Stop it "
            "first."
        ) from error
    except FileNotFoundError as error:
        raise unknown_run_error(folder.name, settings) from error


@contextmanager
def _release_on_error(lock: int) -> Iterator[None]:
    """Close a lock if the block fails: the run must not count as active for ever."""
    try:
        yield
    except BaseException:
        os.close(lock)
        raise


def stop_run(run: str, settings: Settings) -> None:
    """Ask a run to stop after its current batch; what it has learned is saved."""
    (find_run_folder(run, settings) / files.STOP).touch()


def kill_run(run: str, settings: Settings) -> None:
    """Kill a run's process; what it has not saved is lost.

    Raises:
        RunError: no such run, or it is active without a process of its own.
    """
    folder = find_run_folder(run, settings)
    if not storage.is_locked(folder / files.LOCK):
        return
    group = files.read_process_group(folder)
    if group is None:
        raise RunError(
            f"Expected a run with a process of its own. Received {run}, which is just beginning, "
            "or runs in a terminal. Try again in a moment, or press Ctrl-C twice there."
        )
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def delete_run(run: str, settings: Settings) -> None:
    """Delete a run's folder.

    Raises:
        RunError: no such run, or it is active.
    """
    folder = find_run_folder(run, settings)
    lock = _lock_ended_run(folder, settings)  # nobody resumes it meanwhile
    try:
        storage.discard_folder(folder)
    finally:
        os.close(lock)
    storage.remove_leftovers(settings.runs)


def start_run(config: RunConfig, settings: Settings) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a run in a process of its own, which outlives the page and the server.

    The process inherits the run's lock and waits in the queue by itself. The caller should
    ``poll`` it now and then, so that the operating system can forget it.

    Returns:
        The run's id and its process.

    Raises:
        StorageError: there is no room for it; nothing of it is left.
    """
    folder, lock = create_run(config, settings)
    try:
        return folder.name, _start_worker(folder, lock, settings)
    except BaseException:
        storage.discard_folder(folder)
        raise


def resume_run(run: str, settings: Settings) -> tuple[str, subprocess.Popen[bytes]]:
    """Resume a run that was stopped or killed, as ``start_run`` starts one.

    Raises:
        RunError: no such run, or it is active, or has finished.
    """
    folder, lock = prepare_resume(run, settings)
    return folder.name, _start_worker(folder, lock, settings)


def _start_worker(folder: Path, lock: int, settings: Settings) -> subprocess.Popen[bytes]:
    try:
        with (
            explained_os_errors("The run could not be started"),
            (folder / files.LOG).open("ab") as log,
        ):
            command = [sys.executable, "-m", "tlcore.training.worker", str(folder)]
            return start_process(command, log, lock, settings)
    finally:
        os.close(lock)
