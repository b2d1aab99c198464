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
from collections.abc import Callable
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
FEW_FILES = ("status.json", "split.json", "events.jsonl", "model.keras")  # without --all
# Computed again, not needed any more, or said image by image.
UNNAMED = ("predictions-val.npz", "checkpoint.npz", "worker.log", "image_facts.jsonl", "image")
IN_REPORT = ("split.json", "provenance.json", "status.json", "events.jsonl", "predictions-val.npz")
SAID_WHEN_OPENED = ("events.jsonl", "parent_run.json", "process.json")  # lists do not read them
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
RUN_VIEWS = [name for name in PAGES if name.startswith(("Compare", "Feature", "Fine-tune "))]
SET_VIEWS = [name for name in PAGES if name != "Home" and not name.startswith("Fine-tune ")]
WHOLE = ("Home", "Upload images", "Compare one", "Feature maps", "Fine-tune summary")


def kinds_of(file: str) -> tuple[str, ...]:
    binary = file == "image" or file.endswith((".npz", ".keras"))
    return KINDS if binary else (*KINDS, *TEXT_KINDS)


def matrix(files: tuple[str, ...], views: list[str], each: int) -> list[Any]:
    """Every file in every view, damaged in one way; normally each file in some views alone."""
    rows = []
    for row, file in enumerate(files):
        usual = {views[(each * row + step) % len(views)] for step in range(each)}
        for view in views:
            marks = () if view in usual else pytest.mark.full
            kinds = kinds_of(file)
            kind = kinds[(views.index(view) + row) % len(kinds)]
            rows.append(pytest.param(file, view, kind, marks=marks))
    return rows


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


Broken = dict[tuple[str, str], str]  # file, kind of damage → id of a run, or name of a dataset
Damaged = tuple[Settings, Broken, Broken]  # the workspace, its damaged runs and datasets


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    place = tmp_path_factory.mktemp("damaged")
    settings = Settings(home=unpack(place / "home"), keras_home=place / "keras")
    call(settings, "runs", "evaluate", FINISHED, "--split", "val")  # answers are kept from now on
    run, dataset = settings.runs / FINISHED, settings.datasets / DATASET
    (run / "parent_run.json").write_text('{"run": ""}', encoding="utf-8")
    (run / "process.json").write_text('{"group": 4194303}', encoding="utf-8")
    (run / "worker.log").write_text("It began.\n", encoding="utf-8")
    runs, sets, numbers = {}, {}, count()
    for file in RUN_FILES:
        for kind in kinds_of(file):
            runs[file, kind] = f"20260101-{next(numbers):06}-000000"
            break_copy(run, runs[file, kind], file, kind)
    for file in SET_FILES:
        for kind in kinds_of(file):
            sets[file, kind] = f"{file} {kind}"
            image = min((dataset / "images").iterdir()).relative_to(dataset)
            break_copy(dataset, sets[file, kind], str(image) if file == "image" else file, kind)
    return settings, runs, sets


def break_copy(whole: Path, name: str, file: str, kind: str) -> None:
    shutil.copytree(whole, whole.with_name(name), copy_function=os.link)
    damage(whole.with_name(name) / file, kind)


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


