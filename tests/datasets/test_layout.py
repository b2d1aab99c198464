"""What folders mean, and what is litter."""

from __future__ import annotations

import pytest

from tlcore.datasets.layout import is_litter, label_and_split, outer_folder


@pytest.mark.parametrize(
    ("file", "label", "split"),
    [
        ("1.jpg", None, None),
        ("ants/1.jpg", "ants", None),
        ("Ants and bees/1.JPG", "Ants and bees", None),
        ("outer/ants/1.jpg", "ants", None),
        ("train/ants/1.jpg", "ants", "train"),
        ("Train/ants/1.jpg", "ants", "train"),
        ("val/ants/1.jpg", "ants", "val"),
        ("valid/ants/1.jpg", "ants", "val"),
        ("validation/ants/1.jpg", "ants", "val"),
        ("test/ants/1.jpg", "ants", "test"),
        ("outer/train/ants/1.jpg", "ants", "train"),
        ("train/ants/close/1.jpg", "ants", "train"),
        ("ants/train/1.jpg", "ants", "train"),
        ("train/1.jpg", None, "train"),
        ("./ants/1.jpg", "ants", None),
        ("../ants/1.jpg", "ants", None),
        ("outer\\ants\\1.jpg", "ants", None),
    ],
)
def test_label_and_split_of_a_name(file: str, label: str | None, split: str | None) -> None:
    assert label_and_split(file) == (label, split)


@pytest.mark.parametrize(
    ("files", "outer"),
    [
        (["set/ants/1.jpg", "set/bees/1.jpg"], "set"),
        (["set/ants/1.jpg", "set/README.txt", "__MACOSX/set/ants/._1.jpg"], "set"),
        (["set/train/ants/1.jpg", "set/val/ants/1.jpg"], "set"),
        (["ants/1.jpg", "bees/1.jpg"], ""),
        (["ants/1.jpg"], ""),
        (["ants/1.jpg", "ants/close/2.jpg"], ""),
        (["train/ants/1.jpg"], ""),
        (["set/ants/1.jpg", "1.jpg"], "set"),
        (["set/ants/1.jpg", "../out/1.jpg", "notes/a.txt"], "set"),
        (["set/ants/1.jpg", "set/bees/1.jpg", "set/cover.jpg"], "set"),
        (["a/ants/1.jpg", "b/bees/1.jpg"], ""),
        ([], ""),
    ],
)
def test_the_outer_folder_is_found_from_all_names(files: list[str], outer: str) -> None:
    assert outer_folder(files) == outer


def test_knowing_the_outer_folder_settles_folders_inside_a_class() -> None:
    assert label_and_split("ants/close/1.jpg", outer="") == ("ants", None)
    assert label_and_split("set/ants/close/1.jpg", outer="set") == ("ants", None)
    assert label_and_split("set/1.jpg", outer="set") == (None, None)


@pytest.mark.parametrize(
    "file",
    ["__MACOSX/ants/._1.jpg", ".DS_Store", "ants/.hidden.jpg", "ants/Thumbs.db", "Desktop.ini",
     ".git/config", "ants/._1.jpg"],
)  # fmt: skip
def test_litter(file: str) -> None:
    assert is_litter(file)


@pytest.mark.parametrize("file", ["ants/1.jpg", "notes.txt", "ants/thumbs.jpg", "../1.jpg"])
def test_not_litter(file: str) -> None:
    assert not is_litter(file)
