"""Work on many files at once, results in order, memory bounded."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

THREADS = min(4, os.cpu_count() or 1)  # Pillow decodes without holding Python's lock

In = TypeVar("In")
Out = TypeVar("Out")


def in_order(work: Callable[[In], Out], items: Iterable[In]) -> Generator[Out, None, None]:
    """Results in order; few items are under way at once. Closing it ends what has not begun."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="files") as pool:
        waiting: collections.deque[Future[Out]] = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
