"""The command line, run in this process; as a process of its own only where that is the point."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tlcore.__main__ import main
from tlcore.settings import PROJECT, Settings

CRASHED = -1  # the status of a command that ended in a traceback


def tlcore(settings: Settings, *words: str | Path) -> CompletedProcess[str]:
    """Run one command in this process; return its exit status, answer and standard error."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            status = main([str(word) for word in words], settings, out)
        except SystemExit as end:
            status = int(end.code or 0)
        except Exception:
            status = CRASHED
            traceback.print_exc()
    return CompletedProcess(list(words), status, out.getvalue(), errors.getvalue())


def process(settings: Settings, *words: str | Path) -> CompletedProcess[str]:
    """Run one command as a script does: a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tlcore", *map(str, words)],
        cwd=PROJECT,
        env=os.environ | settings.to_environment(),
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
    )


def answer(settings: Settings, *words: str | Path) -> Any:
    """Return the JSON value of a command that succeeds."""
    done = tlcore(settings, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def together(
    settings: Settings, lines: Sequence[Sequence[str | Path]]
) -> list[tuple[int, str, str]]:
    """Return exit status, standard output and standard error of several commands."""
    done = [tlcore(settings, *line) for line in lines]
    return [(each.returncode, each.stdout, each.stderr) for each in done]


def refusals(settings: Settings, lines: Sequence[Sequence[str | Path]]) -> list[tuple[int, str]]:
    """Return exit status and standard error of several commands."""
    return [(status, errors) for status, _, errors in together(settings, lines)]
