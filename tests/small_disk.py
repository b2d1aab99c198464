"""A small file system that a test fills or makes read-only, for real."""

from __future__ import annotations

import subprocess
from pathlib import Path


def mount(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *words], capture_output=True, text=True)


def fill(disk: Path) -> None:
    """Take all the room that is left."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (2**16, 2**12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def free(disk: Path) -> None:
    (disk / "filler").unlink()


def make_read_only(disk: Path) -> None:
    """From now on: what is open for writing stays so."""
    assert mount("--bind", disk, disk).returncode == 0
    assert mount("-o", "remount,bind,ro", disk).returncode == 0
