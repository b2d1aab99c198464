"""The file in which a job writes its progress, as a page finds it."""

from __future__ import annotations

import json
from pathlib import Path

from tlcore.settings import Settings


def write_job(
    settings: Settings, name: str, status: str, done: int, total: int | None, message: str
) -> Path:
    """Write the state of a job and return its folder; it runs while job.lock there is locked."""
    folder = settings.jobs / name
    folder.mkdir(parents=True, exist_ok=True)
    job = {"status": status, "done": done, "total": total, "message": message}
    (folder / "job.json").write_text(json.dumps(job))
    return folder
