"""Which pictures a run has learned from and which it was judged by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tlcore.images.dataset import Dataset, Sample, split_samples
from tlcore.runs.store import RunInfo

Parts = Mapping[str, str]  # a picture's sha256 → "train" or "val"; others are in neither


def parts_of(dataset: Dataset, run: RunInfo | None) -> Parts:
    """Return the parts of a data set: the run's own where it learned from it, else the division
    that a run with the default seed would make.

    Raises:
        BadDataset: it cannot be divided: fewer than two classes.
    """
    if run is not None and run.config.dataset == dataset.name:
        return {row["sha256"]: part for part, rows in _split(run).items() for row in rows}
    train, val = split_samples(dataset)
    return {s.sha256: "train" for s in train} | {s.sha256: "val" for s in val}


def judged_by(run: RunInfo) -> list[Sample]:
    """Return a run's validation pictures as it noted them; none where it has not begun."""
    return [
        Sample(row["file"], Path(row["path"]), row["sha256"], row["label"], "val")
        for row in _split(run).get("val", [])
    ]


def _split(run: RunInfo) -> dict[str, list[dict[str, str]]]:
    try:
        found = json.loads((run.folder / "split.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {part: found[part] for part in ("train", "val") if part in found}
