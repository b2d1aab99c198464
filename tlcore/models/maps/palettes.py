"""Colours for values 0 to 255: tables of a few anchors, evenly spaced, with straight lines between.

"grey", "blue" and "fire" grow steadily in lightness, so that they read the same to people who see
colours differently and on paper; "signed" is for values around 0, blue below and orange above.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

from tlcore.errors import UnknownName
from tlcore.models.grid import Levels

PALETTES: Mapping[str, tuple[tuple[int, int, int], ...]] = MappingProxyType(
    {
        "grey": ((0, 0, 0), (255, 255, 255)),
        "blue": ((4, 12, 30), (0, 62, 108), (0, 114, 178), (86, 180, 233), (236, 248, 255)),
        "fire": ((10, 4, 20), (88, 20, 70), (178, 44, 46), (230, 130, 20), (255, 244, 190)),
        "signed": ((0, 60, 110), (86, 180, 233), (246, 246, 246), (240, 160, 60), (150, 60, 0)),
    }
)


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
