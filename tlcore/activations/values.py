"""Requests for feature maps and what comes back, as frozen values. No Keras here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tlcore.activations.layers import ReceptiveField
from tlcore.errors import BadConfig
from tlcore.models.predictions import ModelRef


@dataclass(frozen=True)
class ActivationRequest:
    """One image through one model; hashable."""

    path: Path
    sha256: str  # of the image's bytes, the key under which activations are cached; "": not cached
    ref: ModelRef


@dataclass(frozen=True)
class Layout:
    """How many tiles a page has."""

    rows: int = 4
    columns: int = 8

    def __post_init__(self) -> None:
        if not (1 <= self.rows <= 32 and 1 <= self.columns <= 32):
            raise BadConfig(
                f"Expected 1 to 32 rows and columns. Received {self.rows} × {self.columns}."
            )

    @property
    def tiles(self) -> int:
        return self.rows * self.columns

    def pages(self, channels: int) -> int:
        return -(-channels // self.tiles)


@dataclass(frozen=True)
class DisplayOptions:
    """How a page of maps is drawn; hashable, so that caches can be keyed by it."""

    layout: Layout = field(default_factory=Layout)
    order: str = "index"  # a key of tlcore.activations.render.ORDERS
    scale: str = "channel"  # one of tlcore.activations.render.SCALES
    palette: str = "grey"  # a key of tlcore.activations.render.PALETTES
    page: int = 0  # from 0; past the end means the last

    def page_number(self, channels: int) -> int:
        """Return the page that is shown of so many channels."""
        return min(max(self.page, 0), self.layout.pages(channels) - 1)


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
    not_finite: tuple[float, ...] = ()  # of each tile: share of values that are not finite


@dataclass(frozen=True, eq=False)
class MapPage:
    """One page of a layer's feature maps for an image."""

    layer: str
    tiles: Tiles
    channels: int  # of the whole layer
    pages: int
    page: int  # from 0
    source: str  # "imagenet", "random" or "run"
    note: str
    kind: str  # of the layer, as ``layers.layer_kind`` names it


@dataclass(frozen=True, eq=False)
class MapPair:
    """The same channels twice, on one scale, and their difference."""

    layer: str
    left: Tiles
    right: Tiles
    difference: Tiles  # right − left, 0 in the middle of its palette
    largest: float  # largest finite |difference| over all channels of the layer
    not_finite: float  # share of differences that are not finite
    frozen: bool  # whether two models have the same weights up to this layer
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
    not_finite: float  # share of values that are not finite: NaN or infinite
    zeros: float  # share of values that are exactly 0
    edges: tuple[float, ...]  # of the histogram, (bins + 1,)
    counts: tuple[int, ...]  # (bins,)
    strongest: tuple[int, int]  # row and column of the highest value, the first of equal ones
    equal: int  # places with that value: a ReLU6 cuts off at 6, often at many places
    box: tuple[int, int, int, int]  # what that value sees of the input: left, top, right, bottom
    field: ReceptiveField


@dataclass(frozen=True, eq=False)
class Filters:
    """The kernels of a convolution, drawn."""

    layer: str  # the convolution
    tiles: Tiles
    colour: bool  # whether a tile is a kernel in colour, else one slice of a kernel in grey
    shape: tuple[int, ...]  # of the kernel as Keras has it
    output_channel: int | None  # the output channel whose slices are shown, where they are slices
    matches_channels: bool  # whether kernel n makes channel n of the requested layer
    count: int  # kernels, or slices of one, in all
    pages: int
    page: int  # from 0
    weights: tuple[float, ...] = ()  # (count,) where a slice is one weight; else empty
