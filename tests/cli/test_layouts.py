"""Datasets as people download them, through the command line: what is a class and what a split."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.running import answer, tlcore
from tests.datasets.files import jpeg, write_folder, zipped
from tests.training.test_train_run import SMALL
from tests.training.test_train_run import run as trained
from tlcore.datasets.dataset import SPLITS
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_uploads
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


def heap(settings: Settings, place: Path) -> Path:
    """Images without folders, a table of their labels, and one file that is nothing."""
    table = "id;breed\n" + "".join(f"{n};{'ab'[n % 2]}\n" for n in range(5))
    files = {f"train/cat.{n}.jpg": jpeg(n) for n in range(2)}
    files |= {f"train/dog.{n}.jpg": jpeg(n + 50) for n in range(2)}
    return write_folder(place / "heap", files | {"more/labels.csv": table.encode()})


def test_a_dry_run_says_what_was_recognised_and_stores_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "set", cats_and_dogs() | {"dataset/README.md": b"hello"})
    read = answer(settings, "dataset", "import", folder, "--dry-run")
    assert read["sentence"] == (
        "2 classes: cats 8 + 4, dogs 8 + 4. `test_set` is test, `training_set` is training. "
        "1 image has no label."
    )
    assert read["classes"] == {label: {"train": 8, "test": 4} for label in ("cats", "dogs")}
    assert [row["meaning"] for row in read["folders"]] == ["outer", "unlabelled", "test", "train"]
    assert (read["images"], read["unlabelled"], read["left_out"][0]["files"]) == (25, 1, 1)
    assert not settings.datasets.exists()
    shown = tlcore(settings, "dataset", "import", folder, "--dry-run").stdout
    assert "1 file is left out: 1 other than images (*.md)." in shown


def test_options_choose_what_a_dry_run_offers(settings: Settings, tmp_path: Path) -> None:
    folder = heap(settings, tmp_path)
    (offered,) = answer(settings, "dataset", "import", folder, "--dry-run")["alternatives"]
    assert offered["options"] == "--labels=names"
    line = ("dataset", "import", folder, "--name", "mine", offered["options"])
    assert answer(settings, *line)["classes"] == {"cat": 2, "dog": 2}
    wrong = tlcore(settings, *line[:3], "--dry-run", "--folder", "train=trian")
    assert (wrong.returncode, "Received 'trian'" in wrong.stderr) == (1, True)
    nameless = tlcore(settings, "dataset", "import", folder)
    assert (nameless.returncode, "Expected --name NAME" in nameless.stderr) == (1, True)
    taught = tlcore(settings, "train", folder, *TINY)
    assert "Imported as a dataset: Take 2 labels from the file names? cat 2" in taught.stderr
    moved = answer(settings, *line[:3], "--dry-run", "--labels=names", "--folder=train=val")
    assert moved["classes"] == {label: {"val": 2} for label in ("cat", "dog")}


def test_adding_says_before_what_is_new(settings: Settings, tmp_path: Path) -> None:
    first = write_folder(tmp_path / "one", {f"ants/{n}.jpg": jpeg(n) for n in range(3)})
    answer(settings, "dataset", "import", first, "--name", "mine")
    write_folder(first, {"ants/0.jpg": jpeg(9), "bees/7.jpg": jpeg(7)})
    line = ("dataset", "import", first, "--name", "mine", "--add")
    said = answer(settings, *line, "--dry-run")["addition"]
    assert said == {"new": {"ants": 1, "bees": 1}, "present": 2, "new_classes": ["bees"]}
    assert "2 images are new (ants 1, bees 1), 2 there already. New: bees." in (
        tlcore(settings, *line, "--dry-run").stdout
    )
    assert answer(settings, *line)["added"] == 2


@pytest.mark.parametrize("inside", ["", "ants/"], ids=["loose", "in folders"])
def test_a_folder_is_the_same_dataset_however_it_comes(
    inside: str, settings: Settings, tmp_path: Path
) -> None:
    files = {f"{inside}{n}.jpg": jpeg(n) for n in range(3)}
    folder = write_folder(tmp_path / "ants", files)
    (tmp_path / "ants.zip").write_bytes(zipped(files).getvalue())
    with tarfile.open(tmp_path / "ants.tar.gz", "w:gz") as archive:
        archive.add(folder, "ants")
    sources = (folder, tmp_path / "ants.zip", tmp_path / "ants.tar.gz")
    made = [answer(settings, "dataset", "import", source, "--name", f"n{at}")
            for at, source in enumerate(sources)]  # fmt: skip
    page = incoming_from_uploads((f"ants/{name}", data) for name, data in files.items())
    assert {row["hash"] for row in made} == {import_dataset("page", page, settings).dataset.hash}
    assert [row["classes"] for row in made] == [{"ants": 3}] * 3


def test_an_archive_of_each_class(settings: Settings, tmp_path: Path) -> None:
    for label in ("Class 1", "Class 2"):
        images = {f"{n}.jpg": jpeg(n + 10 * (label == "Class 2")) for n in range(2)}
        (tmp_path / f"{label}-samples.zip").write_bytes(zipped(images).getvalue())
    sources = sorted(tmp_path.glob("*.zip"))
    made = answer(settings, "dataset", "import", *sources, "--name", "mine")
    assert made["classes"] == {"Class 1": 2, "Class 2": 2}
