"""A page of feature maps as one image: rows × columns of tiles."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tlcore.errors import BadConfig, UnknownName
from tlcore.models.predictions import Floats

Levels = npt.NDArray[np.uint8]  # 0 is a palette's first colour, 255 its last
GAP = 4  # pixels between tiles
GROUND = 255  # of the gaps and of the places past the last channel
TILE = 112  # a tile is at least this wide, by whole-number enlargement, so that pixels stay square
SCALES = ("channel", "layer", "zero", "channel zero")


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


def bounds(maps: Floats, scale: str, whole: tuple[float, float]) -> tuple[Floats, Floats]:
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


def broken(maps: Floats) -> Floats:
    """Return the share of each map's values that are no finite numbers (NaN, infinite), (n,)."""
    if np.isfinite(maps.min()) and np.isfinite(maps.max()):
        return np.zeros(maps.shape[2], np.float32)
    return (1 - np.isfinite(maps).mean(axis=(0, 1))).astype(np.float32)


def levels(maps: Floats, low: Floats, high: Floats) -> Levels:
    """Turn values into levels 0 (low) to 255 (high); without any range between them, into 0.

    NaN is drawn as level 0; what is infinite as the end on its side.
    """
    height, width, _ = maps.shape
    with np.errstate(over="ignore", invalid="ignore"):  # looked at below
        reach = high - low
        scale = np.float32(255) / np.where(reach > 0, reach, np.float32(1))
        stretched = maps.reshape(height, -1) - np.tile(low, width)  # long rows: few maps are slow
        stretched *= np.tile(scale, width)
        stretched += np.float32(0.5)  # to the nearest level
        if not (np.isfinite(reach).all() and np.isfinite(stretched).all()):
            return _careful_levels(maps, low, high)
    return stretched.astype(np.uint8).reshape(maps.shape)


def _careful_levels(maps: Floats, low: Floats, high: Floats) -> Levels:
    """The same for values that are not finite, or so far apart that float32 overflows."""
    bottom, top = low.astype(np.float64), high.astype(np.float64)
    reach = np.where(top > bottom, top - bottom, 1)
    shares = np.where(top > bottom, (np.clip(maps, bottom, top) - bottom) / reach, 0)
    return (np.nan_to_num(shares) * 255 + 0.5).astype(np.uint8)


def draw(tiles: Levels, layout: Layout) -> Levels:
    """Lay (height, width, n) levels out as one image, n at most ``layout.tiles``.

    Tiles are enlarged by repeating pixels, with gaps between them.
    """
    height, width, count = tiles.shape
    zoom = max(1, -(-TILE // width))
    tile = (height * zoom, width * zoom)
    page = np.full(
        (layout.rows * (tile[0] + GAP) - GAP, layout.columns * (tile[1] + GAP) - GAP),
        GROUND,
        np.uint8,
    )
    for place in range(min(count, layout.tiles)):
        row, column = divmod(place, layout.columns)
        top, left = row * (tile[0] + GAP), column * (tile[1] + GAP)
        enlarged = tiles[:, :, place].repeat(zoom, axis=0).repeat(zoom, axis=1)
        page[top : top + tile[0], left : left + tile[1]] = enlarged
    return page


def sheet(tiles: Levels, layout: Layout) -> Levels:
    """Lay levels out side by side at their own size, without gaps, for a page to cut tiles from.

    Maps much larger than a tile are shrunk by a whole number, so that no more is sent than shown.
    """
    tiles = _shrunk(tiles, max(1, tiles.shape[1] // TILE))
    height, width, count = tiles.shape
    whole = np.zeros((height, width, layout.tiles), np.uint8)
    whole[:, :, :count] = tiles
    grid = whole.reshape(height, width, layout.rows, layout.columns).transpose(2, 0, 3, 1)
    return grid.reshape(layout.rows * height, layout.columns * width)


def _shrunk(tiles: Levels, by: int) -> Levels:
    """Return the means of blocks of by × by pixels; what is left over at the edges is cut off."""
    height, width = tiles.shape[0] // by * by, tiles.shape[1] // by * by
    places = [slice(start, None, by) for start in range(by)]
    parts = [tiles[:height, :width][down, across] for down in places for across in places]
    if len(parts) == 1:
        return tiles
    total = parts[0].astype(np.uint32)
    for part in parts[1:]:
        total += part
    return (total // by**2).astype(np.uint8)


def to_png(levels: Levels, colours: Levels | None = None, *, keep: bool = False) -> bytes:
    """Return levels (height, width) as a PNG, grey, or with a palette of (256, 3) colours.

    The colours ride in the file's palette: the pixels stay one byte each. What is not to keep is
    not compressed: noisy maps shrink by a sixth, and that takes longer than all the rest.
    """
    image = Image.fromarray(np.ascontiguousarray(levels))
    if colours is not None and levels.ndim == 2:
        image.putpalette(colours.tobytes(), "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6 if keep else 0)
    return buffer.getvalue()
