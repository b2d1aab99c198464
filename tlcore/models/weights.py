"""Which pretrained weights are on this machine, found before Keras looks.

Keras deletes a cached file whose hash is wrong when it cannot download another, and waits without
limit on a network that does not answer. So a file is found and checked here first, and a network
is only ever built from a path. The layout of the folder is Keras' own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from tlcore.errors import WeightsMissing
from tlcore.models.answers import Pretrained
from tlcore.models.catalogue import BACKBONES, Backbone
from tlcore.settings import Settings

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
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
        WeightsMissing: none is here, or it is damaged.
    """
    wanted = settings.weights / file_name(backbone, size, top=top)
    if wanted.is_file():
        _check(wanted, backbone, top=top, fetch=_command(backbone, size))
        return Found(wanted)
    template = backbone.files.top if top else backbone.files.no_top
    for rows in sorted(backbone.files.rows, key=lambda rows: (abs(rows - size), -rows)):
        other = settings.weights / template.format(rows=rows)
        if other.is_file():
            _check(other, backbone, top=top, fetch=_command(backbone, size))
            return Found(other, f"weights trained at {rows} px, used at {size} px")
    raise WeightsMissing(
        f"Expected the ImageNet weights of {backbone.name} in the file {wanted.name} in "
        f"{settings.weights}. Received no such file. Fetch it with "
        f"`{_command(backbone, size)}`, or put it there yourself from "
        f"{address(backbone, size, settings, top=top)}, or go on with random weights."
    )


def with_weights(ref: Pretrained, settings: Settings) -> Pretrained:
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
    return [
        Ready(
            backbone,
            top=_find_or_none(backbone, settings, top=True),
            no_top=_find_or_none(backbone, settings, top=False),
        )
        for backbone in BACKBONES.values()
    ]


def _find_or_none(backbone: Backbone, settings: Settings, *, top: bool) -> Found | None:
    try:
        return find(backbone, backbone.size, settings, top=top)
    except WeightsMissing:
        return None


def _command(backbone: Backbone, size: int) -> str:
    sized = f" --size {size}" if backbone.files.rows and size != backbone.size else ""
    return f"python -m tlcore weights fetch {backbone.name}{sized}"


def _check(path: Path, backbone: Backbone, *, top: bool, fetch: str) -> None:
    expected = backbone.files.top_hash if top else backbone.files.no_top_hash
    facts = path.stat()
    fault = _fault(path, expected, facts.st_mtime_ns, facts.st_size)
    if fault:
        raise WeightsMissing(
            f"Expected {path} to hold the weights of {backbone.name}. Received {fault}. "
            f"Move the file away, then fetch it again with `{fetch}`."
        )


@lru_cache(maxsize=256)
def _fault(path: Path, expected: str, changed: int, size: int) -> str:
    """Say what is wrong with the file, or "". Read once for each state of the file."""
    with path.open("rb") as file:
        if file.read(len(HDF5_SIGNATURE)) != HDF5_SIGNATURE:
            return "a file that is no HDF5 file"
        if not expected:
            return ""
        file.seek(0)
        kind = "md5" if len(expected) == 32 else "sha256"
        received = hashlib.file_digest(file, kind).hexdigest()
    return "" if received == expected else f"a file whose {kind} is {received}, not {expected}"
