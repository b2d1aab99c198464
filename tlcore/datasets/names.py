"""Names of data sets: what is allowed, which are taken, and the folder that a name means."""

from __future__ import annotations

from pathlib import Path

from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.text import shorten

_LONGEST = 60  # characters; at most 240 bytes, which every file system takes
_MARKS = " -_."


def check_name(name: str) -> str:
    """The name itself, if a folder of it is safe everywhere.

    Raises:
        BadDataset: a sign that is not allowed, too long or empty, or a dot or space at an end.
    """
    allowed = all(sign.isalnum() or sign in _MARKS for sign in name)
    if not (allowed and 1 <= len(name) <= _LONGEST and name == name.strip(" .")):
        raise BadDataset(
            "Expected a name of letters, digits, spaces, hyphens, underscores and dots, at most "
            f"{_LONGEST}, with no space or dot at either end. Received {shorten(repr(name))}."
        )
    return name


def check_free(name: str, settings: Settings) -> None:
    """Refuse a name that is not allowed or that a set has already; BadDataset.

    Only for an early answer: ``locks.publish`` decides.
    """
    if (settings.datasets / check_name(name)).exists():
        raise taken(name)


def taken(name: str) -> BadDataset:
    """Return the error of a name that a set has already."""
    return BadDataset(
        f"Expected a name that no data set has. Received {shorten(repr(name))}, which is taken. "
        "Choose another name, add to that set, or delete it first."
    )


def set_names(settings: Settings) -> list[str]:
    """Names of all stored sets, sorted; damaged ones too."""
    if not settings.datasets.is_dir():
        return []
    folders = settings.datasets.iterdir()
    return sorted(f.name for f in folders if not f.name.startswith(".") and f.is_dir())


def folder_of(name: str, settings: Settings) -> Path:
    """The folder of a stored set.

    Raises:
        BadDataset: no set has this name; the message lists those that are there.
    """
    names = set_names(settings)
    if name not in names:
        known = ", ".join(names) or "none yet: upload pictures, or use the sample"
        raise BadDataset(
            f"Expected the name of a data set ({known}). Received {shorten(repr(name))}."
        )
    return settings.datasets / name
