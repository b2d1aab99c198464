"""What a person says about a run: a name, a note, tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tlcore.storage import read_json_or, write_json
from tlcore.training.records import NOTES

LONGEST_NAME = 80  # characters
LONGEST_NOTE = 2000
MOST_TAGS = 12


@dataclass(frozen=True)
class Notes:
    """Free text; nothing depends on it."""

    name: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()


def read_notes(folder: Path) -> Notes:
    """Return what is noted about a run; nothing is the beginning.

    Raises:
        DamagedFile: notes.json cannot be read.
    """
    return read_json_or(folder / NOTES, Notes, Notes(), newest=1)


def write_notes(folder: Path, name: str, note: str, tags: Iterable[str]) -> Notes:
    """Keep what a person says, without the blanks around it."""
    kept = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))[:MOST_TAGS]
    notes = Notes(name.strip()[:LONGEST_NAME], note.strip()[:LONGEST_NOTE], kept)
    write_json(folder / NOTES, asdict(notes))
    return notes
