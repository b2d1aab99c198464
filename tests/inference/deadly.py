"""A module of tasks that kill their process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tlcore.settings import Settings


def start_worker(parent: int, settings: Settings) -> int:
    return os.getpid()


def die(folder: Path, times: int, settings: Settings) -> str:
    """Kill the process so many times, with a file for each in ``folder``; then answer."""
    folder.mkdir(exist_ok=True)
    if len(list(folder.iterdir())) >= times:
        return "alive"
    (folder / str(time.time_ns())).touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return "dead"
