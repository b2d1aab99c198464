"""What has been computed, kept up to so many bytes; the longest unused goes first."""

from __future__ import annotations

import ctypes
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

DROPPED = 4  # a quarter of the bound let go: time to give memory back


class Kept:
    """Tensors by key. One that is larger than the whole bound is not kept at all."""

    def __init__(self, bytes_: int) -> None:
        self.bound = bytes_
        self.bytes = 0
        self._dropped = 0  # bytes since memory was given back
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable) -> Any | None:
        """Return what is kept under a key, now the latest used, or None."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value that has ``shape`` and four bytes a number."""
        if key in self._values:
            self._values.move_to_end(key)
            return
        size = _bytes(value)
        if size > self.bound:
            return
        self._make_room(size)
        self._values[key] = value
        self.bytes += size

    def _make_room(self, size: int) -> None:
        while self.bytes + size > self.bound:
            oldest = _bytes(self._values.popitem(last=False)[1])
            self.bytes -= oldest
            self._dropped += oldest
        if self._dropped * DROPPED > self.bound:
            self._dropped = 0
            give_back()

    def __len__(self) -> int:
        return len(self._values)


def give_back() -> None:
    """Hand free memory back to the system, where the C library knows how (glibc does).

    Tensors of all sizes that come and go leave holes between those that stay, and glibc keeps
    the holes: 150 MB after 350 looks at 256 MB of maps.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _bytes(value: Any) -> int:
    count = 4  # float32
    for side in value.shape:
        count *= int(side)
    return count
