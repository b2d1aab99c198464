"""Which pretrained weights are on this machine, and whole, found before Keras looks.

Keras deletes a cached file whose hash is wrong when it cannot download another, and waits without
limit on a network that does not answer. So a file is found and checked here first, and a network
is only ever built from a path. The layout of the folder is Keras' own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from tlcore.errors import WeightsDamaged, WeightsMissing
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SUPERBLOCK = 64  # bytes of the file that are looked at
# Bytes around the values of the backbones without a hash, MobileNet and MobileNetV2: names and
# places of up to 262 arrays (they take 210 to 390 kB), and 1000 classes over 256 to 1,792 features.
_ABOUT = 700_000
_SMALLEST_TOP, _LARGEST_TOP = 4 * 1000 * 257, 4 * 1000 * 1793
FALLBACK_ROWS = 224  # the resolution Keras takes for a size that has no file of its own


@dataclass(frozen=True)
class Found:
    """A weight file that is here and sound."""

    path: Path
    note: str = ""  # said wherever an answer is shown; "" where the file is the very one


@dataclass(frozen=True)
class Ready:
    """One row of the list of weights: what is here for a backbone at its default size."""

    backbone: Backbone
    top: Found | None
    no_top: Found | None
    damage: tuple[str, ...] = ()  # what is wrong with files that are here, for a person

    @property
    def note(self) -> str:
        found = self.no_top or self.top
        return found.note if found else ""


def file_name(backbone: Backbone, size: int, *, top: bool) -> str:
    """Return the name of the file that Keras itself would look for."""
    files = backbone.files
    name = files.top if top else files.no_top
    return name.format(rows=size if size in files.rows else FALLBACK_ROWS)


def address(backbone: Backbone, size: int, settings: Settings, *, top: bool) -> str:
    """Return the URL from which that file is downloaded."""
    return f"{settings.weights_url}/{backbone.files.address}/{file_name(backbone, size, top=top)}"


def find(backbone: Backbone, size: int, settings: Settings, *, top: bool) -> Found:
    """Return the best weight file on this machine.

    Where Keras keeps one file for each resolution and only another one's is here, that one is
    returned with a note: convolutions fit any size.

    Raises:
        WeightsDamaged: it is here, but not whole, or not this backbone's.
        WeightsMissing: none is here.
    """
    wanted = settings.weights / file_name(backbone, size, top=top)
    if wanted.is_file():
        _check(wanted, backbone, size, top=top)
        return Found(wanted)
    template = backbone.files.top if top else backbone.files.no_top
    for rows in sorted(backbone.files.rows, key=lambda rows: (abs(rows - size), -rows)):
        other = settings.weights / template.format(rows=rows)
        if other.is_file():
            _check(other, backbone, size, top=top)
            return Found(other, f"weights trained at {rows} px, used at {size} px")
    raise WeightsMissing(
        f"Expected the ImageNet weights of {backbone.name} in the file {wanted.name} in "
        f"{settings.weights}. Received no such file. Fetch it with "
        f"`{_command(backbone, size)}`, or put it there yourself from "
        f"{address(backbone, size, settings, top=top)}, or go on with random weights."
    )


def with_weights(ref: ModelRef, settings: Settings) -> ModelRef:
    """Return a reference that names the state of its weight file.

    Where a better file comes, or another in its place, it is another network: nothing that was
    loaded or answered under the earlier reference is given for it.

    Raises:
        WeightsMissing: as ``find``.
    """
    if ref.random:
        return ref
    path = find(BACKBONES[ref.backbone], ref.size, settings, top=ref.top).path
    return replace(ref, weights=f"{path.name} {path.stat().st_mtime_ns}")


def ready(settings: Settings) -> list[Ready]:
    """Return what is here for every backbone of the catalogue, in its order."""
    return [_ready(backbone, settings) for backbone in BACKBONES.values()]


def _ready(backbone: Backbone, settings: Settings) -> Ready:
    files: dict[bool, Found | None] = {}
    damage = []
    for top in (True, False):
        files[top] = None
        try:
            files[top] = find(backbone, backbone.size, settings, top=top)
        except WeightsDamaged as error:
            damage.append(str(error))
        except WeightsMissing:
            pass
    return Ready(backbone, files[True], files[False], tuple(damage))


def _command(backbone: Backbone, size: int) -> str:
    sized = f" --size {size}" if backbone.files.rows and size != backbone.size else ""
    return f"python -m tlcore weights fetch {backbone.name}{sized}"


def damaged(path: Path, backbone: Backbone, size: int, fault: str) -> WeightsDamaged:
    """Return the error that names a weight file and what is wrong with it."""
    return WeightsDamaged(
        f"The file {path.name} in {path.parent} does not hold the weights of {backbone.name}: "
        f"{fault}. Fetch it again with `{_command(backbone, size)}`, which replaces it, or go on "
        "with random weights."
    )


def _check(path: Path, backbone: Backbone, size: int, *, top: bool) -> None:
    if fault := fault_of(path, backbone, top=top):
        raise damaged(path, backbone, size, fault)


def fault_of(path: Path, backbone: Backbone, *, top: bool) -> str:
    """Return what is wrong with a weight file, "" where nothing is.

    Where Keras knows a hash of the file, that is compared; else its size, with the one that
    the file itself notes and with the parameters of the backbone.
    """
    try:
        state = path.stat()
        return _fault(path, backbone, top, state.st_mtime_ns, state.st_size)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


@lru_cache(maxsize=256)
def _fault(path: Path, backbone: Backbone, top: bool, changed: int, size: int) -> str:
    """Do what ``fault_of`` does; the file is read once for each of its states."""
    if not size:
        return "it is empty"
    expected = backbone.files.hash_of(top=top)
    with path.open("rb") as file:
        noted = _noted_size(file.read(_SUPERBLOCK))
        if noted is None:
            return "it is no HDF5 file"
        if size < noted:
            return f"it was cut short, {size:,} of {noted:,} bytes"
        if not expected:
            return _fault_of_size(size, backbone, top=top)
        file.seek(0)
        kind = "md5" if len(expected) == 32 else "sha256"
        received = hashlib.file_digest(file, kind).hexdigest()
    return "" if received == expected else f"its {kind} is {received}, not {expected}"


def _noted_size(head: bytes) -> int | None:
    """Return the size that an HDF5 file notes of itself, bytes; None where this is none.

    The end-of-file address of the superblock, as the HDF5 File Format Specification 3.0 has it:
    behind two addresses of 8 bytes, which begin at byte 24 in versions 0 and 1 (28 in version 1)
    and at byte 12 in versions 2 and 3. Keras writes version 0.
    """
    if len(head) < _SUPERBLOCK or not head.startswith(HDF5_SIGNATURE):
        return None
    start = {0: 24, 1: 28, 2: 12, 3: 12}.get(head[8])
    if start is None or head[13 if head[8] < 2 else 9] != 8:  # bytes of an address
        return None
    return int.from_bytes(head[start + 16 : start + 24], "little")


def _fault_of_size(size: int, backbone: Backbone, *, top: bool) -> str:
    """Return what a file's size says of it, float32 values and some bytes about each array."""
    low = int(backbone.million * 1e6) * 4
    high = low + low // 10 + _ABOUT
    if top:
        low, high = low + _SMALLEST_TOP, high + _LARGEST_TOP
    if low <= size <= high:
        return ""
    return f"it has {size:,} bytes, where {low:,} to {high:,} are to be expected"