def test_everything_damaged_is_listed_with_its_file(
    damaged: Damaged,
) -> None:
    settings, runs, sets = damaged
    rows = json.loads(call(settings, "runs", "--json"))
    listed = {row["id"]: " ".join(row["damage"]) for row in rows}
    for (file, kind), run in runs.items():
        if is_named(file, kind) and file not in SAID_WHEN_OPENED:
            assert file in listed[run], kind
    assert listed.keys() > set(runs.values())
    assert listed[FINISHED] == ""
    rows = json.loads(call(settings, "dataset", "list", "--json"))
    listed = {row["name"]: row.get("damage", "") for row in rows}
    for (file, kind), name in sets.items():
        assert (file in listed[name]) == is_named(file, kind), name
    assert listed[DATASET] == ""


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, marks=[] if file in FEW_FILES else pytest.mark.full) for file in RUN_FILES],
)
def test_every_command_on_a_damaged_run_ends_in_words(
    file: str, damaged: Damaged, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Half of the kinds of damage, by turns; with --all each of them."""
    settings, runs, _ = damaged
    ask = partial(said, settings)
    step = 1 if request.config.getoption("--all") else 2
    for kind in kinds_of(file)[RUN_FILES.index(file) % step :: step]:
        run = runs[file, kind]
        assert (file in ask("runs", "show", run, "--json")) == is_named(file, kind)
        assert ask("runs", "show", run)
        assert ask("runs", "compare", FINISHED, run, "--json")
        assert ask("runs", "evaluate", run, "--split", "val", "--json")
        ask("runs", "script", run, tmp_path / "script.py")
        if kind == "garbage" and file in IN_REPORT:  # seconds each
            ask("runs", "report", run, tmp_path / "report.html")
        ask("runs", "stop", run)


@pytest.mark.parametrize("file", SET_FILES)
def test_every_command_on_a_damaged_dataset_ends_in_words(
    file: str, damaged: Damaged, tmp_path: Path
) -> None:
    settings, _, sets = damaged
    for kind in kinds_of(file):
        copy = settings.datasets / f"copy of {file} {kind}"
        shutil.copytree(copy.with_name(sets[file, kind]), copy, copy_function=os.link)
        for words in (("show",), ("doctor",), ("export", tmp_path / "out.zip"), ("split",)):
            told = said(settings, "dataset", words[0], copy.name, *words[1:])
            assert told
            assert not is_named(file, kind) or file in told
        said(settings, "dataset", "undo", copy.name)
        shutil.rmtree(copy)


@pytest.mark.parametrize("view", WHOLE)
def test_every_view_of_what_is_whole_works_beside_the_damage(
    view: str, damaged: Damaged, opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    use(damaged[0], monkeypatch)
    at = look(view, opened, FINISHED, DATASET)
    assert all("weights" in error.value for error in at.error), at.error[0].value


@pytest.mark.parametrize(("file", "view", "kind"), matrix(RUN_FILES, RUN_VIEWS, 2))
def test_every_view_of_a_damaged_run_says_what_is_wrong(
    file: str, view: str, kind: str, damaged: Damaged, opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings, runs, _ = damaged
    use(settings, monkeypatch)
    run = runs[file, kind]
    at = look(view, opened, run, DATASET)
    silent = file in ("config.json", "split.json", "model.keras")
    if is_named(file, kind) and (silent or view.startswith("Fine-tune")):
        assert file in texts(at).replace("\\", "")
        assert run in at.query_params["run"]  # nothing else in its place


@pytest.mark.parametrize(("file", "view", "kind"), matrix(SET_FILES, SET_VIEWS, 2))
def test_every_view_of_a_damaged_dataset_says_what_is_wrong_and_stays_with_it(
    file: str, view: str, kind: str, damaged: Damaged, opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings, _, sets = damaged
    use(settings, monkeypatch)
    name = sets[file, kind]
    at = look(view, opened, FINISHED, name)
    if view == "Fine-tune":  # its address does not name the dataset
        at.selectbox(key="select-dataset").set_value(name).run()
        assert not at.exception
    if view != "Feature maps":  # where the picker is in a popover that is closed
        assert at.selectbox(key="select-dataset").value == name
    if is_named(file, kind):
        assert file in texts(at).replace("\\", "")
        assert view == "Fine-tune" or name in at.query_params["dataset"]


def look(view: str, opened: Opened, run: str, dataset: str) -> AppTest:
    """Open a view of a run and a dataset; no traceback may be on it."""
    page = view if view in ("Home", "Feature maps", "Fine-tune") else view.rpartition(" ")[0]
    query = {**PAGES[view], "dataset": dataset} | ({"run": run} if view in RUN_VIEWS else {})
    at = opened(page, **query)
    assert not at.exception, at.exception
    assert "Traceback" not in texts(at) + html_of(at)
    return at


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A workspace of its own for a test that writes."""
    return use(Settings(home=unpack(tmp_path / "home"), keras_home=tmp_path), monkeypatch)


def test_a_large_split_that_is_damaged_within_silences_its_own_run_alone(
    opened: Opened, unpacked: Settings
) -> None:
    """Lists do not read a large file to its end, so that only whoever opens the run finds out."""
    split = unpacked.runs / STOPPED / "split.json"
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


def test_a_dataset_goes_back_to_the_labels_it_came_with(opened: Opened, unpacked: Settings) -> None:
    edits = unpacked.datasets / DATASET / "edits.json"
    edits.write_bytes(b"")
    at = opened("Upload", dataset=DATASET)
    assert "damaged" in at.selectbox(key="select-dataset").options[-1]
    at.button(key="discard-edits").click().run()
    assert not at.exception
    assert not at.error
    labels = json.loads(call(unpacked, "dataset", "show", DATASET, "--json"))["classes"]
    assert labels == {"blue": 13, "green": 12, "red": 12}
    assert len(list(edits.parent.glob("damaged-*-edits.json"))) == 1


def test_a_damaged_run_and_a_damaged_dataset_can_be_deleted(
    opened: Opened, unpacked: Settings
) -> None:
    (unpacked.runs / FINISHED / "config.json").write_bytes(b"{")
    (unpacked.datasets / DATASET / "dataset.json").write_bytes(b"{")
    at = opened("Fine-tune")
    rows = at.dataframe[0].value["Run"].tolist()
    tick_runs(at, next(place for place, row in enumerate(rows) if FINISHED in row))
    at.button(key="runs-delete").click().run()
    assert not (unpacked.runs / FINISHED).exists()
    at = opened("Upload", dataset=DATASET)
    at.button(key="dataset-delete").click().run()
    assert not at.exception
    assert not (unpacked.datasets / DATASET).exists()
