"""The command line run as a script runs it: a process, its answer and what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
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


TOGETHER = """
import contextlib, io, json, os, sys, tempfile, traceback
from tlcore.__main__ import main
out, told = os.dup(1), []
for words in json.load(sys.stdin):
    said = io.StringIO()
    with tempfile.TemporaryFile() as file, contextlib.redirect_stderr(said):
        os.dup2(file.fileno(), 1)
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code
        except Exception:
            status = -1
            traceback.print_exc()
        file.seek(0)
        told.append((status, file.read().decode(errors="backslashreplace"), said.getvalue()))
os.write(out, json.dumps(told).encode())
"""
CRASHED = -1  # the status of a line that ended in a traceback


def together(
    settings: Settings, lines: Sequence[Sequence[str | Path]]
) -> list[tuple[int, str, str]]:
    """Give several command lines to one process, TensorFlow's start being what takes the time.

    Returns:
        Of each line its exit status (-1 for an exception that reached Python), its standard
        output and what it said on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER],
        input=json.dumps([[str(word) for word in line] for line in lines]),
        cwd=PROJECT,
        env=os.environ | settings.to_environment(),
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(each) for each in json.loads(done.stdout)]


def refusals(settings: Settings, lines: Sequence[Sequence[str | Path]]) -> list[tuple[int, str]]:
    """Do what ``together`` does; return exit status and standard error of each line."""
    return [(status, said) for status, _, said in together(settings, lines)]
