"""Folders and uploads as incoming files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.datasets.files import jpeg, write_folder
from tlcore.datasets.sources import incoming_from_folder, incoming_from_uploads
from tlcore.errors import BadDataset, BadImage
from tlcore.settings import Limits


def test_a_folder_gives_all_its_files(tmp_path: Path) -> None:
    files = {".DS_Store": b"x", "ants/1.jpg": jpeg(1), "bees/2.JPG": jpeg(2), "notes.txt": b"hello"}
    write_folder(tmp_path, dict(reversed(files.items())))
    arriving = incoming_from_folder(tmp_path)
    assert {item.file: item.read() for item in arriving} == files
    assert [item.file for item in arriving] == list(files)
    assert arriving[3].size == 5


def test_links_in_circles_end_and_links_to_nowhere_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, {"ants/1.jpg": jpeg()})
    (tmp_path / "ants" / "circle").symlink_to(tmp_path)
    (tmp_path / "ants" / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    arriving = incoming_from_folder(tmp_path)
    assert [item.file for item in arriving] == ["ants/1.jpg", "ants/nowhere.jpg"]
    with pytest.raises(BadImage, match=r"ants/nowhere\.jpg: Expected a file that can be read"):
        arriving[1].read()


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadImage, match="a folder or a device"):
        incoming_from_folder(tmp_path)[0].read()


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    write_folder(tmp_path, {"large.jpg": bytes(100)})
    with pytest.raises(BadImage, match="Expected at most"):
        incoming_from_folder(tmp_path, Limits(file_bytes=99))[0].read()


def test_names_that_are_no_text_become_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(jpeg())
    (item,) = incoming_from_folder(tmp_path)
    assert item.file == "caf\ufffd.jpg"
    assert item.read() == jpeg()


@pytest.mark.parametrize("name", ["gone", "file.txt"])
def test_what_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("hello")
    with pytest.raises(BadDataset, match="Expected a folder of images"):
        incoming_from_folder(tmp_path / name)


def test_uploads_keep_their_folders() -> None:
    arriving = incoming_from_uploads(
        [("a.jpg", b"1"), ("set\\ants\\b.jpg", b"22"), ("cafe\u0301/c.jpg", b"3")]
    )
    assert [(item.file, item.size, item.read()) for item in arriving] == [
        ("a.jpg", 1, b"1"),
        ("set/ants/b.jpg", 2, b"22"),
        ("caf\u00e9/c.jpg", 1, b"3"),
    ]
