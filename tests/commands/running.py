"""The command line run as a script runs it: a process, its answer and what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tlcore.settings import PROJECT, Settings


def tlcore(settings: Settings, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tlcore", *map(str, words)],
        cwd=PROJECT,
        env=os.environ | settings.to_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def answer(settings: Settings, *words: str | Path) -> Any:
    done = tlcore(settings, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
