"""A workspace of an earlier version gets today's names; an interruption loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.old_workspace import FINISHED, STOPPED, unpack
from tlcore.errors import StorageError
from tlcore.migration import VERSION, migrate
from tlcore.settings import Settings
from tlcore.storage import lock_file
from tlcore.training.run import RunInfo
from tlcore.training.status import DamagedRun
from tlcore.training.store import list_runs, scan_runs

Contents = dict[str, tuple[bytes, int]]  # path → content and time of change, ns


@pytest.fixture
def old(tmp_path: Path) -> Settings:
    """The workspace of the earlier version, with the files that the stored one has not."""
    settings = Settings(
        home=unpack(tmp_path / "workspace", convert=False), keras_home=tmp_path / "keras"
    )
    (settings.runs / ".turns").mkdir()
    (settings.home / "making").mkdir()
    run = settings.runs / STOPPED
    shutil.copy2(run / "outcome.json", run / "earlier.json")
    (run / "waiting").touch()
    (run / "validation-head.npz").write_bytes(b"head")
    return settings


def contents(settings: Settings) -> Contents:
    files = [path for path in settings.home.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(settings.home)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in files
        if path.name not in ("workspace.json", ".workspace.lock", "run.lock", "lock")
    }


def read(settings: Settings, run: str, name: str) -> dict[str, Any]:
    return json.loads((settings.runs / run / name).read_text(encoding="utf-8"))


def test_files_and_keys_get_their_new_names_and_keep_contents_and_times(old: Settings) -> None:
    before = contents(old)
    outcome = read(old, FINISHED, "outcome.json")
    migrate(old)
    after = contents(old)
    assert json.loads((old.home / "workspace.json").read_text()) == {"version": VERSION}
    for run in (FINISHED, STOPPED):
        path = f"runs/{run}"
        for name in ("events.jsonl", "split.json", "checkpoint.npz", "model.keras"):
            assert after[f"{path}/{name}"] == before[f"{path}/{name}"]
        assert after[f"{path}/predictions-val.npz"] == before[f"{path}/answers-val.npz"]
        assert f"{path}/answers-val.npz" not in after
        assert after[f"{path}/config.json"][1] == before[f"{path}/config.json"][1]
        assert after[f"{path}/status.json"][1] == before[f"{path}/outcome.json"][1]
    status = read(old, FINISHED, "status.json")
    assert status["status"] == outcome["state"] == "finished"
    assert [*status.values()] == [*outcome.values()]
    config = read(old, FINISHED, "config.json")
    assert config["class_weights"] in ("none", "balanced", "oversampling")
    assert not config.keys() & {"hidden", "output", "balance", "schedule", "augment", "views"}
    assert set(read(old, FINISHED, "provenance.json")["images"]) == {"train", "val"}
    folder = old.runs / STOPPED
    assert {path.name for path in folder.iterdir()} >= {
        "previous_status.json", "queued", "stage_predictions-head.npz", "parent_run.json",
    }  # fmt: skip
    assert (old.home / "work").is_dir()
    assert (old.runs / ".queue").is_dir()


@pytest.mark.parametrize(
    ("old_values", "values"),
    [
        ({"balance": "weights", "views": 4}, {"class_weights": "balanced", "augmented_copies": 4}),
        ({"balance": "sampling", "hidden": [8]},
         {"class_weights": "oversampling", "hidden_units": [8]}),
    ],
)  # fmt: skip
def test_options_and_their_values(
    old_values: dict[str, Any], values: dict[str, Any], old: Settings
) -> None:
    file = old.runs / FINISHED / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | old_values
    file.write_text(json.dumps(config), encoding="utf-8")
    migrate(old)
    assert read(old, FINISHED, "config.json").items() >= values.items()


def test_killed_after_any_step_and_called_again_it_ends_as_if_never_killed(
    old: Settings, tmp_path: Path
) -> None:
    whole = Settings(home=tmp_path / "whole", keras_home=tmp_path)
    shutil.copytree(old.home, whole.home)
    migrate(whole)
    for step in range(100):
        home = tmp_path / f"killed-{step}"
        shutil.copytree(old.home, home)
        settings = Settings(home=home, keras_home=tmp_path)
        ended = in_child(lambda: kill_at(step, settings))  # noqa: B023 - called at once
        migrate(settings)
        assert contents(settings) == contents(whole), f"killed at step {step}"
        if ended:
            break
        shutil.rmtree(home)
    assert ended
    assert step > 10


def kill_at(step: int, settings: Settings) -> None:
    """Convert a workspace; the process is killed before one of its renames and removals."""
    left = step

    def counted(do: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return do(*args, **kwargs)

        return call

    for name in ("replace", "rename", "unlink"):
        setattr(Path, name, counted(getattr(Path, name)))
    migrate(settings)


def in_child(do: Callable[[], None]) -> bool:
    """Call it in a process of its own; return whether that came to its end."""
    process = os.fork()
    if not process:
        try:
            do()
        finally:
            os._exit(0)
    return os.waitpid(process, 0)[1] == 0


def test_a_run_that_is_in_use_is_converted_later(old: Settings) -> None:
    with lock_file(old.runs / FINISHED / "run.lock"):
        migrate(old)
        assert (old.runs / FINISHED / "outcome.json").exists()
        assert (old.runs / STOPPED / "status.json").exists()
        assert not (old.home / "workspace.json").exists()
        in_use, converted = scan_runs(old)[::-1]  # the finished one is the older one
        assert isinstance(in_use, DamagedRun)
        assert "an earlier version" in in_use.damage.description
        assert isinstance(converted, RunInfo)
    migrate(old)
    assert len(list_runs(old)) == 2
    assert (old.runs / FINISHED / "status.json").exists()
    assert (old.home / "workspace.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"state": '])
def test_a_damaged_file_is_renamed_as_it_is(text: str, old: Settings) -> None:
    (old.runs / FINISHED / "outcome.json").write_text(text, encoding="utf-8")
    migrate(old)
    assert (old.runs / FINISHED / "status.json").read_text(encoding="utf-8") == text


def test_a_newer_version_is_refused_and_left_alone(old: Settings) -> None:
    (old.home / "workspace.json").write_text('{"version": 99}', encoding="utf-8")
    before = contents(old)
    with pytest.raises(StorageError, match=r"version 99.*Update the program"):
        migrate(old)
    assert contents(old) == before


def test_a_new_workspace_has_this_version_at_once(settings: Settings) -> None:
    migrate(settings)  # there is no folder yet
    assert not settings.home.exists()
    settings.home.mkdir()
    migrate(settings)
    assert json.loads((settings.home / "workspace.json").read_text()) == {"version": VERSION}
