"""Which pictures a run has learned from and which it was judged by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.splits import split_samples
from tlcore.training.records import read_split
from tlcore.training.run import RunInfo

Parts = Mapping[str, str]  # a picture's sha256 → "train" or "val"; others are in neither


def parts_of(dataset: Dataset, run: RunInfo | None) -> Parts:
    """Return the parts of a data set: the run's own where it learned from it, else the division
    that a run with the default seed would make.

    Raises:
        BadDataset: it cannot be divided: fewer than two classes.
    """
    if run is not None and run.config.dataset == dataset.name:
        split = read_split(run.folder)
        return {row.sha256: part for part in ("train", "val") for row in split.rows(part)}
    train, val = split_samples(dataset)
    return {s.sha256: "train" for s in train} | {s.sha256: "val" for s in val}


def judged_by(run: RunInfo) -> list[Sample]:
    """Return a run's validation pictures as it noted them; none where it has not begun."""
    return pictures_of(run, "val")


def pictures_of(run: RunInfo, part: str) -> list[Sample]:
    """Return the pictures of a run's "train", "val" or "test" part as it noted them.

    None where it has not begun, and no test pictures where its data set set none aside.
    """
    return [
        Sample(row.file, Path(row.path), row.sha256, row.label, part, row.group)
        for row in read_split(run.folder).rows(part)
    ]


def classes_of(run: RunInfo) -> tuple[str, ...]:
    """Return a run's classes in the order of the output units; none where it has not begun."""
    return read_split(run.folder).classes


def noted_test(run: RunInfo) -> bool:
    """Whether a run has noted which pictures were set aside for the test; older ones have not."""
    return read_split(run.folder).test is not None
