"""Archives that attack, and the harmless ones: refused by name, and the rest arrives."""

from __future__ import annotations

import io
import json
import stat
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.datasets.files import jpeg, zipped
from tlcore.datasets.archive import incoming_from_archive, incoming_from_one_of_several
from tlcore.datasets.image_io import decode_image
from tlcore.datasets.video import recording_of
from tlcore.errors import BadDataset, BadImage
from tlcore.settings import Limits

GOOD = "ants/good.jpg"


def outcomes(source: io.BytesIO, limits: Limits | None = None) -> dict[str, str]:
    """For every file that arrives: "" if it can be read, else the reason."""
    found = {}
    for item in incoming_from_archive(source, limits or Limits()):
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


def test_every_file_of_a_harmless_zip_arrives() -> None:
    files = {GOOD: jpeg(1), "./Bees/x.JPG": jpeg(2), "notes.txt": b"hello", "a\\b.jpg": jpeg(3)}
    source = zipped({**files, "ants/": b""}, compression=zipfile.ZIP_DEFLATED)
    arriving = {item.file: item for item in incoming_from_archive(source, Limits())}
    assert list(arriving) == [GOOD, "Bees/x.JPG", "notes.txt", "a/b.jpg"]
    assert arriving[GOOD].read() == jpeg(1)
    assert arriving[GOOD].size == len(jpeg(1))


