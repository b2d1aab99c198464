"""Pages of feature maps as images: which channels, on which scale, in which colours."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image

from tlcore.activations.values import DisplayOptions, Layout, Tiles
from tlcore.errors import UnknownName
from tlcore.models.predictions import Floats

Levels = npt.NDArray[np.uint8]  # 0 is a palette's first colour, 255 its last
Measure = Callable[[Floats], Floats]  # maps (height, width, channels) → one number a channel

GAP = 4  # pixels between tiles
GROUND = 255  # of the gaps and of the places past the last channel
TILE = 112  # a tile is at least this wide, by whole-number enlargement, so that pixels stay square
SCALES = ("channel", "layer", "zero", "channel zero")
ORDERS: Mapping[str, Measure | None] = MappingProxyType(
    {
        "index": None,  # as the model has them
        "mean": lambda maps: maps.mean(axis=(0, 1)),
        "max": lambda maps: maps.max(axis=(0, 1)),
        "variance": lambda maps: maps.var(axis=(0, 1)),
        "dead": lambda maps: (maps == 0).mean(axis=(0, 1)),  # what a ReLU has cut off
    }
)
# Colours of levels 0 to 255: a few anchors, evenly spaced, with straight lines between. All but
# "signed" grow steadily in lightness, so that they read the same to people who see colours
# differently and on paper; "signed", for values around 0, is ColorBrewer's PiYG, which has neither
# of the hues that stand for the two networks.
PALETTES: Mapping[str, tuple[tuple[int, int, int], ...]] = MappingProxyType(
    {
        "grey": ((0, 0, 0), (255, 255, 255)),
        "green": ((2, 18, 14), (0, 70, 54), (0, 137, 106), (104, 200, 160), (236, 252, 244)),
        "fire": ((10, 4, 20), (88, 20, 70), (178, 44, 46), (230, 130, 20), (255, 244, 190)),
        "signed": ((142, 1, 82), (222, 119, 174), (246, 246, 246), (127, 188, 65), (39, 100, 25)),
    }
)


def render_tiles(
    maps: Floats, channels: Sequence[int], view: DisplayOptions, *others: Floats
) -> Tiles:
    """Draw some channels of a layer.

    Args:
        maps: (height, width, channels) of the whole layer.
        channels: which, in the order of the tiles, at most ``view.layout.tiles``.
        view: layout, scale and palette.
        others: further maps of the same layer that share the scale.
    """
    shown = _pick(maps, channels)
    low, high = _shared_bounds([maps, *others], channels, view.scale)
    png = encode_png(draw_sheet(to_levels(shown, low, high), view.layout), palette(view.palette))
    return describe_tiles(png, shown, channels, (low, high), view)


def describe_tiles(
    png: bytes,
    shown: Floats,
    channels: Sequence[int],
    bounds: tuple[Floats, Floats],
    view: DisplayOptions,
) -> Tiles:
    """Return drawn tiles with the values of the maps (height, width, n) that they show."""
    lows, highs = extremes(shown)
    return Tiles(
        png=png,
        layout=view.layout,
        shape=(shown.shape[0], shown.shape[1]),
        channels=tuple(channels),
        lows=tuple(lows.tolist()),
        highs=tuple(highs.tolist()),
        black=tuple(bounds[0].tolist()),
        white=tuple(bounds[1].tolist()),
        not_finite=tuple(share_not_finite(shown).tolist()),
    )


def render_page(maps: Floats, view: DisplayOptions, only: Sequence[int] | None = None) -> bytes:
    """Return a page as a PNG file: tiles enlarged, with gaps, compressed.

    Args:
        maps: (height, width, channels) of the whole layer, which sets the scale of the layer.
        view: which page, and how it is drawn.
        only: the channels that are drawn, all by default.
    """
    drawn = list(range(maps.shape[2]) if only is None else only)
    channels = [drawn[place] for place in select_channels(_pick(maps, drawn), view)]
    low, high = _shared_bounds([maps], channels, view.scale)
    levels = draw_enlarged(to_levels(_pick(maps, channels), low, high), view.layout)
    return encode_png(levels, palette(view.palette), compress=True)


def select_channels(maps: Floats, view: DisplayOptions) -> list[int]:
    """Return the channels on the page that is shown, in their order."""
    first = view.page_number(maps.shape[2]) * view.layout.tiles
    return order_channels(maps, view.order)[first : first + view.layout.tiles].tolist()


def order_channels(maps: Floats, order: str) -> npt.NDArray[np.intp]:
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


def _pick(maps: Floats, channels: Sequence[int]) -> Floats:
    first, last = channels[0], channels[-1]
    if list(channels) == list(range(first, last + 1)):  # the usual case, much faster
        return np.ascontiguousarray(maps[:, :, first : last + 1])
    return maps[:, :, list(channels)]


def share_not_finite(maps: Floats) -> Floats:
    """Return the share of each map's values that are not finite (NaN, infinite), (n,)."""
    if np.isfinite(maps.min()) and np.isfinite(maps.max()):
        return np.zeros(maps.shape[2], np.float32)
    return (1 - np.isfinite(maps).mean(axis=(0, 1))).astype(np.float32)


def extremes(maps: Floats) -> tuple[Floats, Floats]:
    """Return each map's lowest and highest finite value, (n,) each, of maps (height, width, n).

    0 where a map has none. One axis after the other: NumPy takes ten times as long over both at
    once.
    """
    low, high = maps.min(axis=0).min(axis=0), maps.max(axis=0).max(axis=0)
    if np.isfinite(low).all() and np.isfinite(high).all():  # then all between them are
        return low, high
    finite = np.isfinite(maps)
    low = np.where(finite, maps, np.float32(np.inf)).min(axis=(0, 1))
    high = np.where(finite, maps, np.float32(-np.inf)).max(axis=(0, 1))
    some = finite.any(axis=(0, 1))
    return np.where(some, low, np.float32(0)), np.where(some, high, np.float32(0))


