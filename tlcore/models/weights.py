"""Pretrained weight files: find and check them on this machine, download them.

Keras deletes a cached file whose hash is wrong when it cannot download another, and waits without
limit on a network that does not answer. So a file is found and checked here first, and a model is
only ever built from a path. The layout of the folder is Keras' own.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import numpy as np

from tlcore.errors import WeightsDamaged, WeightsMissing
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings
from tlcore.storage import FileState, explain_os_error, file_state, is_disk_error

Progress = Callable[[int, int | None], None]  # bytes here, bytes in all where that is known
DenseLayer = tuple[Floats, Floats]  # kernel and bias
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
FALLBACK_ROWS = 224  # the resolution Keras takes for a size that has no file of its own
SILENCE = 30.0  # s without a byte after which a download fails
_SUPERBLOCK = 64  # bytes at the start of a file that are checked


@dataclass(frozen=True)
class WeightFile:
    """A weight file that is here and sound."""

    path: Path
    note: str = ""  # shown beside every prediction; "" where the file is the very one


@dataclass(frozen=True)
class BackboneWeights:
    """The weight files of a backbone at its default size."""

    backbone: Backbone
    top: WeightFile | None
    no_top: WeightFile | None
    damage: tuple[str, ...] = ()  # what is wrong with files that are here, for a person

    @property
    def note(self) -> str:
        file = self.no_top or self.top
        return file.note if file else ""


def weights_file_name(backbone: Backbone, size: int, *, top: bool) -> str:
    """Return the name of the file that Keras itself would look for."""
    files = backbone.files
    name = files.top if top else files.no_top
    return name.format(rows=size if size in files.rows else FALLBACK_ROWS)


def weights_url(backbone: Backbone, size: int, settings: Settings, *, top: bool) -> str:
    """Return the URL from which that file is downloaded."""
    name = weights_file_name(backbone, size, top=top)
    return f"{settings.weights_url}/{backbone.files.address}/{name}"


def find_weights(backbone: Backbone, size: int, settings: Settings, *, top: bool) -> WeightFile:
    """Return the best weight file on this machine.

    Where Keras has one file for each resolution and only another one's is here, that one is
    returned with a note: convolutions fit any size.

    Raises:
        WeightsDamaged: it is here, but cut short, or not this backbone's.
        WeightsMissing: none is here.
    """
    wanted = settings.weights / weights_file_name(backbone, size, top=top)
    template = backbone.files.top if top else backbone.files.no_top
    candidates = {wanted: ""}  # path → note
    for rows in sorted(backbone.files.rows, key=lambda rows: (abs(rows - size), -rows)):
        note = f"weights trained at {rows} px, used at {size} px"
        candidates.setdefault(settings.weights / template.format(rows=rows), note)
    for path, note in candidates.items():
        if path.is_file():
            if fault := check_weights(path, backbone, top=top):
                raise damaged_weights(path, backbone, size, fault)
            return WeightFile(path, note)
    raise WeightsMissing(
        f"The ImageNet weights of {backbone.name} are not on this machine: there is no file "
        f"{wanted.name} in {settings.weights}. Fetch it with `{_command(backbone, size)}`, or put "
        f"it there yourself from {weights_url(backbone, size, settings, top=top)}, or go on with "
        "random weights."
    )


def pin_weights(ref: ModelRef, settings: Settings) -> ModelRef:
    """Return a reference that names the state of its weight file.

    With another file it is another model: nothing that was loaded or predicted under the earlier
    reference is used for it.

    Raises:
        WeightsMissing: as ``find_weights``.
    """
    if ref.random:
        return ref
    path = find_weights(BACKBONES[ref.backbone], ref.size, settings, top=ref.top).path
    return replace(ref, weights=f"{path.name} {path.stat().st_mtime_ns}")


def list_weights(settings: Settings) -> list[BackboneWeights]:
    """Return what is here for every backbone of the catalog, in its order."""
    rows = []
    for backbone in BACKBONES.values():
        files: dict[bool, WeightFile | None] = {True: None, False: None}
        damage = []
        for top in files:
            try:
                files[top] = find_weights(backbone, backbone.size, settings, top=top)
            except WeightsDamaged as error:
                damage.append(str(error))
            except WeightsMissing:
                continue
        rows.append(BackboneWeights(backbone, files[True], files[False], tuple(damage)))
    return rows


def hash_network(row: Backbone, path: Path) -> str:
    """Return what identifies an ImageNet network: its weight file, and how it is built for it."""
    return " ".join([hash_weights(path), *(f"{factor:.6f}" for factor in row.imagenet_scale)])


def hash_weights(path: Path) -> str:
    """Return the sha256 of a weight file, computed once for each state of the file."""
    return _hash_file(path, file_state(path))


@lru_cache(maxsize=64)
def _hash_file(path: Path, state: FileState) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_pooled_top(backbone: Backbone, size: int, settings: Settings) -> DenseLayer | None:
    """Return kernel (features, 1000) and bias (1000,) that give the logits of ImageNet's classes
    from average-pooled features.

    None where the top is another one, and where the files with and without top do not hold the
    same backbone, to the bit.
    """
    if not backbone.pooled_top:
        return None
    try:
        paths = [find_weights(backbone, size, settings, top=top).path for top in (True, False)]
        return _read_top(*paths, file_state(paths[0]), file_state(paths[1]))
    except Exception:  # h5py raises all kinds for a damaged file, which Keras names later
        return None


@lru_cache(maxsize=16)
def _read_top(whole: Path, body: Path, *states: FileState) -> DenseLayer | None:
    [*before, kernel, bias] = _read_arrays(whole)
    for one, other in zip(before, _read_arrays(body), strict=True):
        if not np.array_equal(one, other):
            return None
    return kernel.reshape(-1, kernel.shape[-1]), bias  # MobileNet's is a convolution of one pixel


def _read_arrays(path: Path) -> Iterator[Floats]:
    """Yield the weights of a file in Keras' older format, in the order of the layers."""
    import h5py  # here: pages need it only in the process that answers

    with h5py.File(path) as file:
        for layer in file.attrs["layer_names"]:
            for name in file[layer].attrs["weight_names"]:
                yield file[layer][name][()]


