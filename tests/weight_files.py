"""Weight files as large as real ones, of which only the first bytes are written."""

from __future__ import annotations

from pathlib import Path

from tlcore.models.catalog import Backbone
from tlcore.models.weights import HDF5_SIGNATURE, weights_file_name
from tlcore.settings import Settings

FEATURES = 1280  # of MobileNetV2


def write_stand_in(settings: Settings, backbone: Backbone, size: int, *, top: bool) -> Path:
    """Write a file that has the length and the superblock of a backbone's weights, and zeros."""
    settings.weights.mkdir(parents=True, exist_ok=True)
    path = settings.weights / weights_file_name(backbone, size, top=top)
    length = int(backbone.million * 1e6) * 4 + 300_000
    write_hdf5(path, length + (4 * 1000 * (FEATURES + 1) if top else 0))
    return path


def write_hdf5(path: Path, length: int) -> None:
    """Write the superblock (version 0) of an HDF5 file of so many bytes, and zeros behind it."""
    sizes = bytes([0, 0, 0, 0, 0, 8, 8, 0]) + bytes(8)
    none = b"\xff" * 8
    path.write_bytes(HDF5_SIGNATURE + sizes + bytes(8) + none + length.to_bytes(8, "little") + none)
    with path.open("r+b") as file:
        file.truncate(length)
