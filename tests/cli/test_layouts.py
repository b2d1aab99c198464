"""Datasets as people download them, through the command line: what is a class and what a split."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.running import answer, tlcore
from tests.datasets.files import jpeg, write_folder, zipped
from tests.training.test_train_run import SMALL
from tests.training.test_train_run import run as trained
from tlcore.datasets.dataset import SPLITS
from tlcore.settings import Settings
from tlcore.training.config import RunConfig

TINY = ("--backbone", "MobileNet-0.25", "--size", "32", "--random-weights", "--epochs", "1")


def cats_and_dogs(outer: str = "dataset") -> dict[str, bytes]:
    """The layout of one of the most downloaded sets; what is to be predicted is a cat of it."""
    files = {
        f"{outer}/{split}/{label}/{label[:3]}.{number}.jpg": jpeg(number + 100 * (label == "dogs"))
        for split, numbers in (("training_set", range(8)), ("test_set", range(8, 12)))
        for label in ("cats", "dogs")
        for number in numbers
    }
    return files | {f"{outer}/single_prediction/cat_or_dog_1.jpg": jpeg(0)}


def scenes() -> dict[str, bytes]:
    files = {
        f"archive/seg_{split}/seg_{split}/{label}/{number}.jpg": jpeg(number + 50 * place)
        for split, numbers in (("train", range(6)), ("test", range(6, 9)))
        for place, label in enumerate(("buildings", "sea", "street"))
        for number in numbers
    }
    return files | {f"archive/seg_pred/seg_pred/{number}.jpg": jpeg(900 + number)
                    for number in range(2)}  # fmt: skip


@pytest.mark.parametrize(
    ("files", "classes", "splits"),
    [
        (
            cats_and_dogs(),
            {"cats": 12, "dogs": 12},
            {"train": 16, "test": 8, "none": 1},
        ),
        (
            scenes(),
            {"buildings": 9, "sea": 9, "street": 9},
            {"train": 18, "test": 9, "none": 2},
        ),
    ],
    ids=["training_set", "seg_train"],
)
def test_a_zip_as_downloaded_has_its_classes_and_splits(
    files: dict[str, bytes],
    classes: dict[str, int],
    splits: dict[str, int],
    settings: Settings,
    tmp_path: Path,
) -> None:
    source = tmp_path / "archive.zip"
    source.write_bytes(zipped(files).getvalue())
    made = answer(settings, "dataset", "import", source, "--name", "mine")
    assert made["classes"] == classes
    assert made["unlabelled"] == splits["none"]
    assert {part: sum(counts.values()) for part, counts in made["splits"].items()} == splits
    assert made["refused"] == []
    write_folder(tmp_path / "folder", files)
    again = answer(settings, "dataset", "import", tmp_path / "folder", "--name", "again")
    assert (again["classes"], again["hash"]) == (made["classes"], made["hash"])
    out = tmp_path / "out.zip"
    answer(settings, "dataset", "export", "mine", out)
    back = answer(settings, "dataset", "import", out, "--name", "back")
    assert all(back[key] == made[key] for key in ("classes", "splits", "hash"))


def test_a_folder_as_downloaded_teaches_its_classes_only(
    settings: Settings, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "set", cats_and_dogs())
    told = answer(settings, "dataset", "doctor", folder)
    assert told["image_count"] == 25
    assert {short["label"] for short in told["small_classes"]} == {"cats", "dogs"}
    assert "two-labels" not in {finding["kind"] for finding in told["findings"]}
    run = answer(settings, "train", folder, *TINY)
    split = json.loads((settings.runs / run["run"] / "split.json").read_text())
    assert split["classes"] == ["cats", "dogs"]
    assert {part: Counter(row["label"] for row in split[part]) for part in SPLITS} == {
        "train": {"cats": 6, "dogs": 6}, "val": {"cats": 2, "dogs": 2},
        "test": {"cats": 4, "dogs": 4},
    }  # fmt: skip


def test_classes_that_are_splits_are_refused_with_the_way_out(
    settings: Settings, tmp_path: Path
) -> None:
    names = ("train", "bus", "car")
    files = {f"{label}/{number}.jpg": jpeg(number + 20 * place)
             for place, label in enumerate(names) for number in range(4)}  # fmt: skip
    done = tlcore(settings, "train", write_folder(tmp_path / "set", files), *TINY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "classes with the name of a split: train." in done.stderr
    assert "give them other names" in done.stderr
    assert "Traceback" not in done.stderr


def test_classes_with_a_splits_word_in_their_name_stay_classes(
    settings: Settings, tmp_path: Path
) -> None:
    names = ("trains", "test_tube", "training shoes")
    files = {f"{label}/{number}.jpg": jpeg(number + 20 * place)
             for place, label in enumerate(names) for number in range(4)}  # fmt: skip
    folder = write_folder(tmp_path / "set", files)
    made = answer(settings, "dataset", "import", folder, "--name", "mine")
    assert made["classes"] == dict.fromkeys(sorted(names), 4)
    assert list(made["splits"]) == ["none"]


def test_one_data_set_has_one_hash_everywhere(settings: Settings, tmp_path: Path) -> None:
    """With a test part and a copy: import, show, a run on the set and one on the folder."""
    files = {f"{split}/{label}/{number}.jpg": jpeg(number + 20 * place + 60 * (split == "test"))
             for split in ("train", "test") for place, label in enumerate("ab")
             for number in range(6)}  # fmt: skip
    folder = write_folder(tmp_path / "set", files | {"train/a/copy.jpg": files["train/a/0.jpg"]})
    made = answer(settings, "dataset", "import", folder, "--name", "mine")
    hashes = {made["hash"], answer(settings, "dataset", "show", "mine")["hash"]}
    for dataset in ("mine", folder):
        _, run = trained(settings, RunConfig(str(dataset), epochs=1, **SMALL))
        hashes.add(answer(settings, "runs", "show", run.name)["data_hash"])
    assert hashes == {made["hash"]}
    # A run from before noted the hash of two parts, in another form: it is worked out anew.
    facts = run / "provenance.json"
    noted = json.loads(facts.read_text())
    del noted["dataset_hash"]
    facts.write_text(json.dumps(noted | {"data_hash": "0" * 64}))
    assert answer(settings, "runs", "show", run.name)["data_hash"] == made["hash"]
