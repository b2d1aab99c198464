"""``dataset`` as a script uses it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import answer, tlcore
from tests.datasets.files import write_folder
from tests.datasets.findings import faults, image
from tlcore.settings import Settings


def folder(tmp_path: Path) -> Path:
    files = {f"{label}/{i}.jpg": image(i + 50 * n) for n, label in enumerate("ab")
             for i in range(12)}  # fmt: skip
    _, cut = faults()["truncated"]
    _, tiny = faults()["tiny"]
    return write_folder(tmp_path / "source", files | {
        "a/cut.jpg": next(iter(cut.values())), "b/tiny.png": next(iter(tiny.values())),
    })  # fmt: skip


def test_the_whole_way_of_a_set(settings: Settings, tmp_path: Path) -> None:
    made = answer(settings, "dataset", "import", folder(tmp_path), "--name", "mine")
    assert made["image_count"] == made["added"] == 25
    assert [no["file"] for no in made["refused"]] == ["a/cut.jpg"]

    told = answer(settings, "dataset", "doctor", "mine")
    by_kind = {finding["kind"]: finding for finding in told["findings"]}
    assert by_kind["truncated"]["files"] == ["a/cut.jpg"]
    assert by_kind["tiny"]["files"] == ["b/tiny.png"]
    assert {short["label"] for short in told["small_classes"]} == {"a", "b"}
    assert [row["name"] for row in answer(settings, "dataset", "list")] == ["mine"]

    divided = answer(settings, "dataset", "split", "mine", "--test", "0.2", "--seed", "4")
    assert {part: sum(counts.values()) for part, counts in divided["splits"].items()} == {
        "train": 15, "val": 5, "test": 5,
    }  # fmt: skip
    shown = answer(settings, "dataset", "show", "mine")
    assert len(shown["images"]) == 25
    assert [edit["description"] for edit in shown["edits"]] == ["divide 25 images (seed 4)"]

    out = tmp_path / "out.zip"
    assert answer(settings, "dataset", "export", "mine", out)["hash"] == made["hash"]
    back = answer(settings, "dataset", "import", out, "--name", "back")
    assert (back["hash"], back["splits"]) == (made["hash"], divided["splits"])
    assert answer(settings, "dataset", "undo", "mine")["splits"].keys() == {"none"}


def test_the_doctor_reads_a_folder_in_place(settings: Settings, tmp_path: Path) -> None:
    done = tlcore(settings, "dataset", "doctor", folder(tmp_path))
    assert done.returncode == 0
    assert "a/cut.jpg" in done.stdout
    assert "b/tiny.png" in done.stdout
    assert not settings.datasets.exists()


def test_hymenoptera_and_its_placeholder(settings: Settings, shared: Path) -> None:
    done = tlcore(settings, "dataset", "doctor", shared / "datasets" / "hymenoptera", "--json")
    found = {finding["kind"]: finding["files"] for finding in json.loads(done.stdout)["findings"]}
    assert found["uniform"] == ["train/ants/imageNotFound.gif"]
    assert set(found) == {"uniform", "elongated"}


def test_what_is_not_there_is_said(settings: Settings, tmp_path: Path) -> None:
    for words in (("doctor", "none"), ("import", tmp_path / "no.jpg", "--name", "x")):
        done = tlcore(settings, "dataset", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Expected")
