"""What a person made is on disk before it is confirmed: it survives a power cut.

Each case runs in a process of its own under a recorder of what the kernel is asked to do with files
(rename, fsync). A file survives if its bytes were synced, and its folder after it got its name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.images import write_patches
from tests.old_workspace import DATASET, FINISHED, unpack
from tlcore.settings import PROJECT, Settings

RECORDER = """
import json, os, sys
log = []  # ("synced", inode) and ("moved", path), in the order in which they happened
fsync, moves = os.fsync, {"replace": os.replace, "rename": os.rename}

def recorded_fsync(descriptor):
    fsync(descriptor)
    log.append(["synced", os.fstat(descriptor).st_ino])

def recorded(move):
    def wrapped(source, target, **options):
        move(source, target, **options)
        log.append(["moved", str(target)])
    return wrapped

os.fsync = recorded_fsync
for name, move in moves.items():
    setattr(os, name, recorded(move))
"""
FINISH = """
print("RECORD " + json.dumps(log))
"""
START = time.time()
IMPORTS = """
from pathlib import Path
from tlcore.settings import Settings
settings = Settings.from_environment()
"""

CASES = {
    "an import": (
        "from tlcore.datasets.importing import import_dataset\n"
        "from tlcore.datasets.sources import incoming_from_folder\n"
        "import_dataset('new', incoming_from_folder(Path({files!r}), settings.limits), settings)",
        ("datasets/new", "datasets/new/dataset.json", "datasets/new/images/*"),
    ),
    "images that are added": (
        "from tlcore.datasets.importing import add_to_dataset\n"
        "from tlcore.datasets.sources import incoming_from_folder\n"
        "files = incoming_from_folder(Path({files!r}), settings.limits)\n"
        "add_to_dataset({dataset!r}, files, settings)",
        ("datasets/*/dataset.json", "datasets/*/images/*"),
    ),
    "a label": (
        "from tlcore.datasets.edits import rename_class\n"
        "rename_class({dataset!r}, 'red', 'crimson', settings)",
        ("datasets/*/edits.json",),
    ),
    "another name of a dataset": (
        "from tlcore.datasets.store import rename_dataset\n"
        "rename_dataset({dataset!r}, 'renamed', settings)",
        ("datasets/renamed",),
    ),
    "notes": (
        "from tlcore.training.run import write_notes\n"
        "write_notes(settings.runs / {run!r}, 'mine', '', [])",
        ("runs/{run}/notes.json",),
    ),
    "a run that is made": (
        "import shutil\n"
        "from tlcore.training.config import RunConfig\n"
        "from tlcore.training.lifecycle import create_run\n"
        "shutil.rmtree(settings.runs)\n"
        "create_run(RunConfig({dataset!r}), settings)",
        ("runs/2*", "runs/2*/config.json"),
    ),
    "how a run ended": (
        "import shutil\n"
        "from tlcore.training.worker import execute_run\n"
        "folder = settings.runs / {run!r}\n"
        "(folder / 'status.json').unlink(); (folder / 'stop').touch()\n"
        "execute_run(folder, settings)",
        ("runs/{run}/status.json", "runs/{run}/events.jsonl", "runs/{run}/model.keras"),
    ),
}


@pytest.mark.parametrize("case", list(CASES))
def test_what_is_confirmed_survives_a_power_cut(case: str, tmp_path: Path) -> None:
    settings = Settings(home=unpack(tmp_path / "home"), keras_home=tmp_path / "keras")
    code, patterns = CASES[case]
    files = write_patches(tmp_path / "files", classes=2, each=3, side=16)
    names = {"dataset": DATASET, "run": FINISHED, "files": str(files)}
    log = run(RECORDER + IMPORTS + code.format(**names) + FINISH, settings)
    for pattern in patterns:
        paths = sorted(settings.home.glob(pattern.format(**names)))
        assert paths, pattern
        for path in paths:
            if path.is_file() and not in_fixture(path):
                assert ["synced", path.stat().st_ino] in log, f"{path} is not synced"
            named = max(
                (place for place, each in enumerate(log) if each[1] == str(path)), default=0
            )
            parent = ["synced", path.parent.stat().st_ino]
            assert parent in log[named:], f"the name of {path} is not synced"


def in_fixture(path: Path) -> bool:
    """Whether it was there before: an image that nobody has touched."""
    return path.parent.name == "images" and path.stat().st_mtime < START


def run(code: str, settings: Settings) -> list[list[str | int]]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env=os.environ | settings.to_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("RECORD "))
    log: list[list[str | int]] = json.loads(line.removeprefix("RECORD "))
    return log
