"""Pictures as the network sees them, small enough to travel inside a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from tlcore.datasets.decode import read
from tlcore.datasets.geometry import fit
from tlcore.errors import BadImage
from tlcore.evaluation.report.marks import text
from tlcore.settings import Limits

SIDE = 224  # px; drawn at about half of it, so that it is sharp on every screen and on paper
QUALITY = 82


def face(path: Path, how: str, limits: Limits) -> str:
    """Return a picture file as a data address, a square of SIDE px; "" where it is gone."""
    try:
        square = fit(read(path, limits), SIDE, how)
    except BadImage:
        return ""
    buffer = io.BytesIO()
    Image.fromarray(square).save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def tiled(tiles: Iterable[tuple[str, str, str]]) -> str:
    """Return pictures in rows: each an address, its file's name, its caption in HTML."""
    return "".join(
        f'<figure class=tile title="{text(file)}">'
        f"{_image(address)}<figcaption>{caption}</figcaption></figure>"
        for address, file, caption in tiles
    ).join(("<div class=tiles>", "</div>"))


def _image(address: str) -> str:
    return f'<img src="{address}" alt="">' if address else "<span class=gone>gone</span>"
