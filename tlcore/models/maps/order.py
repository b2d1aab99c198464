"""In which order a layer's channels are shown, and what each channel's values are like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tlcore.errors import UnknownName
from tlcore.models.answers import Floats

Measure = Callable[[Floats], Floats]  # maps (height, width, channels) → one number a channel

ORDERS: Mapping[str, Measure | None] = MappingProxyType(
    {
        "index": None,  # as the network has them
        "mean": lambda maps: maps.mean(axis=(0, 1)),
        "max": lambda maps: maps.max(axis=(0, 1)),
        "variance": lambda maps: maps.var(axis=(0, 1)),
        "dead": lambda maps: zeros(maps),
    }
)


def zeros(maps: Floats) -> Floats:
    """Return the share of each channel's pixels that are exactly 0: what a ReLU has cut off."""
    pixels = maps.shape[0] * maps.shape[1]
    return (1 - np.count_nonzero(maps, axis=(0, 1)) / pixels).astype(np.float32)


def ordered(maps: Floats, order: str) -> npt.NDArray[np.intp]:
    """Return the channels' numbers, those with the largest measure first; equal ones by number.

    Channels whose measure is NaN come last.

    Raises:
        UnknownName: no such order.
    """
    if order not in ORDERS:
        raise UnknownName.of("order", order, ORDERS)
    measure = ORDERS[order]
    if measure is None:
        return np.arange(maps.shape[2])
    with np.errstate(over="ignore", invalid="ignore"):  # of huge values a mean may overflow
        return np.argsort(-measure(maps), kind="stable")
