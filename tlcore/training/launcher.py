"""Starting a run as a process of its own, which no closed page and no restarted server ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tlcore.settings import PROJECT, Settings
from tlcore.storage import explained_os_errors
from tlcore.training.config import RunConfig
from tlcore.training.orders import create_run, discard_run, reopen_run


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
    return _start(*reopen_run(run, settings), settings)


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
