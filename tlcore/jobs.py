"""Jobs: commands that a page starts in processes of their own, watches and cancels.

A job is ``python -m tlcore ARGUMENTS`` with a folder of its own below ``Settings.jobs``:

    start_job(folder, ["runs", "report", run, path], settings)   # or the one that already runs
    job = read_job(folder)        # None before the first start; its status, progress and message
    cancel_job(folder)

The command gets the option ``--progress-file FOLDER/job.json`` and reports through ``report_job``:

    with report_job(args.progress_file) as report:
        report(3, 10, "Writing SavedModel")

The process inherits the lock of ``job.lock`` and holds it until it ends, however it ends: a job
survives a restart of the web server, and one that was killed counts as failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tlcore.errors import DamagedFile, TLCoreError
from tlcore.settings import PROJECT, Settings
from tlcore.storage import (
    acquire_lock,
    explain_os_error,
    explained_os_errors,
    is_locked,
    lock_file,
    read_json_or,
    write_json,
)
from tlcore.text import parse_whole_number

# Steps or bytes done, how many in all where that is known, what is being done now.
Progress = Callable[[int, int | None, str], None]
RUNNING, FINISHED, FAILED, CANCELLED = "running", "finished", "failed", "cancelled"
GRACE = 5.0  # s that a cancelled process has to remove its temporary files
_FILE, _LOCK, _LOG = "job.json", "job.lock", "job.log"
_READING = 0.2  # s within which a process that only checks the lock has released it
_LOST = (
    "The process ended before it was finished: it was killed, or memory or the disk was full. "
    "Nothing else is affected. Start it again."
)


@dataclass(frozen=True)
class Job:
    """The state of a job."""

    status: str  # RUNNING, FINISHED, FAILED or CANCELLED
    done: int = 0  # steps or bytes
    total: int | None = None  # steps or bytes; None where it is not known
    message: str = ""  # what is being done now; of a failed job, what went wrong

    @property
    def is_running(self) -> bool:
        return self.status == RUNNING

    @property
    def fraction(self) -> float:
        """Return how much is done, 0…1; 0 where the total is not known."""
        return min(1.0, self.done / self.total) if self.total else 0.0


def start_job(
    folder: Path, arguments: Sequence[str], settings: Settings, *, module: str = "tlcore"
) -> Job:
    """Start a command in a process of its own, unless the folder's job is running.

    Args:
        folder: of the job; created where it is missing.
        arguments: of the command, without ``--progress-file``.
        settings: the process gets the same.
        module: the command is ``python -m MODULE ARGUMENTS``.

    Returns:
        The job that runs now.

    Raises:
        StorageError: nothing can be written there, or the system starts no process.
    """
    with explained_os_errors("The job could not be started"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = acquire_lock(folder / _LOCK, timeout=_READING)
        except BlockingIOError:
            return read_job(folder) or Job(RUNNING)
        try:
            job, progress = Job(RUNNING, message="Starting"), folder / _FILE
            os.ftruncate(lock, 0)
            write_json(progress, asdict(job), durable=False)
            command = [sys.executable, "-m", module, *arguments, "--progress-file", str(progress)]
            with (folder / _LOG).open("wb") as log:
                process = start_process(command, log, lock, settings)
            os.pwrite(lock, str(process.pid).encode(), 0)
        finally:
            os.close(lock)
    threading.Thread(target=process.wait, daemon=True).start()  # leaves no zombie behind
    return job


def start_process(
    command: Sequence[str], log: BinaryIO, lock: int, settings: Settings
) -> subprocess.Popen[bytes]:
    """Start a command that outlives this process and holds a file lock until it ends.

    Args:
        command: the program and its arguments.
        log: gets its standard output and standard error.
        lock: a locked file descriptor, which the process inherits.
        settings: the process reads the same from its environment.
    """
    return subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, **settings.to_environment()},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C in the server's terminal does not end it
        pass_fds=(lock,),
    )


def read_job(folder: Path) -> Job | None:
    """Return the state of a job; None before its first start.

    A job whose process is gone without having written its end has failed.
    """
    was_alive = is_locked(folder / _LOCK)  # first: the end is written before the lock is freed
    try:
        job = read_json_or(folder / _FILE, Job, None)
    except DamagedFile as error:
        return Job(FAILED, message=f"{error} Start it again.")
    if job is None or not job.is_running or was_alive:
        return job
    if is_locked(folder / _LOCK):  # it has started since
        return job
    return Job(FAILED, job.done, job.total, _LOST)


def cancel_job(folder: Path) -> None:
    """End a running job; its process has ``GRACE`` seconds to remove its temporary files."""
    if not is_locked(folder / _LOCK):
        return
    process = parse_whole_number((folder / _LOCK).read_text())  # alive as long as the lock is held
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process:
            with suppress(ProcessLookupError):
                os.killpg(process, number)
        with lock_file(folder / _LOCK, timeout=GRACE) as has_ended:
            if has_ended:
                job = read_json_or(folder / _FILE, Job, None)
                if job is not None and job.is_running:
                    cancelled = Job(CANCELLED, job.done, job.total)
                    write_json(folder / _FILE, asdict(cancelled), durable=False)
                return


@contextmanager
def report_job(path: Path | None) -> Iterator[Progress]:
    """Write a command's progress and its end for ``read_job``; without a file nothing is written.

    On SIGTERM the block is left by SystemExit, so that temporary files are removed.

    Yields:
        A function that reports the steps or bytes done, of how many, and what is being done now.
    """
    job = Job(RUNNING, message="Starting")

    def write(change: Job) -> None:
        nonlocal job
        job = change
        if path:
            with suppress(OSError):  # on a full disk the result matters, not the progress
                write_json(path, asdict(job), durable=False)

    handler: Any = None
    if path and threading.current_thread() is threading.main_thread():
        handler = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    write(job)
    try:
        yield lambda done, total, message: write(Job(RUNNING, done, total, message))
    except Exception as error:
        write(Job(FAILED, job.done, job.total, _describe(error)))
        raise
    except BaseException:
        write(Job(CANCELLED, job.done, job.total))
        raise
    else:
        write(Job(FINISHED, job.done, job.total))
    finally:
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)


def _describe(error: Exception) -> str:
    """Return an error in words; the log of the job has the traceback."""
    if isinstance(error, TLCoreError):
        return str(error)
    if isinstance(error, OSError):
        return explain_os_error(error)
    if isinstance(error, MemoryError):
        return "Memory ran out. Close other programs and start it again."
    return f"{type(error).__name__}: {error}. Start it again; {_LOG} has the details."
