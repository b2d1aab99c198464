"""One channel by itself: its values counted, its strongest spot traced back to the image."""

from __future__ import annotations

import numpy as np

from tlcore.activations.receptive_field import box_of
from tlcore.activations.render import palette
from tlcore.activations.tiles import bounds, broken, levels, to_png
from tlcore.activations.values import ChannelDetail, ReceptiveField
from tlcore.errors import UnknownName
from tlcore.models.layers import Wiring
from tlcore.models.predictions import Floats

BINS = 40


def inspect_channel(
    maps: Floats, layer: str, channel: int, field: ReceptiveField, size: int
) -> ChannelDetail:
    """Look at one channel of a layer's maps (height, width, channels).

    Args:
        field: what value (0, 0) of the layer sees.
        size: side of the network's input, pixels.

    Raises:
        UnknownName: no such channel.
    """
    if not 0 <= channel < maps.shape[2]:
        raise UnknownName(
            f"Expected a channel from 0 to {maps.shape[2] - 1} of {layer}. Received {channel}."
        )
    one = maps[:, :, channel : channel + 1]
    low, high = bounds(one, "channel", (0, 0))
    finite = one[np.isfinite(one)]
    ranked = np.where(np.isfinite(one), one, -np.inf)
    row, column = divmod(int(ranked.argmax()), one.shape[1])
    edges, counts = _histogram(finite, float(low[0]), float(high[0]))
    return ChannelDetail(
        layer=layer,
        channel=channel,
        png=to_png(levels(one, low, high)[:, :, 0], palette("fire")),
        low=float(low[0]),
        high=float(high[0]),
        mean=float(finite.mean(dtype=np.float64)) if finite.size else 0.0,
        broken=float(broken(one)[0]),
        zeros=float((one == 0).mean()),
        edges=edges,
        counts=counts,
        strongest=(row, column),
        equal=int(np.count_nonzero(finite == high[0])),
        box=box_of(field, row, column, size),
        field=field,
    )


def _histogram(
    values: Floats, low: float, high: float
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Count finite values from low to high in equal bins, in float64: float32 may overflow."""
    if low == high:  # a range around it that can be told from it, however large it is
        reach = max(0.5, abs(low) / 2)
        low, high = low - reach, high + reach
    counts, edges = np.histogram(values.astype(np.float64), bins=BINS, range=(low, high))
    return tuple(edges.tolist()), tuple(counts.tolist())


# Whether two networks are the same up to a layer: whether nothing below it has learned.


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
