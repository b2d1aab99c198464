"""What a cached value depends on, as a name: change any of it and the name is another."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tlcore.models.catalog import Backbone

ROW_ID = 32  # bytes
ARITHMETIC = 3  # counted up when the same network's values change by as much as their rounding,
# or when the files of a shelf do


@dataclass(frozen=True)
class FeatureKey:
    """The network, the layer and the geometry that all values of one shelf share."""

    backbone: str
    weights: str  # network_id, or "random": those are the same every time
    layer: str  # whose output it is; "pooling-avg" for pooled bottleneck features
    size: int  # side of the network's input, pixels
    fit: str  # geometry

    @property
    def name(self) -> str:
        """The shelf's folder: readable first, then what makes it the only one."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:16]
        return f"{self.backbone}-{self.size}-{self.layer}-{digest}".replace("/", "_")

    @property
    def text(self) -> str:
        return json.dumps(dataclasses.asdict(self) | {"arithmetic": ARITHMETIC}, sort_keys=True)


def row_id(sha256: str, view: str) -> bytes:
    """Return the id of one image's value.

    Args:
        sha256: of the image's bytes, hexadecimal.
        view: how it was changed before the network saw it; "" for not at all.
    """
    if not view:
        return bytes.fromhex(sha256)
    return hashlib.sha256(f"{sha256}|{view}".encode()).digest()


def hash_network(row: Backbone, path: Path) -> str:
    """Return what an ImageNet network is known by: its weight file, and how it is built for it."""
    return " ".join([hash_weights(path), *(f"{factor:.6f}" for factor in row.imagenet_scale)])


def hash_weights(path: Path) -> str:
    """Return the sha256 of a weight file, read once for each state of the file."""
    facts = path.stat()
    return _digest(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _digest(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
