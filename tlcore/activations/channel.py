"""One channel by itself: its values counted, and what its strongest value sees of the image."""

from __future__ import annotations

import numpy as np

from tlcore.activations.receptive_field import ReceptiveField, receptive_box
from tlcore.activations.render import encode_png, extremes, palette, share_not_finite, to_levels
from tlcore.activations.values import ChannelDetail
from tlcore.errors import UnknownName
from tlcore.models.predictions import Floats

BINS = 40


def inspect_channel(
    maps: Floats, layer: str, channel: int, field: ReceptiveField, size: int
) -> ChannelDetail:
    """Return one channel of a layer's maps (height, width, channels) in detail.

    Args:
        field: what value (0, 0) of the layer sees.
        size: side of the model's input, pixels.

    Raises:
        UnknownName: no such channel.
    """
    if not 0 <= channel < maps.shape[2]:
        raise UnknownName(
            f"Expected a channel from 0 to {maps.shape[2] - 1} of {layer}. Received {channel}."
        )
    one = maps[:, :, channel : channel + 1]
    low, high = extremes(one)
    finite = one[np.isfinite(one)]
    ranked = np.where(np.isfinite(one), one, -np.inf)
    row, column = divmod(int(ranked.argmax()), one.shape[1])
    edges, counts = _histogram(finite, float(low[0]), float(high[0]))
    return ChannelDetail(
        layer=layer,
        channel=channel,
        png=encode_png(to_levels(one, low, high)[:, :, 0], palette("fire")),
        low=float(low[0]),
        high=float(high[0]),
        mean=float(finite.mean(dtype=np.float64)) if finite.size else 0.0,
        not_finite=float(share_not_finite(one)[0]),
        zeros=float((one == 0).mean()),
        edges=edges,
        counts=counts,
        strongest=(row, column),
        equal=int(np.count_nonzero(finite == high[0])),
        box=receptive_box(field, row, column, size),
        field=field,
    )


def _histogram(
    values: Floats, low: float, high: float
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Count finite values from low to high in equal bins, in float64: float32 may overflow."""
    if low == high:  # a range around it that differs from it, however large it is
        reach = max(0.5, abs(low) / 2)
        low, high = low - reach, high + reach
    counts, edges = np.histogram(values.astype(np.float64), bins=BINS, range=(low, high))
    return tuple(edges.tolist()), tuple(counts.tolist())
