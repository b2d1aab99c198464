"""A file on its way into a data set, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from tlcore.errors import BadImage


@dataclass(frozen=True)
class Incoming:
    """One file that is offered; nothing is read until `read` is called, from any thread."""

    file: str  # its name with its folders, separated by "/"; never used as a path of ours
    read: Callable[[], bytes]  # the whole file; raises BadImage with the reason to refuse it
    size: int  # bytes, as announced


@dataclass(frozen=True)
class Refusal:
    """A file that was not taken, and why."""

    file: str
    reason: str  # a sentence that does not repeat the file's name
    kind: str = BadImage.kind  # of finding: "unreadable", "truncated" or "too-large"

    @classmethod
    def of(cls, file: str, error: Exception) -> Refusal:
        kind = error.kind if isinstance(error, BadImage) else BadImage.kind
        return cls(file, str(error).removeprefix(f"{file}: "), kind)


def refused(file: str, reason: str, size: int = 0) -> Incoming:
    """A file that arrives only to be refused by name."""

    def read() -> NoReturn:
        raise BadImage(f"{file}: {reason}")

    return Incoming(file, read, size)
