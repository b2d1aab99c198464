"""Errors with a message for a person.

Every message says what happened and what to do next. A page shows it through its shell, the
command line on standard error.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Self

from tlcore.text import shorten

MAX_LISTED = 40  # names; of more than these only the closest are listed


class TLCoreError(Exception):
    """The base of every error whose message is written for the person who uses the product."""


class StorageError(TLCoreError):
    """Something could not be read or written: full or read-only disk, missing permission."""


class DamagedFile(StorageError):
    """A file of the workspace that cannot be understood; names the file and what is wrong."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"The file {path.name} in {str(path.parent)!r} is damaged: {reason}.")


class UnsafePath(TLCoreError):
    """A name that cannot be the name of a file or folder of the workspace."""


class BadImage(TLCoreError):
    """A file that cannot become an RGB image; the message names the file and the reason."""

    kind = "unreadable"  # of finding


class DamagedImage(BadImage):
    """A file that begins like an image and is truncated or damaged."""

    kind = "truncated"


class LargeImage(BadImage):
    """A file with more bytes or pixels than the limits allow."""

    kind = "too-large"


class BadDataset(TLCoreError):
    """A dataset that does not exist, cannot be made, or cannot be trained on."""


class BadConfig(TLCoreError):
    """A setting outside its allowed range."""


class UnknownName(TLCoreError):
    """A name that is in no table; the message lists the names of the table."""

    @classmethod
    def of(cls, what: str, received: str, allowed: Iterable[str]) -> Self:
        names = list(allowed)
        if len(names) > MAX_LISTED:
            close = get_close_matches(received, names, n=5, cutoff=0.3) or names[:5]
            return cls(
                f"Expected a {what}, such as {', '.join(close)} (there are {len(names)}). "
                f"Received {shorten(repr(received))}."
            )
        return cls(
            f"Expected a {what} among {', '.join(names)}. Received {shorten(repr(received))}."
        )


class WeightsMissing(TLCoreError):
    """Pretrained weights that are not on this machine; names their folder and the download."""


class WeightsDamaged(WeightsMissing):
    """A weight file that is not whole, or of another network; names the file."""


class WorkerDied(TLCoreError):
    """The inference process ended twice while it worked on one request."""


class RunError(TLCoreError):
    """A training run that does not exist, or does not have what was requested."""
