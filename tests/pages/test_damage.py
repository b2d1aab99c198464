"""Damage of every kind to every kind of file of a workspace, seen from every view and command.

One workspace holds a whole run and a whole dataset beside a damaged copy of each for every file and
every kind of damage, 150 in all. What holds: nothing ends in a traceback, what is whole goes on
working, and what is damaged stays listed with the name of its file. Listing and commands go
through all of it; the views of one run or dataset go through every file in every view, with the
kinds of damage in rotation.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.old_workspace import DATASET, FINISHED, STOPPED, unpack
from tests.pages.conftest import Opened, html_of, texts, tick_runs, use
from tlcore.__main__ import COMMANDS
from tlcore.errors import TLCoreError
from tlcore.settings import Settings

TEXT_KINDS = ("extra key", "newer version", "not UTF-8")  # only of files that hold text
KINDS = ("missing", "empty", "truncated", "garbage", "wrong type", "unreadable", "brackets")
JSON_OF_RUN = ("config.json", "split.json", "provenance.json", "notes.json", "status.json",
               "parent_run.json", "process.json")  # fmt: skip
RUN_FILES = (*JSON_OF_RUN, "events.jsonl", "checkpoint.npz", "model.keras", "predictions-val.npz",
             "worker.log")  # fmt: skip
# What the head's answers do not depend on: one copy of the run has all of these damaged.
BESIDE = ("parent_run.json", "process.json", "checkpoint.npz", "predictions-val.npz", "worker.log")
SEVERAL = "several"
# Computed again, not needed any more, or said image by image.
UNNAMED = (SEVERAL, "predictions-val.npz", "checkpoint.npz", "worker.log", "image_facts.jsonl",
           "image")  # fmt: skip
SET_FILES = ("dataset.json", "edits.json", "image_facts.jsonl", "image")
REVIEW = ("summary", "mistakes", "label-issues", "curves", "embedding", "compare", "improve",
          "export")  # fmt: skip
PAGES: dict[str, dict[str, str]] = {
    "Home": {},
    **{f"Upload {view}": {"view": view} for view in ("images", "problems", "splits")},
    **{f"Compare {view}": {"view": view} for view in ("one", "many")},
    "Feature maps": {"network": "head"},
    "Fine-tune": {},
    **{f"Fine-tune {view}": {"view": view} for view in REVIEW},
}
ASKING = ("Compare one", "Feature maps")  # views that load the network
RUN_VIEWS = [*ASKING, *(name for name in PAGES if name.startswith("Fine-tune ")), "Compare many"]
SET_VIEWS = [name for name in PAGES if name != "Home" and not name.startswith("Fine-tune ")]
WHOLE = ("Home", "Upload images", "Compare one", "Feature maps", "Fine-tune summary")


def matrix(files: tuple[str, ...], views: list[str], each: int) -> list[Any]:
    """Every file in every view; in a normal run each file in some views, in rotation."""
    rows = []
    for row, file in enumerate(files):
        usual = {views[(each * row + step) % len(views)] for step in range(each)}
        for view in views:
            if view not in ASKING or file not in BESIDE:
                marks = () if view in usual else pytest.mark.full
                rows.append(pytest.param(file, view, marks=marks))
    return rows


RUNS_IN_VIEWS = [
    *matrix(RUN_FILES, RUN_VIEWS, 3), *(pytest.param(SEVERAL, view) for view in ASKING),
]  # fmt: skip


def kinds_of(file: str) -> tuple[str, ...]:
    binary = file == "image" or file.endswith((".npz", ".keras"))
    return KINDS if binary else (*KINDS, *TEXT_KINDS)


def is_named(file: str, kind: str) -> bool:
    """Whether the damage costs something, so that the file has to be named."""
    if file in UNNAMED:
        return False
    if kind == "missing":
        return file in ("config.json", "split.json", "events.jsonl", "model.keras", "dataset.json")
    if kind == "extra key":
        return file == "config.json"  # a setting that is not known
    return kind != "newer version" or file != "events.jsonl"


def damage(path: Path, kind: str) -> None:
    data = path.read_bytes()
    path.unlink()  # it is a link to a whole one
    if kind == "unreadable":
        path.mkdir()  # nobody can read it as a file, the superuser neither
    elif kind != "missing":
        path.write_bytes(CHANGED[kind](data))


def with_key(data: bytes, key: str, value: Any) -> bytes:
    """Add a key to a JSON file, or to the first of its lines."""
    first, line, rest = data.partition(b"\n") if b"}\n{" in data else (data, b"", b"")
    try:
        return json.dumps(json.loads(first) | {key: value}).encode() + line + rest
    except ValueError:
        return data + f"{key}: {value}".encode()


CHANGED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "garbage": lambda data: np.random.default_rng(0).bytes(500),
    "wrong type": lambda data: b'["a", 7]',
    "brackets": lambda data: b"[" * 200_000,
    "extra key": lambda data: with_key(data, "colour", 1),
    "newer version": lambda data: with_key(data, "version", 99),
    "not UTF-8": lambda data: data[:10] + b"\xff\xfe" + data[10:],
}


@dataclass(frozen=True)
class Broken:
    """A damaged copy."""

    file: str
    kind: str
    name: str  # id of a run, or name of a dataset


@dataclass(frozen=True)
class Damaged:
    """The workspace."""

    settings: Settings
    runs: tuple[Broken, ...]
    sets: tuple[Broken, ...]

    def find(self, file: str, kind: str) -> Broken:
        return next(b for b in (*self.runs, *self.sets) if (b.file, b.kind) == (file, kind))


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    place = tmp_path_factory.mktemp("damaged")
    settings = Settings(home=unpack(place / "home"), keras_home=place / "keras")
    call(settings, "runs", "evaluate", FINISHED, "--split", "val")  # answers are kept from now on
    run, dataset = settings.runs / FINISHED, settings.datasets / DATASET
    (run / "parent_run.json").write_text('{"run": ""}', encoding="utf-8")
    (run / "process.json").write_text('{"group": 4194303}', encoding="utf-8")
    (run / "worker.log").write_text("It began.\n", encoding="utf-8")
    return Damaged(settings, tuple(_runs(run)), tuple(_sets(dataset)))


def _runs(whole: Path) -> Iterator[Broken]:
    numbers = count()
    for file in RUN_FILES:
        for kind in kinds_of(file):
            copy = whole.with_name(f"20260101-{next(numbers):06}-000000")
            shutil.copytree(whole, copy, copy_function=os.link)
            damage(copy / file, kind)
            yield Broken(file, kind, copy.name)
    copy = whole.with_name(f"20260101-{next(numbers):06}-000000")
    shutil.copytree(whole, copy, copy_function=os.link)
    for file in BESIDE:
        damage(copy / file, "garbage")
    yield Broken(SEVERAL, "garbage", copy.name)


def _sets(whole: Path) -> Iterator[Broken]:
    for file in SET_FILES:
        for kind in kinds_of(file):
            copy = whole.with_name(f"{file} {kind}")
            shutil.copytree(whole, copy, copy_function=os.link)
            image = min((copy / "images").iterdir())
            damage(image if file == "image" else copy / file, kind)
            yield Broken(file, kind, copy.name)


def call(settings: Settings, *words: str | Path) -> str:
    """Run a command in this process; return what it printed. Raises TLCoreError with its words."""
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    for command in COMMANDS:
        command.add(subparsers)
    args, out = parser.parse_args(list(map(str, words))), io.StringIO()
    args.run(args, settings, out)
    return out.getvalue()


def said(settings: Settings, *words: str | Path) -> str:
    """Return what a command printed, or the message with which it refused."""
    try:
        return call(settings, *words)
    except TLCoreError as error:
        return str(error)


def test_everything_damaged_is_listed_with_its_file(damaged: Damaged) -> None:
    rows = json.loads(call(damaged.settings, "runs", "--json"))
    listed = {row["id"]: " ".join(row["damage"]) for row in rows}
    assert {broken.name for broken in damaged.runs} < listed.keys()
    for broken in damaged.runs:
        if is_named(broken.file, broken.kind) and broken.file not in SAID_WHEN_OPENED:
            assert broken.file in listed[broken.name], broken
    assert listed[FINISHED] == ""
    rows = json.loads(call(damaged.settings, "dataset", "list", "--json"))
    sets = {row["name"]: row.get("damage", "") for row in rows}
    assert {broken.name for broken in damaged.sets} < sets.keys()
    for broken in damaged.sets:
        assert (broken.file in sets[broken.name]) == is_named(broken.file, broken.kind), broken
    assert sets[DATASET] == ""


SAID_WHEN_OPENED = ("events.jsonl", "parent_run.json", "process.json")  # lists do not read them


@pytest.mark.parametrize("file", RUN_FILES)
def test_every_command_on_a_damaged_run_ends_in_words(
    file: str, damaged: Damaged, tmp_path: Path
) -> None:
    for broken in damaged.runs:
        if broken.file != file:
            continue
        ask = partial(said, damaged.settings)
        assert (file in ask("runs", "show", broken.name, "--json")) == is_named(file, broken.kind)
        assert ask("runs", "show", broken.name)
        assert ask("runs", "compare", FINISHED, broken.name, "--json")
        assert ask("runs", "evaluate", broken.name, "--split", "val", "--json")
        ask("runs", "script", broken.name, tmp_path / "script.py")
        if broken.kind == "garbage" and file not in BESIDE:  # seconds each
            ask("runs", "report", broken.name, tmp_path / "report.html")
        ask("runs", "stop", broken.name)


@pytest.mark.parametrize("file", SET_FILES)
def test_every_command_on_a_damaged_dataset_ends_in_words(
    file: str, damaged: Damaged, tmp_path: Path
) -> None:
    for broken in damaged.sets:
        if broken.file != file:
            continue
        copy = damaged.settings.datasets / f"copy of {broken.name}"
        shutil.copytree(copy.with_name(broken.name), copy, copy_function=os.link)
        for words in (("show",), ("doctor",), ("export", tmp_path / "out.zip"), ("split",)):
            told = said(damaged.settings, "dataset", words[0], copy.name, *words[1:])
            assert told
            assert not is_named(file, broken.kind) or file in told
        told = said(damaged.settings, "dataset", "undo", copy.name)
        shutil.rmtree(copy)


@pytest.mark.parametrize("view", WHOLE)
def test_every_view_of_what_is_whole_works_beside_the_damage(
    view: str, damaged: Damaged, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = look(view, damaged.settings, opened, monkeypatch, FINISHED, DATASET)
    assert all("weights" in error.value for error in at.error), at.error[0].value


@pytest.mark.parametrize(("file", "view"), RUNS_IN_VIEWS)
def test_every_view_of_a_damaged_run_says_what_is_wrong(
    file: str, view: str, damaged: Damaged, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = RUN_VIEWS.index(view) + RUN_FILES.index(file) if file != SEVERAL else 0
    broken = damaged.find(file, rotated(file, place))
    at = look(view, damaged.settings, opened, monkeypatch, broken.name, DATASET)
    silent = file in ("config.json", "split.json", "model.keras")
    if is_named(file, broken.kind) and (silent or view.startswith("Fine-tune")):
        assert file in texts(at).replace("\\", "")
        assert broken.name in at.query_params["run"]  # nothing else in its place


@pytest.mark.parametrize(("file", "view"), matrix(SET_FILES, SET_VIEWS, 3))
def test_every_view_of_a_damaged_dataset_says_what_is_wrong_and_stays_with_it(
    file: str, view: str, damaged: Damaged, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = damaged.find(file, rotated(file, SET_FILES.index(file) + SET_VIEWS.index(view)))
    at = look(view, damaged.settings, opened, monkeypatch, FINISHED, broken.name)
    if view == "Fine-tune":  # its address does not name the dataset
        at.selectbox(key="select-dataset").set_value(broken.name).run()
        assert not at.exception
    if view != "Feature maps":  # where the picker is in a popover that is closed
        assert at.selectbox(key="select-dataset").value == broken.name
    if is_named(file, broken.kind):
        assert file in texts(at).replace("\\", "")
        assert view == "Fine-tune" or broken.name in at.query_params["dataset"]


def rotated(file: str, place: int) -> str:
    kinds = kinds_of(file) if file != SEVERAL else ("garbage",)
    return kinds[place % len(kinds)]


def look(
    view: str, settings: Settings, opened: Opened, monkeypatch: pytest.MonkeyPatch, run: str,
    dataset: str,
) -> AppTest:  # fmt: skip
    """Open a view of a run and a dataset; no traceback may be on it."""
    use(settings, monkeypatch)
    page = view if view in ("Home", "Feature maps", "Fine-tune") else view.rpartition(" ")[0]
    query = {**PAGES[view], "dataset": dataset}
    if view in RUN_VIEWS:
        query["run"] = run
    at = opened(page, **query)
    assert not at.exception, at.exception
    assert "Traceback" not in texts(at) + html_of(at)
    return at


def test_a_large_split_that_is_damaged_within_silences_its_own_run_alone(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists do not read a large file to its end, so that only whoever opens the run finds out."""
    settings = use(Settings(home=unpack(tmp_path / "home"), keras_home=tmp_path), monkeypatch)
    split = settings.runs / STOPPED / "split.json"
    rows = json.loads(split.read_text(encoding="utf-8"))
    rows["train"] = rows["train"] * 100 + [{"file": "without a label"}]
    split.write_text(json.dumps(rows), encoding="utf-8")
    for page in ("Compare", "Fine-tune"):
        at = opened(page, dataset=DATASET, run=STOPPED)
        assert not at.exception
        assert "split.json" in texts(at)
        assert STOPPED in at.query_params["run"]
    at = opened("Fine-tune", run=FINISHED)
    assert not at.exception
    assert not at.error


