"""Folders on the server that may be named by their path: only those that the settings allow."""

from __future__ import annotations

from pathlib import Path

from tlcore.datasets.incoming import Incoming, refused
from tlcore.datasets.sources import from_folder
from tlcore.errors import BadDataset
from tlcore.settings import Settings


def from_server_folder(text: str, settings: Settings) -> list[Incoming]:
    """Every file below a folder that a person names.

    Args:
        text: an absolute path, or one relative to the first allowed folder.
        settings: `server_folders` are the allowed ones.

    Returns:
        The files; links that lead out of the allowed folders as refusals.

    Raises:
        BadDataset: nothing is allowed, or not this.
    """
    if not settings.server_folders:
        raise BadDataset(
            "Expected TLCORE_SERVER_FOLDERS to name folders that may be read. Received none. "
            "Set it where the server is started."
        )
    path = _resolved(settings.server_folders[0] / Path(text.strip() or ".").expanduser())
    if not _allowed(path, settings):
        allowed = ", ".join(map(str, settings.server_folders))
        raise BadDataset(f"Expected a folder inside {allowed}. Received {text.strip()!r}.")
    return [
        item
        if _allowed(_resolved(path / item.file), settings)
        else refused(item.file, "Expected a file. Received a link that leads out of the folder.")
        for item in from_folder(path, settings.limits)
    ]


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, or a zero byte
        raise BadDataset(f"Expected a path. Received: {error}.") from error


def _allowed(path: Path, settings: Settings) -> bool:
    return any(path.is_relative_to(_resolved(root)) for root in settings.server_folders)
