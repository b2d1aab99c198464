"""Whether two networks are the same up to a layer: whether nothing below it has learned."""

from __future__ import annotations

import numpy as np

from tlcore.models.maps.wiring import Wiring


def same_weights(first: Wiring, second: Wiring, layer: str) -> bool:
    """Return whether all that feeds a layer has bit-identical weights in both networks."""
    ours, theirs = (wiring.below(wiring.place[layer]) for wiring in (first, second))
    if len(ours) != len(theirs):
        return False
    return all(_same(first.makers[a], second.makers[b]) for a, b in zip(ours, theirs, strict=True))


def _same(one: object, other: object) -> bool:
    left, right = (getattr(layer, "weights", []) for layer in (one, other))
    return len(left) == len(right) and all(
        np.array_equal(a.numpy(), b.numpy()) for a, b in zip(left, right, strict=True)
    )