def test_a_path_is_read_as_well_and_left_open_only_as_long(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(zipped({GOOD: jpeg()}).getvalue())
    assert [item.read() for item in incoming_from_archive(path, Limits())] == [jpeg()]


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
        (entry("more.7z"), "archive inside"),
        (entry("more.RAR"), "archive inside"),
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
    assert "Use several archives" in reasons[2]


def test_too_many_entries_are_refused_in_the_name_of_the_first() -> None:
    found = outcomes(zipped({f"a/{i}.jpg": jpeg() for i in range(5)}), Limits(archive_files=3))
    assert list(found) == ["a/0.jpg", "a/1.jpg", "a/2.jpg", "a/3.jpg"]
    assert (
        "at most 3 files in an archive. Received more: this one and the 1 after" in found["a/3.jpg"]
    )


def test_a_header_that_lies_about_the_size_gains_nothing() -> None:
    data = bytearray(zipped({"a/liar.jpg": bytes(100_000)}, compression=8).getvalue())
    central = data.index(b"PK\1\2")
    struct.pack_into("<L", data, 22, 1000)  # uncompressed size, in both headers
    struct.pack_into("<L", data, central + 24, 1000)
    assert "damaged" in outcomes(io.BytesIO(bytes(data)))["a/liar.jpg"]


def test_a_damaged_entry_is_refused_and_the_rest_arrives() -> None:
    data = bytearray(zipped({"broken.jpg": jpeg(1), GOOD: jpeg(2)}).getvalue())
    data[60] ^= 0xFF
    found = outcomes(io.BytesIO(bytes(data)))
    assert "damaged" in found["broken.jpg"] and found[GOOD] == ""


@pytest.mark.parametrize("data", [b"", b"no zip at all", jpeg(), b"PK\5\6" + bytes(3)])
def test_what_is_no_zip(data: bytes) -> None:
    with pytest.raises(BadDataset, match="Expected an archive of images"):
        incoming_from_archive(io.BytesIO(data), Limits())


def test_an_archive_beyond_the_limits_is_not_even_opened(tmp_path: Path) -> None:
    source = zipped({GOOD: jpeg()})
    with pytest.raises(BadDataset, match=r"The upload: Expected an archive of at most"):
        incoming_from_archive(source, Limits(archive_bytes=100))
    with pytest.raises(BadDataset, match=r"no\.zip: Expected an archive"):
        incoming_from_archive(tmp_path / "no.zip", Limits())
    data = bytearray(source.getvalue())
    struct.pack_into("<L", data, len(data) - 10, 2**30)  # the table of contents claims a gigabyte
    with pytest.raises(BadDataset, match="far more"):
        incoming_from_archive(io.BytesIO(bytes(data)), Limits())


TAR_MODES = {"set.tar": "w", "set.tar.gz": "w:gz", "set.tgz": "w:gz", "set.tar.xz": "w:xz",
             "set.tar.bz2": "w:bz2"}  # fmt: skip


def tarred(files: Mapping[str, bytes], mode: str = "w", *more: tarfile.TarInfo) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in more:
            archive.addfile(info)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize("name", TAR_MODES)
def test_a_tar_arrives_like_a_zip(name: str, tmp_path: Path) -> None:
    files = {f"./set/{label}/{n}.jpg": jpeg(n) for label in ("ants", "bees") for n in range(3)}
    (tmp_path / name).write_bytes(tarred(files, TAR_MODES[name]).getvalue())
    with ThreadPoolExecutor(4) as pool:  # as the import reads them
        items = incoming_from_archive(tmp_path / name, Limits())
        data = list(pool.map(lambda item: item.read(), reversed(items)))[::-1]
    assert {item.file: each for item, each in zip(items, data, strict=True)} == {
        file.removeprefix("./"): content for file, content in files.items()
    }


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_dangerous_entries_of_a_tar_are_refused_by_name() -> None:
    links = (
        member("link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        member("hard.jpg", tarfile.LNKTYPE, GOOD),
        member("pipe.jpg", tarfile.FIFOTYPE),
    )
    found = outcomes(
        tarred({GOOD: jpeg(), "../out.jpg": jpeg(), "/etc/x.jpg": jpeg()}, "w", *links)
    )
    assert found.pop(GOOD) == ""
    assert all("link or a device" in found[f"{kind}.jpg"] for kind in ("link", "hard", "pipe"))
    assert all("leads out" in found[name] for name in ("../out.jpg", "/etc/x.jpg"))


def test_a_tar_that_unpacks_to_far_more_is_refused() -> None:
    bomb = tarred({"a/bomb.bmp": bytes(80 * 2**20)}, "w:gz")
    with pytest.raises(BadDataset, match="when unpacked"):
        incoming_from_archive(bomb, Limits())
    with pytest.raises(BadDataset, match="is none or is damaged"):
        incoming_from_archive(io.BytesIO(tarred({GOOD: jpeg()}, "w:gz").getvalue()[:-20]), Limits())


def test_archives_inside_an_archive_are_opened_one_level_deep() -> None:
    inner = zipped({"train/cat.0.jpg": jpeg(1), "train/dog.0.jpg": jpeg(2)}).getvalue()
    loose = tarred({"1.jpg": jpeg(3)}, "w:gz").getvalue()
    deeper = zipped({"a/1.jpg": jpeg(4), "b/more.zip": inner}).getvalue()
    files = {"train.zip": inner, "data/test1.tgz": loose, "deep.zip": deeper, "bad.zip": b"PK\3\4"}
    found = outcomes(zipped({**files, "a/b.jpg": jpeg(5)}))
    good = [name for name, reason in found.items() if not reason]
    assert good == [
        "train/train/cat.0.jpg", "train/train/dog.0.jpg", "data/test1/1.jpg", "deep/a/1.jpg",
        "a/b.jpg",
    ]  # fmt: skip
    assert "archive inside the archive" in found["deep/b/more.zip"]
    assert "bad.zip: " in found["bad.zip"]


def test_inner_archives_share_the_limits_of_the_outer_one() -> None:
    inner = zipped({f"a/{n}.jpg": jpeg(n) for n in range(4)}).getvalue()
    outer = zipped({"one.zip": inner, "two.zip": inner, "c/x.jpg": jpeg()})
    found = outcomes(outer, Limits(archive_files=6))
    assert [name for name, reason in found.items() if not reason] == [
        *(f"one/a/{n}.jpg" for n in range(4)), "two/a/0.jpg", "two/a/1.jpg",
    ]  # fmt: skip
    assert [reason for reason in found.values() if "at most 2 files" in reason]


@pytest.mark.parametrize("name", ["cats.zip", "cats-samples.zip", "/x/cats.tar.gz"])
def test_loose_images_are_in_a_folder_named_after_their_archive(name: str) -> None:
    source = zipped({"1.jpg": jpeg(), "2.jpg": jpeg(1)})
    arriving = incoming_from_archive(source, Limits(), name)
    assert [item.file for item in arriving] == ["cats/1.jpg", "cats/2.jpg"]


def parquet(rows: int, *, names: Sequence[str] = (), **columns: Any) -> io.BytesIO:
    images = [{"bytes": jpeg(row), "path": f"{row}.jpg"} for row in range(rows)]
    table = pa.table({"image": images, **columns})
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=3)
    buffer.seek(0)
    return buffer


def test_parquet_of_the_hugging_face_hub() -> None:
    source = parquet(5, names=["cat", "Great Dane"], label=[0, 1, 1, 0, -1])
    arriving = incoming_from_archive(source, Limits(), "data/train-00001-of-00002.parquet")
    assert [item.file for item in arriving] == [
        "train/cat/00001 00000.jpg", "train/Great Dane/00001 00001.jpg",
        "train/Great Dane/00001 00002.jpg", "train/cat/00001 00003.jpg", "train/00001 00004.jpg",
    ]  # fmt: skip
    assert [item.read() for item in arriving] == [jpeg(row) for row in range(5)]
    words = incoming_from_archive(parquet(2, label=["a/b", "c"]), Limits(), "test.parquet")
    assert [item.file for item in words] == ["test/a-b/test 00000.jpg", "test/c/test 00001.jpg"]
    inside = zipped({"set/train/0000.parquet": parquet(1, label=[7]).getvalue()})
    assert list(outcomes(inside)) == ["set/train/7/0000 00000.jpg"]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("train.parquet", ["train/a/train 00000.jpg"]),
        ("data/test-00000-of-00001.parquet", ["data/test/a/00000 00000.jpg"]),
    ],
)
def test_parquet_beside_other_files_keeps_its_split(file: str, expected: list[str]) -> None:
    arriving = incoming_from_one_of_several(parquet(1, label=["a"]), file, Limits())
    assert [item.file for item in arriving] == expected


