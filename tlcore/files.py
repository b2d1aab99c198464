"""Files that are there whole or not at all, whoever else writes or reads them meanwhile."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, then put it there in one step.

    Raises:
        OSError: nowhere to write; what was there before is still there.
    """
    folder, name = os.path.split(path)
    beside = os.path.join(folder, f".{name}.{secrets.token_hex(8)}")  # noqa: PTH118 - by the thousand
    try:
        with open(beside, "wb") as file:  # noqa: PTH123
            file.write(data)
        os.replace(beside, path)  # noqa: PTH105 - the name of the thing, as everyone looks it up
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_whole(path, json.dumps(value, indent=1).encode("ascii"))


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one where there is no file."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return value
