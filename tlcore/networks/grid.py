"""A page of feature maps as one grey picture: rows × columns of tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tlcore.errors import BadConfig
from tlcore.networks.answers import Floats

GAP = 4  # pixels between tiles
GROUND = 255  # grey of the gaps and of the places past the last channel
TILE = 112  # a tile is at least this wide, by whole-number enlargement, so that pixels stay square


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


def draw(maps: Floats, layout: Layout) -> npt.NDArray[np.uint8]:
    """Draw (height, width, n) maps, n at most ``layout.tiles``, as one uint8 grey picture.

    Each map is stretched from its own lowest value (black) to its own highest (white); one that is
    the same everywhere is black. Tiles are enlarged by repeating pixels.
    """
    height, width, count = maps.shape
    low, high = maps.min(axis=(0, 1)), maps.max(axis=(0, 1))
    span = np.where(high > low, high - low, 1)
    grey = np.rint((maps - low) / span * 255).astype(np.uint8)
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
        enlarged = grey[:, :, place].repeat(zoom, axis=0).repeat(zoom, axis=1)
        page[top : top + tile[0], left : left + tile[1]] = enlarged
    return page


def save_png(page: npt.NDArray[np.uint8], path: str) -> None:
    """Write a drawn page as a PNG file."""
    Image.fromarray(page).save(path, format="PNG")
