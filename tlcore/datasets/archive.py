"""A zip of images, read without trusting it: nothing is unpacked to disk, limits are enforced.

What may be wrong with the archive as a whole raises; what is wrong with one entry makes that entry
arrive as a refusal, and the rest still comes.
"""

from __future__ import annotations

import functools
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from tlcore.datasets.dataset import Incoming
from tlcore.datasets.layout import is_system_file
from tlcore.errors import BadDataset, BadImage
from tlcore.settings import Limits

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
_ENCRYPTED = 0x1  # in an entry's flags
_DIRECTORY_BYTES = 20 * 2**20  # of a zip's table of contents: room for names of 1,000 bytes
_END = struct.Struct("<4s4H2LH")  # the record that ends a zip
_END64_BYTES = 56 + 20  # the record and its locator that precede it in a zip64
_IN_64 = 2**32 - 1  # a claim of this value means: see the zip64 record
_CHUNK = 2**20


def incoming_from_zip(source: Path | IO[bytes], limits: Limits) -> list[Incoming]:
    """Return every file of a zip, in its order, dangerous ones as refusals.

    The archive stays open until the last `Incoming` is gone; `source` must stay usable as long.

    Raises:
        BadDataset: no zip, a damaged one, or larger than the limits for a whole archive.
    """
    name = source.name if isinstance(source, Path) else "The upload"
    try:
        _check_archive(source, name, limits)
        archive = ZipFile(source)
    except BadDataset:
        raise
    except Exception as error:  # zipfile raises many kinds on damaged bytes
        raise BadDataset(
            f"{name}: Expected a zip archive of images. Received a file that is none or is "
            f"damaged ({error}). Make the zip again, or upload the images themselves."
        ) from error
    return _incoming(archive, limits)


def _incoming(archive: ZipFile, limits: Limits) -> list[Incoming]:
    entries = [entry for entry in archive.infolist() if not _is_ignored(entry)]
    room = limits.archive_unpacked_bytes
    arriving = []
    for entry in entries[: limits.archive_files]:
        file = entry.filename.replace("\\", "/")
        reason = _refusal_reason(entry, file, room, limits)
        if reason is None:
            room -= entry.file_size
            read = functools.partial(_read, archive, entry, file)
            arriving.append(Incoming(file, read, entry.file_size))
        else:
            arriving.append(Incoming.refused(file, reason, entry.file_size))
    return arriving + _too_many(entries, limits)


def _is_ignored(entry: ZipInfo) -> bool:
    return entry.is_dir() or is_system_file(entry.filename)


def _refusal_reason(entry: ZipInfo, file: str, room: int, limits: Limits) -> str | None:
    """Return why an entry is refused before a byte of it is read, or None."""
    for is_wrong, reason in _RULES:
        if is_wrong(entry, file, limits):
            return reason
    if entry.file_size > limits.file_bytes:
        return (
            f"Expected at most {limits.file_bytes / 2**20:.3g} MB. "
            f"Received {entry.file_size / 2**20:.3g} MB. Make the image smaller."
        )
    if entry.file_size > room:
        return (
            f"Expected at most {limits.archive_unpacked_bytes / 2**30:.3g} GB in a zip when "
            "unpacked. Received more before this file. Use several zips."
        )
    return None


def _climbs(entry: ZipInfo, file: str, limits: Limits) -> bool:
    drive = file[1:2] == ":" and file[:1].isalpha()
    return file.startswith("/") or drive or ".." in file.split("/")


def _is_special(entry: ZipInfo, file: str, limits: Limits) -> bool:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return kind not in (0, stat.S_IFREG)


def _is_encrypted(entry: ZipInfo, file: str, limits: Limits) -> bool:
    return bool(entry.flag_bits & _ENCRYPTED)


def _is_archive(entry: ZipInfo, file: str, limits: Limits) -> bool:
    return file.lower().endswith(_ARCHIVES)


def _is_rare(entry: ZipInfo, file: str, limits: Limits) -> bool:
    return entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED)


def _is_bomb(entry: ZipInfo, file: str, limits: Limits) -> bool:
    return entry.file_size > limits.archive_ratio * max(entry.compress_size, 1)


_RULES: tuple[tuple[Callable[[ZipInfo, str, Limits], bool], str], ...] = (
    (_climbs, "Expected a name inside the zip. Received one that leads out of it."),
    (_is_special, "Expected a file. Received a link or a device."),
    (_is_encrypted, "Expected a file without a password. Received an encrypted one."),
    (_is_archive, "Expected an image. Received an archive inside the archive: unpack it first."),
    (_is_rare, "Expected an ordinary zip entry. Received a rare compression: zip it again."),
    (_is_bomb, "Expected an image. Received an entry that is far larger unpacked than packed."),
)


def _too_many(entries: list[ZipInfo], limits: Limits) -> list[Incoming]:
    """Return one refusal in the name of all entries beyond the limit."""
    if len(entries) <= limits.archive_files:
        return []
    beyond = len(entries) - limits.archive_files
    return [
        Incoming.refused(
            entries[limits.archive_files].filename,
            f"Expected at most {limits.archive_files} files in a zip. Received {len(entries)}: "
            f"this one and the {beyond - 1} after it are left out. Use several zips.",
        )
    ]


def _read(archive: ZipFile, entry: ZipInfo, file: str) -> bytes:
    """Return the bytes of an entry, never more than its header announced."""
    try:
        with archive.open(entry) as unpacked:
            chunks = []
            received = 0
            while chunk := unpacked.read(_CHUNK):
                received += len(chunk)
                if received > entry.file_size:
                    raise zipfile.BadZipFile("more bytes than announced")
                chunks.append(chunk)
            return b"".join(chunks)
    except Exception as error:  # zipfile and zlib raise many kinds on damaged bytes
        raise BadImage(
            f"{file}: Expected an entry of a zip that can be unpacked. Received a damaged one "
            f"({error or type(error).__name__})."
        ) from error


def _check_archive(source: Path | IO[bytes], name: str, limits: Limits) -> None:
    """Refuse an archive too large to be opened safely: opening reads all its table of contents."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _check_archive(file, name, limits)
    size = source.seek(0, 2)
    if size > limits.archive_bytes:
        raise BadDataset(
            f"{name}: Expected a zip of at most {limits.archive_bytes / 2**20:.3g} MB. "
            f"Received {size / 2**20:.3g} MB. Use several zips and add them one after another."
        )
    if _directory_bytes(source, size) > _DIRECTORY_BYTES:
        raise BadDataset(
            f"{name}: Expected a zip of at most {limits.archive_files} files. Received one with "
            "far more. Use several zips and add them one after another."
        )
    source.seek(0)
    return None


def _directory_bytes(source: IO[bytes], size: int) -> int:
    """Return the announced length of the table of contents, where zipfile will read it."""
    source.seek(max(0, size - _END.size - 2**16 - _END64_BYTES))
    tail = source.read()
    at = len(tail) - _END.size
    if not tail.startswith(b"PK\5\6", max(at, 0)):
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        return 0  # no zip: opening it says so
    claimed: int = _END.unpack_from(tail, at)[5]
    at64 = at - _END64_BYTES
    if at64 >= 0 and tail.startswith(b"PK\6\6", at64):
        claimed = max(claimed % _IN_64, int.from_bytes(tail[at64 + 40 : at64 + 48], "little"))
    return claimed
