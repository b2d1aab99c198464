"""How far something is that a process of its own makes, as a small file that a page can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tlcore.errors import DamagedFile
from tlcore.storage import read_json_or, write_json

RUNNING, DONE, FAILED = "running", "done", "failed"
Progress = Callable[[int, int, str], None]  # steps behind, steps in all, what is being done now


@dataclass(frozen=True)
class Making:
    """The state of something that is being made."""

    state: str  # RUNNING, DONE or FAILED
    done: int = 0  # steps behind
    steps: int = 1
    words: str = ""  # what is being done, or what went wrong


def write_making(path: Path, making: Making) -> None:
    """Replace the file in one step."""
    write_json(path, asdict(making), durable=False)


def read_making(path: Path) -> Making | None:
    """Return the state last written, or None before there is one."""
    try:
        return read_json_or(path, Making, None)
    except DamagedFile as error:
        return Making(FAILED, words=f"{error} Start it again.")
