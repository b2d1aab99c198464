"""What has been computed, kept up to so many bytes; the longest unused goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class Kept:
    """Tensors by key. One that is larger than the whole bound is not kept at all."""

    def __init__(self, bytes_: int) -> None:
        self.bound = bytes_
        self.bytes = 0
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
        while self.bytes + size > self.bound:
            _, oldest = self._values.popitem(last=False)
            self.bytes -= _bytes(oldest)
        self._values[key] = value
        self.bytes += size

    def __len__(self) -> int:
        return len(self._values)


def _bytes(value: Any) -> int:
    count = 4  # float32
    for side in value.shape:
        count *= int(side)
    return count
