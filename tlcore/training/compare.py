"""Runs beside each other: what was asked differently, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlcore.text import csv_text
from tlcore.training.config import differences
from tlcore.training.run import Run, RunInfo

# name → of RunInfo; "epochs" is a setting, of which fewer may have been done
FIGURES = {
    "state": "state",
    "val_accuracy": "val_accuracy",
    "val_loss": "val_loss",
    "epochs_done": "epochs",
    "seconds": "seconds",
}


def comparison(runs: Sequence[Run]) -> dict[str, tuple[Any, ...]]:
    """Return a row for every setting that differs, then one for each figure; a value a run."""
    infos = [run.info for run in runs]
    rows: dict[str, tuple[Any, ...]] = {
        name: tuple(_plain(value) for value in values)
        for name, values in differences(info.config for info in infos).items()
    }
    if len({info.data_hash for info in infos}) > 1:
        rows["data_hash"] = tuple(info.data_hash[:12] for info in infos)
    figures = {
        name: tuple(getattr(info, field) for info in infos) for name, field in FIGURES.items()
    }
    return rows | figures


def table(infos: Sequence[RunInfo]) -> list[dict[str, Any]]:
    """Return runs as rows of plain values, for CSV and JSON."""
    return [
        {
            "id": info.id,
            "name": info.notes.name,
            "tags": " ".join(info.notes.tags),
            "note": info.notes.note,
            "created": info.created,
            "data_hash": info.data_hash,
            **{name: getattr(info, field) for name, field in FIGURES.items()},
            **{name: _plain(value) for name, value in info.config.to_json().items()},
        }
        for info in infos
    ]


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows of the same names as comma-separated values with a header."""
    names = list(rows[0]) if rows else []
    return csv_text([names, *([row[name] for name in names] for row in rows)])


def _plain(value: Any) -> Any:
    return " ".join(str(part) for part in value) if isinstance(value, list | tuple) else value
