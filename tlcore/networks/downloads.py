"""How far a download of weights is, as a small file that a page can read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(asdict(download)), encoding="utf-8")
    temporary.replace(path)


def read_download(path: Path) -> Download | None:
    """Return the state last written, or None before there is one."""
    if not path.exists():
        return None
    return Download(**json.loads(path.read_text(encoding="utf-8")))
