"""In which order a layer's channels are shown, and what each channel's values are like."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tlcore.activations.tiles import Layout
from tlcore.errors import UnknownName
from tlcore.models.predictions import Floats, Layer, ModelRef

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


def channel_order(maps: Floats, order: str) -> npt.NDArray[np.intp]:
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


# What the feature maps' questions and answers are made of, as frozen values. No Keras here.


@dataclass(frozen=True)
class ReceptiveField:
    """What value (0, 0) of a map sees of the network's input, in pixels; ±inf: everything."""

    top: float  # first row; below 0 in the padding
    bottom: float  # last row
    left: float
    right: float
    step_down: float  # from one value to the next
    step_across: float

    @property
    def height(self) -> float:
        return self.bottom - self.top + 1

    @property
    def width(self) -> float:
        return self.right - self.left + 1

    @property
    def whole(self) -> bool:
        """Whether each value sees all of the input."""
        return math.isinf(self.height) or math.isinf(self.width)


@dataclass(frozen=True)
class DisplayOptions:
    """How a page of maps is to be drawn; hashable, so that caches can be keyed by it."""

    layout: Layout = field(default_factory=Layout)
    order: str = "index"  # a key of tlcore.activations.values.ORDERS
    scale: str = "channel"  # one of tlcore.activations.tiles.SCALES
    palette: str = "grey"  # a key of tlcore.activations.render.PALETTES
    page: int = 0  # from 0; past the end means the last


@dataclass(frozen=True, eq=False)
class Tiles:
    """A page of maps drawn as one image, so that only small pixels cross between processes."""

    png: bytes  # rows × columns of tiles without gaps, each map at its own size or shrunk
    layout: Layout
    shape: tuple[int, int]  # height and width of one map
    channels: tuple[int, ...]  # of each tile drawn, from 0
    lows: tuple[float, ...]  # of each tile: the lowest finite value …
    highs: tuple[float, ...]  # … and the highest
    black: tuple[float, ...]  # of each tile: the value drawn with the palette's first colour …
    white: tuple[float, ...]  # … and with its last
    broken: tuple[float, ...] = ()  # of each tile: share of values that are not finite


@dataclass(frozen=True, eq=False)
class MapPage:
    """One page of what a layer makes of an image."""

    layer: str
    tiles: Tiles
    channels: int  # of the whole layer
    pages: int
    page: int  # from 0
    source: str  # "imagenet", "random" or "run"
    note: str


@dataclass(frozen=True, eq=False)
class MapPair:
    """The same channels twice, on one scale, and their difference."""

    layer: str
    left: Tiles
    right: Tiles
    difference: Tiles  # right − left, 0 in the middle of its palette
    largest: float  # largest finite |difference| over all channels of the layer
    broken: float  # share of differences that are not finite numbers
    frozen: bool  # whether both come from the same weights, nothing up to here having learned
    channels: int  # of the whole layer
    pages: int
    page: int


@dataclass(frozen=True, eq=False)
class ChannelDetail:
    """One channel, large."""

    layer: str
    channel: int  # from 0
    png: bytes  # the map at its own size
    low: float  # of the finite values; all of these are 0 where there is none
    high: float
    mean: float
    broken: float  # share of values that are not finite: NaN or infinite
    zeros: float  # share of values that are exactly 0
    edges: tuple[float, ...]  # of the histogram, (bins + 1,)
    counts: tuple[int, ...]  # (bins,)
    strongest: tuple[int, int]  # row and column of the highest value, the first of equal ones
    equal: int  # places with that value: a ReLU6 cuts off at 6, often at many places
    box: tuple[int, int, int, int]  # what that value sees of the input: left, top, right, bottom
    field: ReceptiveField


@dataclass(frozen=True)
class LayerStatistics:
    """What one layer's values are like for one image."""

    name: str
    zeros: float  # share of values that are exactly 0: what a ReLU has cut off
    dead: float  # share of channels that are 0 everywhere
    mean: float
    spread: float  # standard deviation


@dataclass(frozen=True, eq=False)
class Filters:
    """The kernels of a convolution, drawn."""

    layer: str  # the convolution
    tiles: Tiles
    colour: bool  # whether a tile is a kernel in colour, else one slice of a kernel in grey
    shape: tuple[int, ...]  # of the kernel as Keras keeps it
    of: int | None  # the output channel whose slices are shown, where they are slices
    own: bool  # whether kernel n makes channel n of the layer that was asked for
    count: int  # kernels, or slices of one, in all
    pages: int
    page: int  # from 0


@dataclass(frozen=True)
class ActivationRequest:
    """One image through one network; hashable."""

    path: Path
    sha256: str  # of the image's bytes; what has been computed is kept under it
    ref: ModelRef


@dataclass(frozen=True)
class LayerInfo:
    """One layer in the list of a network opened up, nested models included."""

    layer: Layer
    block: str  # the layers of one block stand together
    sees: tuple[float, float]  # height and width of what one value sees of the input, pixels; inf:
    # all; 0: no maps
