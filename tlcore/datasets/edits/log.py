"""edits.json, what has been done to a set since its pictures came, oldest first.

Doing something adds to the end and undoing takes from the end. The file is replaced as a whole, so
that a killed process leaves the log before or after its edit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tlcore.datasets.edits.change import Edit
from tlcore.errors import BadDataset
from tlcore.storage import write_file

FILE = "edits.json"
_VERSION = 1


def read_log(folder: Path) -> tuple[Edit, ...]:
    """All edits of a set; none if nothing was done yet.

    Raises:
        BadDataset: a log that cannot be understood: labels must not silently go back.
    """
    try:
        content = json.loads((folder / FILE).read_text("utf-8"))
        return tuple(Edit.from_json(fields) for fields in content["edits"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadDataset(
            f"Expected the data set {folder.name!r} to have a readable {FILE}. Received: {error}. "
            f"Delete {FILE} in {str(folder)!r} to go back to the labels the pictures came with."
        ) from error


def write_log(folder: Path, edits: Sequence[Edit]) -> None:
    """Write all edits; a reader sees the old log or the new one, never a part."""
    content = {"version": _VERSION, "edits": [edit.to_json() for edit in edits]}
    write_file(folder / FILE, json.dumps(content, separators=(",", ":")).encode("ascii"))
