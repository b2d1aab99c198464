"""Cells as a Python file and as a notebook."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 98  # of comments


@dataclass(frozen=True)
class Cell:
    """A piece of a script: why, and the code."""

    title: str
    words: str  # the reasons, in plain sentences
    code: str


def as_python(doc: str, cells: Sequence[Cell]) -> str:
    """Return one file; editors know its "# %%" as the beginnings of cells.

    Args:
        doc: the module's docstring.
        cells: in order.
    """
    parts = [f'"""{doc}"""']
    for cell in cells:
        words = textwrap.fill(cell.words, WIDTH, initial_indent="# ", subsequent_indent="# ")
        parts.append(f"# %% {cell.title}\n{words}\n\n\n{cell.code}")
    return "\n\n\n".join(parts) + "\n"


def as_notebook(doc: str, cells: Sequence[Cell]) -> str:
    """Return a notebook, format 4.5 (https://nbformat.readthedocs.io/en/latest/)."""
    made = [_markdown("doc", doc)]
    for place, cell in enumerate(cells):
        made.append(_markdown(f"words-{place}", f"## {cell.title}\n\n{cell.words}"))
        made.append(
            {
                "cell_type": "code",
                "id": f"code-{place}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": _lines(cell.code),
            }
        )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
            "cells": made,
        },
        indent=1,
    )


def _markdown(id: str, text: str) -> dict[str, object]:
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": _lines(text)}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
