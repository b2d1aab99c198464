"""The decoding pipeline: several threads, results in order, memory bounded."""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from tlcore.datasets.dataset import Sample, hash_file

THREADS = min(4, os.cpu_count() or 1)  # Pillow decodes without holding Python's lock

_BATCH = 2  # items handed over at a time: handing over costs as much as a tenth of an image

In = TypeVar("In")
Out = TypeVar("Out")


def decode_in_order(
    work: Callable[[In], Out], items: Iterable[In], *, ahead: int = 2 * THREADS
) -> Generator[Out, None, None]:
    """Yield ``work(item)`` of each item in order, computed by a few threads.

    About ``ahead`` items are computed before the caller wants them. Closing the generator cancels
    what has not begun; an exception of ``work`` is raised when its turn comes.
    """

    def work_all(some: list[In]) -> list[Out]:
        return [work(item) for item in some]

    with ThreadPoolExecutor(THREADS, thread_name_prefix="files") as pool:
        waiting: collections.deque[Future[list[Out]]] = collections.deque()
        try:
            rest = iter(items)
            while some := list(itertools.islice(rest, _BATCH)):
                waiting.append(pool.submit(work_all, some))
                if len(waiting) > 1 + ahead // _BATCH:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def hash_samples(samples: Sequence[Sample]) -> Iterator[Sample]:
    """Yield each sample with the sha256 of its file; "" stays where a file cannot be read."""
    hashes = decode_in_order(hash_file, [each.path for each in samples if not each.sha256])
    for sample in samples:
        yield sample if sample.sha256 else replace(sample, sha256=next(hashes))