def test_a_dataset_goes_back_to_the_labels_it_came_with(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = use(Settings(home=unpack(tmp_path / "home"), keras_home=tmp_path), monkeypatch)
    edits = settings.datasets / DATASET / "edits.json"
    edits.write_bytes(b"")
    at = opened("Upload", dataset=DATASET)
    assert "damaged" in at.selectbox(key="select-dataset").options[-1]
    at.button(key="discard-edits").click().run()
    assert not at.exception
    assert not at.error
    labels = json.loads(call(settings, "dataset", "show", DATASET, "--json"))["classes"]
    assert labels == {"blue": 13, "green": 12, "red": 12}
    assert len(list(edits.parent.glob("damaged-*-edits.json"))) == 1


def test_a_damaged_run_and_a_damaged_dataset_can_be_deleted(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = use(Settings(home=unpack(tmp_path / "home"), keras_home=tmp_path), monkeypatch)
    (settings.runs / FINISHED / "config.json").write_bytes(b"{")
    (settings.datasets / DATASET / "dataset.json").write_bytes(b"{")
    at = opened("Fine-tune")
    rows = at.dataframe[0].value["Run"].tolist()
    tick_runs(at, next(place for place, row in enumerate(rows) if FINISHED in row))
    at.button(key="runs-delete").click().run()
    assert not (settings.runs / FINISHED).exists()
    at = opened("Upload", dataset=DATASET)
    at.button(key="delete").click().run()
    assert not at.exception
    assert not (settings.datasets / DATASET).exists()
