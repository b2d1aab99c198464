"""Archives of images (zip, tar), read without trusting them; Parquet files and videos likewise.

What may be wrong with an archive as a whole raises; what is wrong with one entry makes that entry
arrive as a refusal, and the rest still comes. An archive inside an archive is opened too, one level
deep. Nothing is unpacked under a name of the archive: what cannot be read in place (a compressed
tar, an inner archive) goes to a temporary file without a name.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import struct
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from tlcore.datasets.dataset import Incoming
from tlcore.datasets.folder_names import is_system_file, may_be_image
from tlcore.datasets.parquet import read_parquet
from tlcore.datasets.spool import open_file, temporary_file
from tlcore.datasets.video import VIDEO_ENDINGS, read_video
from tlcore.errors import BadDataset, BadImage
from tlcore.settings import Limits
from tlcore.text import file_size

ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".txz", ".parquet",
                   *VIDEO_ENDINGS)  # fmt: skip
_UNREADABLE = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst")
_ENCRYPTED = 0x1  # in an entry's flags
_DIRECTORY_BYTES = 20 * 2**20  # of a zip's table of contents: room for names of 1,000 bytes
_END = struct.Struct("<4s4H2LH")  # the record that ends a zip
_END64_BYTES = 56 + 20  # the record and its locator that precede it in a zip64
_IN_64 = 2**32 - 1  # a claim of this value means: see the zip64 record
_CHUNK = 2**20
_SMALL = 64 * 2**20  # bytes up to which a tar may unpack to whatever it was packed to
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
_CLIMBS = "Expected a name inside the archive. Received one that leads out of it."
_SPECIAL = "Expected a file. Received a link or a device."


@dataclass(frozen=True)
class _Entry:
    """One file of an archive, as its table of contents announces it."""

    file: str
    size: int  # bytes, unpacked
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    refusal: str = ""  # why it is refused before a byte of it is read

    def read(self) -> bytes:
        """Return the bytes, never more than announced; BadImage where they are damaged."""
        try:
            with self.open() as unpacked:
                return b"".join(_read_chunks(unpacked, self.size))
        except Exception as error:  # zipfile, tarfile and zlib raise many kinds on damaged bytes
            raise BadImage(
                f"{self.file}: Expected an entry of an archive that can be unpacked. Received a "
                f"damaged one ({error or type(error).__name__})."
            ) from error


def is_archive(name: str) -> bool:
    """Whether a name ends like a file that holds several images: an archive, Parquet or a video."""
    return name.lower().endswith(ARCHIVE_ENDINGS)


def archive_title(name: str) -> str:
    """Return an archive's name without folders and ending: "cats" for "a/cats-samples.zip"."""
    base = PurePosixPath(name.replace("\\", "/")).name
    ending = next((e for e in sorted(ARCHIVE_ENDINGS, key=len, reverse=True)
                   if base.lower().endswith(e)), "")  # fmt: skip
    return base[: len(base) - len(ending)].removesuffix("-samples") or base


def incoming_from_archive(
    source: Path | IO[bytes], limits: Limits, name: str = ""
) -> list[Incoming]:
    """Return every file of an archive, in its order, dangerous ones as refusals.

    The archive stays open until the last `Incoming` is gone; `source` must stay usable as long.

    Args:
        source: the archive; a file that can seek.
        limits: of the archive, of its files and of all of them unpacked.
        name: of the archive, for messages; by default that of the path.

    Returns:
        Names as in the archive; where none of its images is in a folder, in one called like the
        archive. Files of an inner archive are in a folder called like that.

    Raises:
        BadDataset: no archive, a damaged one, or larger than the limits for a whole archive.
    """
    name = name or (source.name if isinstance(source, Path) else "The upload")
    return put_loose_in_folder(_list_archive(source, limits, name), archive_title(name))


def incoming_from_one_of_several(
    source: Path | IO[bytes], file: str, limits: Limits
) -> list[Incoming]:
    """Return the files of an archive that lies beside other files: in a folder called like it.

    Takes what ``incoming_from_archive`` takes, ``file`` with its folders; raises alike.
    """
    return _put_beside(_list_archive(source, limits, file.rpartition("/")[2]), file)


def _put_beside(incoming: list[Incoming], file: str) -> list[Incoming]:
    """Put the files of an archive where it lies, in a folder called like it.

    Those of a Parquet file are in folders of split and label already, and the frames of a video
    belong to the folder that it is in.
    """
    parent, _, base = file.rpartition("/")
    folders = [parent] if parent else []
    lower = base.lower()
    if not (lower.endswith(".parquet") or (parent and lower.endswith(VIDEO_ENDINGS))):
        folders.append(archive_title(base))
    return put_in_folder(incoming, "/".join(folders))


