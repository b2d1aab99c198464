"""Zips that attack, and the harmless ones: refused by name, and the rest arrives."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from tests.datasets.files import jpeg, zipped
from tlcore.datasets.archive import incoming_from_zip
from tlcore.errors import BadDataset, BadImage
from tlcore.settings import Limits

GOOD = "ants/good.jpg"


def outcomes(source: io.BytesIO, limits: Limits | None = None) -> dict[str, str]:
    """For every file that arrives: "" if it can be read, else the reason."""
    found = {}
    for item in incoming_from_zip(source, limits or Limits()):
        try:
            item.read()
            found[item.file] = ""
        except BadImage as refusal:
            found[item.file] = str(refusal)
    return found


def entry(name: str, *, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def with_entry(info: zipfile.ZipInfo, data: bytes) -> io.BytesIO:
    source = zipped({GOOD: jpeg()})
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr(info, data)
    return source


def test_a_harmless_zip_arrives_without_its_litter() -> None:
    files = {GOOD: jpeg(1), "Bees/x.JPG": jpeg(2), "notes.txt": b"hello", "a\\b.jpg": jpeg(3)}
    litter = {"__MACOSX/ants/._good.jpg": b"x", "ants/.DS_Store": b"x", "ants/Thumbs.db": b"x"}
    source = zipped({**files, **litter, "ants/": b""}, compression=zipfile.ZIP_DEFLATED)
    arriving = {item.file: item for item in incoming_from_zip(source, Limits())}
    assert list(arriving) == [GOOD, "Bees/x.JPG", "notes.txt", "a/b.jpg"]
    assert arriving[GOOD].read() == jpeg(1)
    assert arriving[GOOD].size == len(jpeg(1))


def test_a_path_is_read_as_well_and_left_open_only_as_long(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(zipped({GOOD: jpeg()}).getvalue())
    assert [item.read() for item in incoming_from_zip(path, Limits())] == [jpeg()]


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (entry("../out.jpg"), "leads out"),
        (entry("ants/../../out.jpg"), "leads out"),
        (entry("/etc/out.jpg"), "leads out"),
        (entry("C:\\out.jpg"), "leads out"),
        (entry("..\\out.jpg"), "leads out"),
        (entry("link.jpg", mode=stat.S_IFLNK | 0o777), "a link"),
        (entry("pipe.jpg", mode=stat.S_IFIFO | 0o644), "a link or a device"),
        (entry("more.zip"), "archive inside"),
        (entry("more.TAR.GZ"), "archive inside"),
    ],
)
def test_dangerous_entries_are_refused_by_name(info: zipfile.ZipInfo, said: str) -> None:
    found = outcomes(with_entry(info, jpeg(5)))
    assert found.pop(GOOD) == ""
    ((name, reason),) = found.items()
    assert reason.startswith(f"{name}: Expected") and said in reason


def test_an_encrypted_entry_is_refused() -> None:
    data = bytearray(zipped({"ants/secret.jpg": jpeg()}).getvalue())
    central = data.index(b"PK\1\2")
    data[6] |= 1
    data[central + 8] |= 1
    assert "encrypted" in outcomes(io.BytesIO(bytes(data)))["ants/secret.jpg"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_rare_compressions_are_refused(method: int) -> None:
    found = outcomes(zipped({GOOD: jpeg()}, compression=method))
    assert "rare compression" in found[GOOD]


def test_a_bomb_is_refused_and_the_rest_arrives() -> None:
    source = zipped({"bomb.bmp": b"BM" + bytes(10**6), GOOD: jpeg()}, compression=8)
    found = outcomes(source)
    assert "far larger unpacked" in found["bomb.bmp"] and found[GOOD] == ""


def test_sizes_are_limited_for_one_file_and_for_all() -> None:
    files = {f"ants/{i}.jpg": jpeg(i) + bytes(1000) for i in range(4)}
    size = max(len(data) for data in files.values())
    one = outcomes(zipped({**files, "big.jpg": bytes(size + 1)}), Limits(file_bytes=size))
    assert [name for name, reason in one.items() if reason] == ["big.jpg"]
    limits = Limits(archive_unpacked_bytes=2 * size)
    reasons = list(outcomes(zipped(files), limits).values())
    assert [bool(reason) for reason in reasons] == [False, False, True, True]
    assert "Use several zips" in reasons[2]


def test_too_many_entries_are_refused_in_the_name_of_the_first() -> None:
    found = outcomes(zipped({f"{i}.jpg": jpeg() for i in range(5)}), Limits(archive_files=3))
    assert list(found) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert "at most 3 files in a zip. Received 5" in found["3.jpg"]


def test_a_header_that_lies_about_the_size_gains_nothing() -> None:
    data = bytearray(zipped({"liar.jpg": bytes(100_000)}, compression=8).getvalue())
    central = data.index(b"PK\1\2")
    struct.pack_into("<L", data, 22, 1000)  # uncompressed size, in both headers
    struct.pack_into("<L", data, central + 24, 1000)
    assert "damaged" in outcomes(io.BytesIO(bytes(data)))["liar.jpg"]


def test_a_damaged_entry_is_refused_and_the_rest_arrives() -> None:
    data = bytearray(zipped({"broken.jpg": jpeg(1), GOOD: jpeg(2)}).getvalue())
    data[60] ^= 0xFF
    found = outcomes(io.BytesIO(bytes(data)))
    assert "damaged" in found["broken.jpg"] and found[GOOD] == ""


@pytest.mark.parametrize("data", [b"", b"no zip at all", jpeg(), b"PK\5\6" + bytes(3)])
def test_what_is_no_zip(data: bytes) -> None:
    with pytest.raises(BadDataset, match="Expected a zip archive of images"):
        incoming_from_zip(io.BytesIO(data), Limits())


def test_an_archive_beyond_the_limits_is_not_even_opened(tmp_path: Path) -> None:
    source = zipped({GOOD: jpeg()})
    with pytest.raises(BadDataset, match=r"The upload: Expected a zip of at most .* MB"):
        incoming_from_zip(source, Limits(archive_bytes=100))
    with pytest.raises(BadDataset, match=r"no\.zip: Expected a zip archive"):
        incoming_from_zip(tmp_path / "no.zip", Limits())
    data = bytearray(source.getvalue())
    struct.pack_into("<L", data, len(data) - 10, 2**30)  # the table of contents claims a gigabyte
    with pytest.raises(BadDataset, match="far more"):
        incoming_from_zip(io.BytesIO(bytes(data)), Limits())