def compute_bounds(maps: Floats, scale: str, whole: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return for each map the value drawn with level 0 and the one drawn with 255, (n,) each.

    Args:
        maps: (height, width, n).
        scale: "channel": each map from its own lowest to its own highest value; "layer": all from
            the layer's lowest to its highest; "zero": all evenly around 0; "channel zero": each
            evenly around 0.
        whole: the lowest and the highest value of the layer.
    """
    if scale not in SCALES:
        raise UnknownName.of("scale", scale, SCALES)
    if scale == "channel":
        return extremes(maps)
    if scale == "channel zero":
        furthest = np.maximum(*np.abs(extremes(maps)))
        furthest = np.where(furthest > 0, furthest, np.float32(1))
        return -furthest, furthest
    reach = max(abs(whole[0]), abs(whole[1])) or 1.0
    low, high = whole if scale == "layer" else (-reach, reach)
    each = np.ones(maps.shape[2], np.float32)
    return each * np.float32(low), each * np.float32(high)


def _shared_bounds(
    layers: Sequence[Floats], channels: Sequence[int], scale: str
) -> tuple[Floats, Floats]:
    """Return bounds of some channels that hold for several maps of a layer."""
    whole = (0.0, 0.0)
    if scale in ("layer", "zero"):
        lows, highs = zip(*map(extremes, layers), strict=True)
        whole = float(np.min(lows)), float(np.max(highs))
    bounds = [compute_bounds(_pick(maps, channels), scale, whole) for maps in layers]
    lows, highs = zip(*bounds, strict=True)
    return np.minimum.reduce(lows), np.maximum.reduce(highs)


def to_levels(maps: Floats, low: Floats, high: Floats) -> Levels:
    """Turn values into levels 0 (low) to 255 (high); without any range between them, into 0.

    NaN is drawn as level 0; what is infinite as the end on its side.
    """
    height, width, _ = maps.shape
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        reach = high - low
        scale = np.float32(255) / np.where(reach > 0, reach, np.float32(1))
        stretched = maps.reshape(height, -1) - np.tile(low, width)  # long rows: few maps are slow
        stretched *= np.tile(scale, width)
        stretched += np.float32(0.5)  # to the nearest level
        if not (np.isfinite(reach).all() and np.isfinite(stretched).all()):
            return _to_levels_float64(maps, low, high)
    return stretched.astype(np.uint8).reshape(maps.shape)


def _to_levels_float64(maps: Floats, low: Floats, high: Floats) -> Levels:
    """The same for values that are not finite, or so far apart that float32 overflows."""
    bottom, top = low.astype(np.float64), high.astype(np.float64)
    reach = np.where(top > bottom, top - bottom, 1)
    shares = np.where(top > bottom, (np.clip(maps, bottom, top) - bottom) / reach, 0)
    return (np.nan_to_num(shares) * 255 + 0.5).astype(np.uint8)


def draw_enlarged(tiles: Levels, layout: Layout) -> Levels:
    """Lay (height, width, n) levels out as one image, n at most ``layout.tiles``.

    Tiles are enlarged by repeating pixels, with gaps between them.
    """
    zoom = max(1, -(-TILE // tiles.shape[1]))
    tiles = tiles.repeat(zoom, axis=0).repeat(zoom, axis=1)
    height, width, count = tiles.shape
    shape = (layout.rows * (height + GAP) - GAP, layout.columns * (width + GAP) - GAP)
    page = np.full(shape, GROUND, np.uint8)
    for place in range(min(count, layout.tiles)):
        row, column = divmod(place, layout.columns)
        top, left = row * (height + GAP), column * (width + GAP)
        page[top : top + height, left : left + width] = tiles[:, :, place]
    return page


def draw_sheet(tiles: Levels, layout: Layout) -> Levels:
    """Lay levels out side by side at their own size, without gaps, for a page to cut tiles from.

    Maps much larger than a tile are shrunk by a whole number, so that no more is sent than shown.
    """
    by = tiles.shape[1] // TILE
    if by > 1:  # the means of blocks of by × by; what is left over at the edges is cut off
        height, width = tiles.shape[0] // by, tiles.shape[1] // by
        blocks = tiles[: height * by, : width * by].reshape(height, by, width, by, -1)
        tiles = (blocks.sum(axis=(1, 3), dtype=np.uint32) // by**2).astype(np.uint8)
    height, width, count = tiles.shape
    whole = np.zeros((height, width, layout.tiles), np.uint8)
    whole[:, :, :count] = tiles
    grid = whole.reshape(height, width, layout.rows, layout.columns).transpose(2, 0, 3, 1)
    return grid.reshape(layout.rows * height, layout.columns * width)


@cache
def palette(name: str) -> Levels:
    """Return a palette as uint8 (256, 3) RGB.

    Raises:
        UnknownName: no such palette.
    """
    if name not in PALETTES:
        raise UnknownName.of("palette", name, PALETTES)
    anchors = np.array(PALETTES[name], np.float64)
    places = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(places, range(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def encode_png(levels: Levels, colours: Levels | None = None, *, compress: bool = False) -> bytes:
    """Return levels (height, width) as a PNG, grey, or with a palette of (256, 3) colours.

    The colours are in the file's palette: the pixels stay one byte each. What a page shows is not
    compressed: noisy maps shrink by a sixth, and that takes longer than all the rest.
    """
    image = Image.fromarray(np.ascontiguousarray(levels))
    if colours is not None and levels.ndim == 2:
        image.putpalette(colours.tobytes(), "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6 if compress else 0)
    return buffer.getvalue()
