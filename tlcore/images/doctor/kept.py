"""facts.jsonl, the doctor's memory of a set: a line a picture, found again by its content.

It only spares work. A missing, torn or outdated line means that the picture is looked at again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tlcore.images.doctor.facts import Facts

_FILE = "facts.jsonl"


def read_facts(folder: Path) -> Mapping[str, Facts]:
    """What is known of a set's pictures, by sha256."""
    try:
        lines = (folder / _FILE).read_text("utf-8", "replace").split("\n")
    except OSError:
        return {}
    known = {}
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            facts = Facts.from_json(json.loads(line))
            known[facts.sha256] = facts
    return known


def stamp(folder: Path) -> tuple[int, int]:
    """Changes whenever facts are added: (nanoseconds, bytes)."""
    try:
        status = (folder / _FILE).stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def add_facts(folder: Path, facts: Iterable[Facts]) -> None:
    """Append; the line break in front ends a line that a killed process left torn."""
    lines = [json.dumps(one.to_json(), separators=(",", ":")) for one in facts]
    if not lines:
        return
    with contextlib.suppress(OSError), (folder / _FILE).open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(lines) + "\n")
