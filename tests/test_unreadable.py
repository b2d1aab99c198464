"""What its owner alone may read, seen by another user: it is listed, and hides nothing else."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.old_workspace import DATASET, FINISHED, STOPPED, unpack
from tests.pages.test_damage import call, said
from tlcore.settings import Settings
from tlcore.training.worker import execute_run

NOBODY = 65534


@pytest.fixture
def theirs() -> Iterator[Settings]:
    """A workspace in a folder that other users can reach."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Settings(home=unpack(Path(place) / "home"), keras_home=Path(place) / "keras")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Take all rights from a file or folder, and for the superuser, whom that does not keep out,
    become somebody else."""
    mode, user = path.stat().st_mode, os.geteuid()
    path.chmod(0)
    if not user:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(mode)


def enlarge(split: Path) -> None:
    split.write_bytes(b" " * 2**19 + split.read_bytes())


@pytest.mark.parametrize(
    ("file", "change"),
    [("", None), ("run.lock", None), ("split.json", enlarge), ("config.json", None)],
    ids=["folder", "lock", "large split", "settings"],
)
def test_a_run_that_may_not_be_read_is_listed_and_hides_no_other(
    file: str, change: Callable[[Path], None] | None, theirs: Settings
) -> None:
    path = theirs.runs / FINISHED / file
    if change:
        change(path)
    elif file == "run.lock":
        path.touch()
    with locked(path):
        rows = {row["id"]: row for row in json.loads(call(theirs, "runs", "--json"))}
    assert set(rows) == {FINISHED, STOPPED}
    assert rows[STOPPED]["status"] == "stopped"
    assert rows[FINISHED].keys() == rows[STOPPED].keys()
    words = " ".join(rows[FINISHED]["damage"])
    assert ("Permission denied" in words) == (file != "run.lock")


def test_a_history_that_may_not_be_read_is_said_once(theirs: Settings) -> None:
    with locked(theirs.runs / FINISHED / "events.jsonl"):
        [words] = json.loads(call(theirs, "runs", "show", FINISHED, "--json"))["damage"]
    assert words.startswith("events.jsonl is damaged (Permission denied).")


def test_a_dataset_that_may_not_be_read_is_listed(theirs: Settings) -> None:
    with locked(theirs.datasets / DATASET):
        [row] = json.loads(call(theirs, "dataset", "list", "--json"))
        assert "Permission denied" in said(theirs, "dataset", "show", DATASET)
    assert row["name"] == DATASET
    assert "Permission denied" in row["damage"]


def test_a_run_does_not_wait_for_one_that_may_not_be_read(theirs: Settings) -> None:
    """It ends for want of weights, not of rights to the folder of an earlier run."""
    later = theirs.runs / "20270101-000000-000000"
    later.mkdir()
    config = (theirs.runs / STOPPED / "config.json").read_bytes()
    (later / "config.json").write_bytes(config)
    later.chmod(0o777)
    (theirs.runs / ".queue").mkdir(exist_ok=True)
    (theirs.runs / ".queue").chmod(0o777)
    with locked(theirs.runs / FINISHED):
        outcome = execute_run(later, theirs)
    assert "Permission" not in outcome.error
    assert "weight" in outcome.error
