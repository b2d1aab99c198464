"""A text that is handed out as a file of the person's choice."""

from __future__ import annotations

from pathlib import Path

from tlcore.errors import RunError
from tlcore.storage import write_file


def write_out(target: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all.

    Raises:
        RunError: nowhere to write.
    """
    try:
        write_file(target, text.encode())
    except OSError as error:
        raise RunError(
            f"Expected to be able to write {target}. Received: {error.strerror}. Choose another "
            "place, or make room."
        ) from error
