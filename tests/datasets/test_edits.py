"""Edits lie over the images: what they do, that they are undone, and what the hash says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.datasets.files import jpeg
from tlcore.datasets import edits as editing
from tlcore.datasets.edits import is_label
from tlcore.datasets.importing import add_to_dataset, import_dataset
from tlcore.datasets.manifest import Change
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.store import DatasetState, load_dataset, load_state
from tlcore.errors import BadDataset
from tlcore.settings import PROJECT, Settings

FILES = {"ants/1.jpg": 1, "ants/2.jpg": 2, "bees/3.jpg": 3, "bees/4.jpg": 4, "flies/5.jpg": 5}


@pytest.fixture
def keys(settings: Settings) -> dict[str, str]:
    """A set "mine": file → key."""
    import_dataset("mine", incoming_from_uploads((f, jpeg(n)) for f, n in FILES.items()), settings)
    return {item.file: item.key for item in load_state("mine", settings).samples}


Act = Callable[[dict[str, str], Settings], DatasetState]
ACTS: dict[str, tuple[Act, dict[str, int]]] = {
    "relabel": (
        lambda keys, s: editing.relabel("mine", [keys["ants/1.jpg"]], "bees", s),
        {"ants": 1, "bees": 3, "flies": 1},
    ),
    "relabel each": (
        lambda keys, s: editing.relabel_each(
            "mine", {keys["ants/1.jpg"]: "wasps", keys["bees/3.jpg"]: "ants"}, s
        ),
        {"ants": 2, "bees": 1, "flies": 1, "wasps": 1},
    ),
    "exclude": (
        lambda keys, s: editing.exclude("mine", [keys["ants/1.jpg"]], s),
        {"ants": 1, "bees": 2, "flies": 1},
    ),
    "rename": (
        lambda keys, s: editing.rename_class("mine", "flies", "Fliegen 2", s),
        {"Fliegen 2": 1, "ants": 2, "bees": 2},
    ),
    "merge": (
        lambda keys, s: editing.rename_class("mine", "flies", "ants", s),
        {"ants": 3, "bees": 2},
    ),
    "delete": (lambda keys, s: editing.delete_class("mine", "bees", s), {"ants": 2, "flies": 1}),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_edit_is_seen_by_all_and_undone(
    act: str, keys: dict[str, str], settings: Settings
) -> None:
    before, files = load_state("mine", settings), stored(settings)
    do, counts = ACTS[act]
    after = do(keys, settings)
    assert dict(after.counts) == counts
    assert load_dataset("mine", settings).counts == counts
    assert after.dataset.hash != before.dataset.hash
    back = editing.undo_edit("mine", settings)
    assert dict(back.counts) == dict(before.counts)
    assert back.dataset.hash == before.dataset.hash
    assert stored(settings) == files


def stored(settings: Settings) -> dict[str, bytes]:
    """Everything of the set that an edit must not touch."""
    folder = settings.datasets / "mine"
    paths = [folder / "dataset.json", *sorted((folder / "images").iterdir())]
    return {path.name: path.read_bytes() for path in paths}


def test_the_hash_is_of_the_state_and_not_of_the_way_there(
    keys: dict[str, str], settings: Settings
) -> None:
    renamed = [(f"train/{f}".replace(".jpg", "x.jpg"), jpeg(n)) for f, n in FILES.items()]
    import_dataset("other", incoming_from_uploads(renamed), settings)
    mine, other = load_state("mine", settings), load_state("other", settings)
    assert mine.dataset.hash == other.dataset.hash  # names and splits are not in it
    first, second = keys["ants/1.jpg"], keys["bees/3.jpg"]
    editing.exclude("mine", [first], settings)
    one = editing.relabel("mine", [second], "ants", settings).dataset.hash
    for _ in range(2):
        editing.undo_edit("mine", settings)
    editing.relabel("mine", [second], "flies", settings)
    editing.relabel("mine", [second], "ants", settings)
    assert editing.exclude("mine", [first], settings).dataset.hash == one
    editing.include("mine", [first], settings)
    assert load_state("mine", settings).dataset.hash != one


def test_what_was_done_does_not_touch_what_comes_later(
    keys: dict[str, str], settings: Settings
) -> None:
    editing.rename_class("mine", "ants", "Ameisen", settings)
    editing.delete_class("mine", "bees", settings)
    files = [("ants/9.jpg", jpeg(9)), ("bees/8.jpg", jpeg(8)), ("ants/1.jpg", jpeg(1))]
    report = add_to_dataset("mine", incoming_from_uploads(files), settings)
    assert report.added == 2
    assert report.dataset.counts == {"Ameisen": 2, "ants": 1, "bees": 1, "flies": 1}


def test_settling_is_an_edit_too(keys: dict[str, str], settings: Settings) -> None:
    key = keys["ants/1.jpg"]
    before = load_state("mine", settings).dataset.hash
    assert load_state("mine", settings) is load_state("mine", settings)  # read once
    state = editing.dismiss("mine", [key], "tiny", settings)
    assert state.by_key[key].dismissed == {"tiny"}
    assert state.dataset.hash == before
    state = editing.restore("mine", [key], "tiny", settings)
    assert state.by_key[key].dismissed == set()
    assert editing.undo_edit("mine", settings).by_key[key].dismissed == {"tiny"}
    for _ in range(2):  # of which one has nothing to undo
        assert editing.undo_edit("mine", settings).edits == ()


@pytest.mark.parametrize(
    "label", ["", " ", "a/b", "..", ".hidden", "train", "Val", "x" * 61, "a\n"]
)
def test_labels_that_no_folder_can_have_are_refused(
    label: str, keys: dict[str, str], settings: Settings
) -> None:
    assert not is_label(label)
    with pytest.raises(BadDataset, match="Expected a class name"):
        editing.relabel("mine", [keys["ants/1.jpg"]], label, settings)
    assert load_state("mine", settings).edits == ()
    assert all(map(is_label, ["ants", "Köln 2", "a-b_c.d", "日本"]))


def test_strangers_are_refused(keys: dict[str, str], settings: Settings) -> None:
    with pytest.raises(BadDataset, match="the dataset has changed"):
        editing.exclude("mine", ["0" * 16], settings)
    with pytest.raises(BadDataset, match="Expected a class"):
        editing.rename_class("mine", "wasps", "ants", settings)
    with pytest.raises(ValueError, match="change"):
        Change("colour", "red", ())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"edits": [{}]}', '{"edits": [[1]]}'])
def test_a_damaged_log_is_said_and_not_passed_over(
    content: str, keys: dict[str, str], settings: Settings
) -> None:
    (settings.datasets / "mine" / "edits.json").write_text(content)
    with pytest.raises(BadDataset, match="go back to the labels"):
        load_state("mine", settings)


KILLED = """
import sys
from pathlib import Path
from tlcore.datasets.edits import editing
from tlcore.datasets.store import load_state
from tlcore.settings import Settings
settings = Settings(home=Path(sys.argv[1]), keras_home=Path(sys.argv[1]))
key = load_state("mine", settings).samples[0].key
print("begins", flush=True)
while True:
    editing.exclude("mine", [key], settings)
    editing.include("mine", [key], settings)
"""


@pytest.mark.parametrize("moment", range(3))
def test_killed_between_edits_the_log_is_whole(
    moment: int, keys: dict[str, str], settings: Settings
) -> None:
    command = [sys.executable, "-c", KILLED, str(settings.home)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(timeout=0.02 + 0.02 * moment)
        except subprocess.TimeoutExpired:
            process.kill()
    state = load_state("mine", settings)
    assert len(state.samples) == len(FILES)
    assert state.samples[0].excluded == bool(len(state.edits) % 2)
    editing.undo_edit("mine", settings)  # the lock went with its process
