"""Pillow made to judge alike whatever else in this process has set.

Pillow keeps two things for the whole process that decide whether a damaged file passes: whether
truncated files are forgiven, and Python's warning filters, which may turn a remark about a metadata
tag into an exception or print it. While at least one thread decodes, both are ours; afterwards they
are what they were. Entering is counted, because `warnings.catch_warnings` alone restores the wrong
state when two threads leave in another order than they came.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

from PIL import ImageFile


class _Strictness:
    """How many threads are decoding, and what to restore when the last one is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._restore = contextlib.ExitStack()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            self._restore.callback(_forgive_truncation, ImageFile.LOAD_TRUNCATED_IMAGES)
            self._restore.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _forgive_truncation(False)

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._restore.close()


def _forgive_truncation(forgive: bool) -> None:
    ImageFile.LOAD_TRUNCATED_IMAGES = forgive


_STRICTNESS = _Strictness()


@contextlib.contextmanager
def strict_pillow() -> Iterator[None]:
    """Within this block truncated files fail and Pillow's remarks are not shown."""
    _STRICTNESS.enter()
    try:
        yield
    finally:
        _STRICTNESS.leave()
