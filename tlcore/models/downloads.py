"""How far a download of weights is, as a small file that a page can read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from tlcore.errors import DamagedFile
from tlcore.storage import read_json_or, write_json


@dataclass(frozen=True)
class Download:
    """The state of one download."""

    state: str  # "running", "done" or "failed"
    done: int  # bytes of the current file
    total: int | None  # bytes of the current file, where the server tells
    error: str = ""


def write_download(path: Path, download: Download) -> None:
    """Replace the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(download), durable=False)


def read_download(path: Path) -> Download | None:
    """Return the state last written, or None before there is one."""
    try:
        return read_json_or(path, Download, None)
    except DamagedFile as error:
        return Download("failed", 0, None, f"{error} Start it again.")
