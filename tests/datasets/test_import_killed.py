"""kill -9 in the middle of an import: the set is absent or whole, and the rest is cleaned up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.datasets.files import jpeg
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.store import load_dataset, scan_datasets
from tlcore.settings import PROJECT, Settings
from tlcore.storage import remove_leftovers

COUNT = 40

IMPORT = """
import sys, time
from pathlib import Path
from tests.datasets.files import jpeg
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.importing import import_dataset
from tlcore.settings import Settings
files = incoming_from_uploads([(f"ants/{i}.jpg", jpeg(i)) for i in range(40)])
settings = Settings(home=Path(sys.argv[1]), keras_home=Path(sys.argv[1]))
def progress(done, total):
    print(done, flush=True)
    if done == 1 and sys.argv[2] == "wait":
        sys.stdin.readline()
    time.sleep(0.01)
import_dataset("mine", files, settings, progress=progress)
print("whole", flush=True)
time.sleep(60)
"""


def start(settings: Settings, how: str = "go") -> subprocess.Popen[str]:
    """Import in a process of its own, which with "wait" stands still at its first image."""
    return subprocess.Popen(
        [sys.executable, "-c", IMPORT, str(settings.home), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert any(said.strip() == line for said in process.stdout)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def hidden(settings: Settings) -> list[str]:
    return [p.name for p in settings.datasets.iterdir() if p.name.startswith(".import")]


@pytest.mark.parametrize("moment", ["1", str(COUNT), "whole"])
def test_killed_at_any_moment_the_set_is_absent_or_whole(settings: Settings, moment: str) -> None:
    process = start(settings)
    wait_for(process, moment)
    end(process)
    if scan_datasets(settings)[0]:
        assert len(load_dataset("mine", settings).samples) == COUNT
        assert all(sample.path.is_file() for sample in load_dataset("mine", settings).samples)
    else:
        assert moment != "whole"
        import_dataset("mine", incoming_from_uploads([("ants/1.jpg", jpeg())]), settings)
        assert len(load_dataset("mine", settings).samples) == 1
    remove_leftovers(settings.datasets)
    assert hidden(settings) == []


def test_cleaning_up_does_not_harm_an_import_that_is_alive(settings: Settings) -> None:
    process = start(settings, "wait")
    try:
        wait_for(process, "1")
        import_dataset("other", incoming_from_uploads([("ants/1.jpg", jpeg())]), settings)
        assert len(hidden(settings)) == 1  # it neither waited for the other nor took it away
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        wait_for(process, "whole")
    finally:
        end(process)
    assert len(load_dataset("mine", settings).samples) == COUNT
