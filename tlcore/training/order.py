"""The order of an epoch's pictures, and its random numbers: functions of (seed, stage, epoch).

Nothing is carried from one epoch to the next, so an epoch can be begun anew after a stop or a
kill, and is the same one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]

STAGES = {"head": 1, "fine-tune": 2}  # part of the seed: never renumber
ORDER, MASKS, START, VIEWS = range(4)  # what the numbers are for


def generator(seed: int, stage: str, epoch: int, what: int) -> np.random.Generator:
    """Return the random numbers of one purpose in one epoch (0-based)."""
    return np.random.default_rng([seed, STAGES[stage], epoch, what])


def epoch_order(
    labels: npt.NDArray[np.int64], draw: np.random.Generator, *, even: bool
) -> Positions:
    """Return the positions of an epoch's pictures in the order in which they come.

    Args:
        labels: int (n,), the class of each picture.
        draw: this epoch's numbers.
        even: every class comes as often as the others; pictures of rare classes are repeated,
            some of the common ones left out, and the epoch stays as long as it was.
    """
    count = len(labels)
    if not even:
        return draw.permutation(count)
    classes = np.unique(labels)
    drawn = [
        _repeated(np.flatnonzero(labels == label), -(-count // len(classes)), draw)
        for label in classes
    ]
    return draw.permutation(np.concatenate(drawn))[:count]


def _repeated(positions: Positions, count: int, draw: np.random.Generator) -> Positions:
    """Return ``count`` of these, none a second time before all have come once."""
    rounds = -(-count // len(positions))
    return np.concatenate([draw.permutation(positions) for _ in range(rounds)])[:count]


def class_weights(labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float32]:
    """Return what a picture of each class weighs so that all classes weigh the same, mean 1."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)


def views_of_epoch(pictures: int, views: int, draw: np.random.Generator) -> Positions:
    """Return which of its stored views each picture shows in this epoch."""
    return draw.integers(0, views, pictures)