def put_loose_in_folder(incoming: list[Incoming], folder: str) -> list[Incoming]:
    """Return files inside a folder if none of their images is in one; else as they are."""
    images = (i.file for i in incoming if may_be_image(i.file) and not is_system_file(i.file))
    return incoming if any("/" in file for file in images) else put_in_folder(incoming, folder)


def put_in_folder(incoming: Iterable[Incoming], folder: str) -> list[Incoming]:
    """Return the same files inside a folder; "" changes nothing."""
    return [replace(item, file=f"{folder}/{item.file}".lstrip("/")) for item in incoming]


def _list_archive(source: Path | IO[bytes], limits: Limits, name: str) -> list[Incoming]:
    """Return the files of an archive by their names in it. Raises as ``incoming_from_archive``."""
    try:
        file = open_file(source) if isinstance(source, Path) else source
        return _open_archive(file, name, limits, depth=0)
    except BadDataset:
        raise
    except Exception as error:  # the libraries raise many kinds on damaged bytes
        raise BadDataset(
            f"{name}: Expected an archive of images (zip, tar, Parquet) or a video. Received a "
            f"file that is none or is damaged ({error}). Make it again, or upload the images "
            "themselves."
        ) from error


def _open_archive(file: IO[bytes], name: str, limits: Limits, depth: int) -> list[Incoming]:
    size = file.seek(0, 2)
    file.seek(0)
    if size > limits.archive_bytes:
        raise BadDataset(
            f"{name}: Expected an archive of at most {file_size(limits.archive_bytes)}. "
            f"Received {file_size(size)}. Use several and add them one after another."
        )
    head = file.read(16)
    file.seek(0)
    if head.startswith(b"PAR1"):
        return read_parquet(file, name, limits)
    if name.lower().endswith(VIDEO_ENDINGS):
        return read_video(file, name, limits)
    entries = _zip_entries(file, name, limits) if head.startswith(b"PK") else (
        _tar_entries(file, name, limits))  # fmt: skip
    return _check_entries(list(entries), limits, depth)


def _check_entries(entries: list[_Entry], limits: Limits, depth: int) -> list[Incoming]:
    """Return what arrives of an archive's entries, those of inner archives among them."""
    arriving: list[Incoming] = []
    room, files = limits.archive_unpacked_bytes, limits.archive_files
    for number, entry in enumerate(entries):
        if files <= 0:
            arriving.append(_too_many(entry.file, len(entries) - number, limits))
            break
        refusal = entry.refusal or _refusal_reason(entry, room, limits, depth)
        if refusal:
            inside = [Incoming.refused(entry.file, refusal, entry.size)]
        elif is_archive(entry.file):
            inside = _open_inner(entry, room, files, limits)
        else:
            inside = [Incoming(entry.file, entry.read, entry.size)]
        room -= sum(item.size for item in inside if not refusal)
        files -= len(inside)
        arriving += inside
    return arriving


def _refusal_reason(entry: _Entry, room: int, limits: Limits, depth: int) -> str:
    """Return why an entry that is a file is refused, "" where it is not."""
    inner = is_archive(entry.file)
    if (inner and depth) or (entry.file.lower().endswith(_UNREADABLE) and not inner):
        return "Expected an image. Received an archive inside the archive: unpack it first."
    allowed = limits.archive_bytes if inner else limits.file_bytes
    if entry.size > allowed:
        return f"Expected at most {file_size(allowed)}. Received {file_size(entry.size)}."
    if entry.size > room:
        return (
            f"Expected at most {file_size(limits.archive_unpacked_bytes)} in an archive when "
            "unpacked. Received more before this file. Use several archives."
        )
    return ""


def _open_inner(entry: _Entry, room: int, files: int, limits: Limits) -> list[Incoming]:
    """Open an archive inside an archive; one that cannot be read is refused as one file."""
    left = replace(limits, archive_unpacked_bytes=room, archive_files=files)
    try:
        inner = temporary_file()
        with entry.open() as unpacked:
            for chunk in _read_chunks(unpacked, entry.size):
                inner.write(chunk)
        incoming = _open_archive(inner, entry.file, left, depth=1)
    except Exception as error:  # as many kinds as in an outer archive
        reason = str(error).removeprefix(f"{entry.file}: ") or type(error).__name__
        return [Incoming.refused(entry.file, reason, entry.size)]
    return _put_beside(incoming, entry.file)


