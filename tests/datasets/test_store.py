"""Stored sets: listed, opened, renamed and deleted; folders read in place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.datasets.files import encoded, jpeg, scene, write_folder
from tlcore.datasets.dataset import Sample
from tlcore.datasets.image_io import decode_image
from tlcore.datasets.importing import add_to_dataset, import_dataset
from tlcore.datasets.sources import incoming_from_uploads, read_folder, unused_files
from tlcore.datasets.store import (
    delete_dataset,
    load_dataset,
    lock_dataset,
    open_dataset,
    rename_dataset,
    scan_datasets,
)
from tlcore.datasets.thumbnails import load_thumbnail
from tlcore.errors import BadDataset, BadImage
from tlcore.settings import Settings


def make(settings: Settings, name: str, *labels: str) -> None:
    files = [(f"{label}/1.jpg", jpeg(i)) for i, label in enumerate(labels)]
    import_dataset(name, incoming_from_uploads(files), settings)


def names(settings: Settings) -> list[str]:
    return [info.name for info in scan_datasets(settings)[0]]


def test_sets_are_listed_newest_first(settings: Settings) -> None:
    assert scan_datasets(settings)[0] == []
    make(settings, "first", "ants")
    make(settings, "second", "bees", "ants")
    newest, oldest = scan_datasets(settings)[0]
    assert (newest.name, newest.dataset.classes) == ("second", ("ants", "bees"))
    assert newest.folder == settings.datasets / "second"
    assert oldest.name == "first" and oldest.created < newest.created


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"created": "2025-01-01T00:00:00+00:00", "entries": [{}]}',
     '{"created": "yesterday", "entries": []}',
     '{"created": "2025-01-01T00:00:00+00:00", "entries": [{"file": "a", "sha256": "../../x",'
     ' "ending": "jpg", "label": "a", "split": null, "width": 1, "height": 1}]}'],
)  # fmt: skip
def test_a_damaged_set_does_not_break_the_list(settings: Settings, content: str) -> None:
    make(settings, "good", "ants")
    write_folder(settings.datasets, {"bad/dataset.json": content.encode(), "stray.txt": b"x"})
    (settings.datasets / "empty").mkdir()
    assert names(settings) == ["good"]
    with pytest.raises(
        BadDataset, match=r"Expected the dataset 'bad' to have a readable dataset\.json"
    ):
        load_dataset("bad", settings)
    delete_dataset("bad", settings)


@pytest.mark.parametrize("name", ["other", "", ".", "..", "../sets", ".lock"])
def test_an_unknown_set_lists_the_known(settings: Settings, name: str) -> None:
    with pytest.raises(BadDataset, match="none yet"):
        load_dataset(name, settings)
    make(settings, "mine", "ants")
    for use in (load_dataset, delete_dataset):
        with pytest.raises(BadDataset, match=r"\(mine\)"):
            use(name, settings)
    assert names(settings) == ["mine"]
    with pytest.raises(BadDataset, match="Received 'xxx") as caught:
        load_dataset("x" * 1000, settings)
    assert len(str(caught.value)) < 250


def test_renaming_and_deleting(settings: Settings) -> None:
    make(settings, "mine", "ants")
    make(settings, "other", "ants")
    with pytest.raises(BadDataset, match="taken"):
        rename_dataset("mine", "other", settings)
    with pytest.raises(BadDataset, match="letters"):
        rename_dataset("mine", "../x", settings)
    rename_dataset("mine", "yours", settings)
    dataset = load_dataset("yours", settings)
    assert dataset.name == "yours" and dataset.samples[0].path.is_file()
    delete_dataset("yours", settings)
    assert names(settings) == ["other"]
    assert not dataset.samples[0].path.exists()


def test_a_set_in_use_is_neither_renamed_nor_deleted(settings: Settings) -> None:
    make(settings, "mine", "ants")
    with lock_dataset(settings.datasets / "mine", wait=False):
        with pytest.raises(BadDataset, match="being added"):
            delete_dataset("mine", settings)
        with pytest.raises(BadDataset, match="being added"):
            rename_dataset("mine", "yours", settings)
    delete_dataset("mine", settings)
    with pytest.raises(BadDataset):
        add_to_dataset("mine", incoming_from_uploads([("a.jpg", jpeg())]), settings)


def test_a_folder_is_read_in_place_without_decoding(tmp_path: Path) -> None:
    files = {"ants/1.JPG": b"not even an image", "ants/deep/2.png": b"", "bees/3.webp": b""}
    extra = {"README.txt": b"", "loose.jpg": b"", "ants/notes.csv": b"", ".hidden/4.jpg": b"",
             "bees/IMG_5": b""}  # fmt: skip
    dataset = read_folder(write_folder(tmp_path / "insects", {**files, **extra}))
    assert dataset.name == "insects"
    assert dataset.counts == {"ants": 2, "bees": 1, "unlabelled": 1}
    first = dataset.samples[0]
    assert first == Sample("ants/1.JPG", tmp_path / "insects/ants/1.JPG", "", "ants", None)
    assert unused_files(tmp_path / "insects") == ["bees/IMG_5"]


def test_a_folder_with_splits(tmp_path: Path) -> None:
    files = [f"{split}/{label}/1.jpg" for split in ("train", "valid", "test") for label in "ab"]
    dataset = read_folder(write_folder(tmp_path, dict.fromkeys(files, b"")))
    assert dataset.counts_by_split == {s: {"a": 1, "b": 1} for s in ("train", "val", "test")}


@pytest.mark.parametrize(
    "files", [{}, {"a.jpg": b""}, {"ants/notes.txt": b""}, {"train/a.jpg": b""}]
)
def test_a_folder_without_classes_says_what_is_expected(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    with pytest.raises(BadDataset, match="a folder for each class"):
        read_folder(write_folder(tmp_path, files))
    with pytest.raises(BadDataset, match="No such file"):
        read_folder(tmp_path / "gone")


def test_a_reference_is_a_name_or_an_absolute_path(settings: Settings, tmp_path: Path) -> None:
    make(settings, "mine", "ants")
    write_folder(tmp_path / "folder", {"bees/1.jpg": jpeg()})
    assert open_dataset("mine", settings).classes == ("ants",)
    assert open_dataset(str(tmp_path / "folder"), settings).classes == ("bees",)
    with pytest.raises(BadDataset, match="mine"):
        open_dataset("folder", settings)


def test_thumbnails_are_square_made_once_and_kept(settings: Settings, tmp_path: Path) -> None:
    image = scene(0, 60, 20)
    image.paste((255, 0, 0), (20, 0, 40, 20))  # the middle is red
    path = tmp_path / "a.png"
    path.write_bytes(encoded(image))
    sample = Sample("a.png", path, "", "red", None)
    small = load_thumbnail(sample, settings, side=32)
    found = decode_image(small, "thumbnail", settings.limits)
    assert found.size == (32, 32) and small.startswith(b"\xff\xd8")
    assert np.abs(np.subtract(np.asarray(found)[16, 16], (255, 0, 0), dtype=int)).max() < 6
    (kept,) = (settings.home / "thumbnails").rglob("*.jpg")
    kept.write_bytes(b"from the disk")
    assert load_thumbnail(sample, settings, side=32) == b"from the disk"
    assert load_thumbnail(sample, settings, side=16) != b"from the disk"
    kept.write_bytes(b"")  # as a power cut may leave it
    assert load_thumbnail(sample, settings, side=32) == small == kept.read_bytes()


def test_a_thumbnail_of_what_is_no_image(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    for name in ("a.jpg", "gone.jpg"):
        with pytest.raises(BadImage, match=f"ants/{name}: Expected"):
            load_thumbnail(Sample(f"ants/{name}", tmp_path / name, "", "ants", None), settings)
    assert not (settings.home / "thumbnails").exists()