def _command(backbone: Backbone, size: int) -> str:
    sized = f" --size {size}" if backbone.files.rows and size != backbone.size else ""
    return f"python -m tlcore weights fetch {backbone.name}{sized}"


def damaged_weights(path: Path, backbone: Backbone, size: int, fault: str) -> WeightsDamaged:
    """Return the error that names a weight file and what is wrong with it."""
    return WeightsDamaged(
        f"The file {path.name} in {path.parent} does not hold the weights of {backbone.name}: "
        f"{fault}. Fetch it again with `{_command(backbone, size)}`, which replaces it, or go on "
        "with random weights."
    )


def check_weights(path: Path, backbone: Backbone, *, top: bool) -> str:
    """Return what is wrong with a weight file, "" where nothing is.

    Where Keras knows a hash of the file, that is compared; else its size with the one that the
    file itself notes. Whether the values fit the backbone is seen when they are loaded.
    """
    try:
        state = path.stat()
        return _fault(path, backbone, top, state.st_mtime_ns, state.st_size)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


@lru_cache(maxsize=256)
def _fault(path: Path, backbone: Backbone, top: bool, changed: int, size: int) -> str:
    """Do what ``check_weights`` does; the file is read once for each of its states."""
    if not size:
        return "it is empty"
    expected = backbone.files.top_hash if top else backbone.files.no_top_hash
    with path.open("rb") as file:
        noted = _noted_size(file.read(_SUPERBLOCK))
        if noted is None:
            return "it is no HDF5 file"
        if size < noted:
            return f"it was cut short, {size:,} of {noted:,} bytes"
        if not expected:
            return ""
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


def download_weights(
    backbone: Backbone, size: int, settings: Settings, *, top: bool, progress: Progress
) -> Path:
    """Download one weight file into Keras' folder and return its path.

    It is written into a temporary folder and moves over when it is complete and checked, so that
    an interrupted download never looks like weights. A damaged file of that name is replaced.

    Raises:
        WeightsMissing: the address did not answer, or sent something else, or the disk is full.
    """
    target = settings.weights / weights_file_name(backbone, size, top=top)
    origin = weights_url(backbone, size, settings, top=top)
    advice = f"Check the network, or put the file into {settings.weights} yourself."
    try:
        settings.weights.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=settings.weights) as folder:
            partial = Path(folder) / target.name
            _download(origin, partial, progress)
            fault = check_weights(partial, backbone, top=top)
            if not fault:
                partial.replace(target)
                return target
    except (OSError, HTTPException, ValueError) as error:
        fault = str(error)
        if isinstance(error, URLError) and not isinstance(error, HTTPError):
            raise WeightsMissing(
                f"No internet: {urlsplit(origin).hostname} cannot be reached. Put {target.name} "
                f"into {settings.weights} yourself, from {origin}."
            ) from error
        if isinstance(error, OSError) and is_disk_error(error):
            advice = explain_os_error(error)
    raise WeightsMissing(f"{target.name} could not be downloaded from {origin}: {fault}. {advice}")


def _download(origin: str, path: Path, progress: Progress) -> None:
    """Download a file; report its size four times a second, and once at the end."""
    done, reported = 0, 0.0
    with urllib.request.urlopen(origin, timeout=SILENCE) as answer, path.open("wb") as file:
        total = int(answer.headers["Content-Length"] or 0) or None
        while chunk := answer.read(2**18):
            file.write(chunk)
            done += len(chunk)
            if time.monotonic() - reported > 0.25:
                progress(done, total)
                reported = time.monotonic()
    progress(done, total)