def _too_many(file: str, beyond: int, limits: Limits) -> Incoming:
    """Return one refusal in the name of all entries beyond the limit."""
    return Incoming.refused(
        file,
        f"Expected at most {limits.archive_files:,} files in an archive. Received more: this one "
        f"and the {beyond - 1:,} after it are left out. Use several archives.",
    )


def _read_chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Read a file to its end; ValueError where it is longer or shorter than announced."""
    received = 0
    while chunk := file.read(_CHUNK):
        received += len(chunk)
        if received > size:
            raise ValueError("more bytes than announced")
        yield chunk
    if received < size:
        raise ValueError("fewer bytes than announced")


def _clean_name(name: str) -> str:
    """Return a name with "/" between folders and without "." among them."""
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part != ".")


def _leads_out(file: str) -> bool:
    drive = file[1:2] == ":" and file[:1].isalpha()
    return file.startswith("/") or drive or ".." in file.split("/")


def _zip_entries(file: IO[bytes], name: str, limits: Limits) -> Iterator[_Entry]:
    _check_directory(file, name, limits)
    archive = ZipFile(file)
    for info in archive.infolist():
        if not info.is_dir():
            entry = _clean_name(info.filename)
            refusal = _zip_refusal(info, entry, limits)
            yield _Entry(entry, info.file_size, partial(archive.open, info), refusal)


def _zip_refusal(info: ZipInfo, file: str, limits: Limits) -> str:
    if _leads_out(file):
        return _CLIMBS
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return _SPECIAL
    if info.flag_bits & _ENCRYPTED:
        return "Expected a file without a password. Received an encrypted one."
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return "Expected an ordinary zip entry. Received a rare compression: zip it again."
    if info.file_size > limits.archive_ratio * max(info.compress_size, 1):
        return "Expected an image. Received an entry that is far larger unpacked than packed."
    return ""


def _check_directory(file: IO[bytes], name: str, limits: Limits) -> None:
    """Refuse a zip too large to be opened safely: opening reads all its table of contents."""
    if _directory_bytes(file, file.seek(0, 2)) > _DIRECTORY_BYTES:
        raise BadDataset(
            f"{name}: Expected a zip of at most {limits.archive_files:,} files. Received one with "
            "far more. Use several zips and add them one after another."
        )
    file.seek(0)


def _directory_bytes(file: IO[bytes], size: int) -> int:
    """Return the announced length of the table of contents, where zipfile will read it."""
    file.seek(max(0, size - _END.size - 2**16 - _END64_BYTES))
    tail = file.read()
    at = len(tail) - _END.size
    if not tail.startswith(b"PK\5\6", max(at, 0)):
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        return 0  # no zip: opening it raises
    claimed: int = _END.unpack_from(tail, at)[5]
    at64 = at - _END64_BYTES
    if at64 >= 0 and tail.startswith(b"PK\6\6", at64):
        claimed = max(claimed % _IN_64, int.from_bytes(tail[at64 + 40 : at64 + 48], "little"))
    return claimed


def _tar_entries(file: IO[bytes], name: str, limits: Limits) -> Iterator[_Entry]:
    archive = tarfile.open(fileobj=_decompress(file, name, limits), mode="r:")  # noqa: SIM115
    lock = threading.Lock()  # its files share one position
    for member in archive:
        if not member.isdir():
            entry = _clean_name(member.name)
            special = not member.isreg() or member.issparse()
            refusal = _CLIMBS if _leads_out(entry) else _SPECIAL if special else ""
            yield _Entry(entry, member.size, partial(_open_member, archive, member, lock), refusal)


@contextmanager
def _open_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, lock: threading.Lock
) -> Iterator[IO[bytes]]:
    with lock:
        file = archive.extractfile(member)
        if file is None:
            raise ValueError("it is no file")
        yield file


def _decompress(file: IO[bytes], name: str, limits: Limits) -> IO[bytes]:
    """Return a tar that can be read at any place: a compressed one is unpacked as a whole."""
    head = file.read(16)
    packed = file.seek(0, 2)
    file.seek(0)
    opener = next((opener for mark, opener in _OPENERS if head.startswith(mark)), None)
    if opener is None:
        return file
    allowed = min(limits.archive_unpacked_bytes, max(_SMALL, packed * limits.archive_ratio))
    plain = temporary_file()
    with opener(file) as unpacked:
        while chunk := unpacked.read(_CHUNK):
            if plain.tell() + len(chunk) > allowed:
                raise BadDataset(
                    f"{name}: Expected at most {file_size(allowed)} in an archive when unpacked. "
                    "Received more. Use several archives."
                )
            plain.write(chunk)
    plain.seek(0)
    return plain