def test_parquet_without_images_is_refused() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), buffer)
    with pytest.raises(BadDataset, match=r"a column of images .* Received the columns text, n"):
        incoming_from_archive(buffer, Limits(), "x.parquet")
    rows = incoming_from_archive(parquet(6, label=[0] * 6), Limits(archive_files=4), "x.parquet")
    assert len(rows) == 5
    with pytest.raises(BadImage, match="at most 4 images"):
        rows[-1].read()


def video(frames: Sequence[np.ndarray], form: str = "mp4", rate: int = 10) -> io.BytesIO:
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream("libvpx" if form == "webm" else "mpeg4", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize("form", ["mp4", "mov", "webm"])
def test_a_video_becomes_frames_two_a_second_without_repetitions(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8)
    scenes = [np.kron(each, np.ones((8, 8, 1), np.uint8)) for each in noise]
    frames = [scenes[second] for second in (0, 1, 1, 2, 3) for _ in range(10)]  # 5 s of 10 frames
    arriving = incoming_from_archive(video(frames, form), Limits(), f"wave.{form}")
    assert [item.file for item in arriving] == [
        f"wave/wave.{form} {n:04}.jpg" for n in (1, 2, 3, 4)
    ]
    assert {recording_of(item.file) for item in arriving} == {f"wave/wave.{form}"}
    for item, scene in zip(arriving, scenes, strict=True):
        pixels = np.asarray(decode_image(item.read(), "a", Limits()), float)
        assert pixels.shape == (64, 64, 3)
        assert np.abs(pixels.mean(axis=(0, 1)) - scene.mean(axis=(0, 1))).max() < 12
    assert recording_of("a/wave 0001.jpg") == ""


def test_what_is_no_video_is_refused() -> None:
    with pytest.raises(BadDataset, match=r"x\.mp4: Expected an archive .* or a video"):
        incoming_from_archive(io.BytesIO(b"\0" * 500), Limits(), "x.mp4")
