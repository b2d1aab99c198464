"""What folders mean, read from all names together, and what is litter."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from tlcore.datasets.dataset import UNLABELLED
from tlcore.datasets.folder_names import is_split_name, is_system_file
from tlcore.datasets.layout import LayoutChoices, ListedFile, read_layout

# Names of files → "class/split" of each, "-" for none. "?" is an image that has no label.
LAYOUTS = {
    "one loose image": {"1.jpg": "-/-"},
    "one class": {"ants/1.jpg": "ants/-"},
    "classes, any ending": {"Ants and bees/1.JPG": "Ants and bees/-", "wasps/2.webp": "wasps/-"},
    "an outer folder": {"outer/ants/1.jpg": "ants/-", "outer/bees/1.jpg": "bees/-"},
    "an outer folder, one class": {"outer/ants/1.jpg": "ants/-"},
    "outer folders": {"a/b/c/ants/1.jpg": "ants/-", "a/b/c/bees/1.jpg": "bees/-"},
    "outer folders, one class": {"a/b/c/1.jpg": "b/-"},
    "an outer folder with a cover": {
        "set/ants/1.jpg": "ants/-", "set/bees/1.jpg": "bees/-", "set/cover.jpg": "-/-",
        "1.jpg": "-/-", "notes/a.txt": "out",
    },
    "folders in a class": {"ants/1.jpg": "ants/-", "ants/close/2.jpg": "ants/-"},
    "two tops": {"a/ants/1.jpg": "a/-", "b/bees/1.jpg": "b/-"},
    "dots and backslashes": {"./ants/1.jpg": "ants/-", "bees\\2.jpg": "bees/-"},
    "splits": {
        "train/ants/1.jpg": "ants/train", "Train/bees/1.jpg": "bees/train",
        "val/ants/1.jpg": "ants/val", "TEST/ants/1.jpg": "ants/test",
    },
    "one split": {"train/ants/1.jpg": "ants/train"},
    "an outer folder around splits": {
        "set/train/ants/close/1.jpg": "ants/train", "set/valid/ants/1.jpg": "ants/val",
    },
    "splits inside classes": {
        "ants/train/1.jpg": "ants/train", "ants/val/1.jpg": "ants/val",
        "bees/train/1.jpg": "bees/train", "bees/2.jpg": "bees/-",
    },
    "splits in two tops": {"a/train/ants/1.jpg": "ants/train", "b/train/bees/1.jpg": "bees/train"},
    "only splits": {"train/cat.0.jpg": "-/train", "test1/1.jpg": "-/test"},
    "cats and dogs as downloaded": {
        "dataset/training_set/cats/cat.1.jpg": "cats/train",
        "dataset/training_set/dogs/dog.1.jpg": "dogs/train",
        "dataset/test_set/cats/cat.4001.jpg": "cats/test",
        "dataset/test_set/dogs/dog.4001.jpg": "dogs/test",
        "dataset/single_prediction/cat_or_dog_1.jpg": "?/-",
    },
    "scenes as downloaded": {
        "seg_train/seg_train/sea/1.jpg": "sea/train",
        "seg_train/seg_train/street/2.jpg": "street/train",
        "seg_test/seg_test/sea/3.jpg": "sea/test", "seg_pred/seg_pred/4.jpg": "?/-",
    },
    "scenes in outer folders": {
        "archive/intel/seg_train/seg_train/sea/1.jpg": "sea/train",
        "archive/intel/seg_test/seg_test/sea/3.jpg": "sea/test",
        "archive/intel/seg_pred/seg_pred/4.jpg": "?/-",
    },
    "one doubled split": {
        "seg_train/seg_train/sea/1.jpg": "sea/train", "seg_train/seg_train/sky/1.jpg": "sky/train",
    },
    "words within names": {
        "images_val/a/1.jpg": "a/val", "TrainData/a/1.jpg": "a/train", "my-dev.2/a/1.jpg": "a/val",
        "VALIDATION/a/1.jpg": "a/val", "testing01/a/1.jpg": "a/test",
    },
    "names of one's own": {"flowers_train/a/1.jpg": "a/train", "flowers_test/a/1.jpg": "a/test"},
    "a plain folder in a split": {"train/images/a/1.jpg": "a/train", "val/images/a/1.jpg": "a/val"},
    "loose images beside splits": {
        "train/a/1.jpg": "a/train", "train/b/1.jpg": "b/train", "train/c.jpg": "?/train",
        "test1/2.jpg": "?/test", "to guess/3.jpg": "?/-", "test1/deep/4.txt": "out",
    },
    "loose images beside classes": {
        "cats/1.jpg": "cats/-", "dogs/1.jpg": "dogs/-", "test1/1.jpg": "?/test",
        "pred/1.jpg": "?/-", "Single Prediction/1.jpg": "?/-",
    },
    "classes beside a split of them": {
        "cats/1.jpg": "cats/-", "dogs/1.jpg": "dogs/-", "test/cats/2.jpg": "cats/test",
        "birds/1.jpg": "birds/-",
    },
    "undivided classes beside splits": {
        "train/a/1.jpg": "a/train", "more/a/2.jpg": "a/-", "more/b/2.jpg": "b/-",
    },
    "classes with a split's word": {
        "trains/1.jpg": "trains/-", "test_tube/1.jpg": "test_tube/-",
        "training shoes/1.jpg": "training shoes/-", "dev board/1.jpg": "dev board/-",
    },
    "such classes with folders in them": {
        "test_tube/red/1.jpg": "test_tube/-", "dev board/red/1.jpg": "dev board/-",
        "training shoes/2.jpg": "training shoes/-", "hats/red/1.jpg": "hats/-",
    },
    "such classes in splits": {
        "train/test_tube/1.jpg": "test_tube/train", "train/beaker/1.jpg": "beaker/train",
        "test/test_tube/1.jpg": "test_tube/test",
    },
    "an outer folder with a split's word": {
        "my test/cats/1.jpg": "cats/-", "my test/dogs/1.jpg": "dogs/-",
    },
    "both splits' words": {
        "train_test_split/cats/1.jpg": "cats/-", "train_test_split/dogs/1.jpg": "dogs/-",
    },
    "a class called train": {"train/1.jpg": "train/-", "car/1.jpg": "car/-", "bus/1.jpg": "bus/-"},
    "tables and no image's ending": {
        "train/ants/IMG_1": "ants/train", "train/labels.csv": "out",
        "val/ants/IMG_2": "ants/val",
    },
}  # fmt: skip


def read(files: Iterable[str]) -> dict[str, str]:
    """The placement of each file as LAYOUTS writes it."""
    layout = read_layout(map(ListedFile, files), LayoutChoices(loose_label="-"))
    return {
        file.name: "out" if place.left_out
        else f"{'?' if place.label == UNLABELLED else place.label}/{place.split or '-'}"
        for file, place in zip(layout.files, layout.placements, strict=True)
    }  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_read_as_people_mean_it(name: str) -> None:
    wanted = LAYOUTS[name]
    assert read(wanted) == wanted
    assert read(random.Random(3).sample(list(wanted), len(wanted))) == wanted


def test_names_of_any_depth_and_number_are_read() -> None:
    deep = "a/" * 30_000 + "1.jpg"
    assert read([deep])[deep] == "a/-"
    many = [f"set/test {n}/{kind}/{n}.jpg" for n in range(4_000) for kind in "abcde"]
    assert len(read(many)) == 20_000


@pytest.mark.parametrize(
    "name",
    ["train", "Training", "training_set", "seg_test", "images_val", "TrainData", "test1", "DEV"],
)
def test_names_of_splits(name: str) -> None:
    assert is_split_name(name)


@pytest.mark.parametrize(
    "name", ["trains", "test_tube", "training shoes", "valve", "latest", "train_test", "data", ""]
)
def test_names_of_classes(name: str) -> None:
    assert not is_split_name(name)


@pytest.mark.parametrize(
    "file",
    ["__MACOSX/ants/._1.jpg", ".DS_Store", "ants/.hidden.jpg", "ants/Thumbs.db", "Desktop.ini",
     ".git/config", "ants/._1.jpg"],
)  # fmt: skip
def test_litter(file: str) -> None:
    assert is_system_file(file)


@pytest.mark.parametrize("file", ["ants/1.jpg", "notes.txt", "ants/thumbs.jpg", "../1.jpg"])
def test_not_litter(file: str) -> None:
    assert not is_system_file(file)
