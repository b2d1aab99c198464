"""Files to the pixels that a network sees, several at a time, views included."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample, hash_file
from tlcore.datasets.decode import read
from tlcore.datasets.geometry import fit
from tlcore.errors import BadImage
from tlcore.settings import Limits
from tlcore.training.augment import view, view_name
from tlcore.training.cache.keys import row_id
from tlcore.training.pace import LOOK, Pace, Stopped

# Pictures a pass through the network. On one pair of cores 8 were 12% to 36% faster than 32 (its
# caches hold the activations of so many), on a newer pair 32 are 20% faster than 8: in between.
FORWARD = 16
PLAIN = -1  # the number of the view that is the picture itself
DECODERS = 2  # threads; Pillow lets go of Python's lock while it decodes
AHEAD = 64 * 2**20  # bytes of decoded pictures that may wait for the network


@dataclass(frozen=True)
class Looking:
    """How a file becomes a network's input."""

    backbone: str
    size: int  # pixels a side
    fit: str
    augment: tuple[str, ...]
    seed: int
    limits: Limits


@dataclass(frozen=True)
class Request:
    """One picture in one view."""

    sample: Sample  # with its hash
    view: int = PLAIN

    def id(self, looking: Looking) -> bytes:
        plain = self.view == PLAIN
        name = "" if plain else view_name(looking.augment, looking.seed, self.view)
        return row_id(self.sample.sha256, name)


Pixels = npt.NDArray[np.uint8] | BadImage
Batches = Iterator[list[tuple[Request, Pixels]]]


def hashed(
    samples: Sequence[Sample], stopping: Callable[[], bool] = lambda: False
) -> tuple[Sample, ...]:
    """Return the samples with the hash of their bytes; "" stays where a file cannot be read.

    Raises:
        Stopped: ``stopping()`` held before the end.
    """
    done: list[Sample] = []
    pool, look = ThreadPoolExecutor(DECODERS), Pace(LOOK)
    try:
        for sample in pool.map(_hashed, samples):
            done.append(sample)
            if look.due() and stopping():
                raise Stopped
    finally:
        pool.shutdown(cancel_futures=True)
    return tuple(done)


def _hashed(sample: Sample) -> Sample:
    if sample.sha256:
        return sample
    return replace(sample, sha256=hash_file(sample.path))


def look(request: Request, looking: Looking) -> Pixels:
    """Return the square that the network sees, uint8 (size, size, 3), or why there is none."""
    try:
        square = fit(read(request.sample.path, looking.limits), looking.size, looking.fit)
    except BadImage as fault:
        return fault
    if request.view == PLAIN:
        return square
    return view(
        square,
        looking.augment,
        sha256=request.sample.sha256,
        seed=looking.seed,
        number=request.view,
    )


@contextmanager
def decoded(requests: Sequence[Request], looking: Looking, size: int) -> Iterator[Batches]:
    """Decode ``size`` at a time, ahead of the caller by as many as AHEAD bytes hold.

    It begins at once, so that a network can be imported and built meanwhile; what nobody has
    waited for at the end is not decoded any more.
    """
    parts = iter([requests[start : start + size] for start in range(0, len(requests), size)])
    ahead = max(1, AHEAD // (size * looking.size**2 * 3))
    pool = ThreadPoolExecutor(DECODERS)

    def submit(some: Iterable[Sequence[Request]]) -> list[list[tuple[Request, Future[Pixels]]]]:
        return [
            [(request, pool.submit(look, request, looking)) for request in part] for part in some
        ]

    waiting = deque(submit(islice(parts, ahead)))

    def in_turn() -> Batches:
        while waiting:
            current = waiting.popleft()
            waiting.extend(submit(islice(parts, 1)))
            yield [(request, future.result()) for request, future in current]

    try:
        yield in_turn()
    finally:
        pool.shutdown(cancel_futures=True)
