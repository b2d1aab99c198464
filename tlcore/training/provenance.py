"""Which images a run has learned from and which it was judged by."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tlcore.datasets.dataset import UNLABELLED, Dataset, Sample
from tlcore.datasets.splits import check_class_names, split_samples
from tlcore.errors import BadDataset
from tlcore.storage import write_json
from tlcore.training.augmentation import hash_samples
from tlcore.training.config import RunConfig, check_splits
from tlcore.training.records import (
    EMPTY_SPLIT,
    PROVENANCE,
    SPLIT,
    SplitRow,
    StoredSplit,
    read_split,
)
from tlcore.training.run import RunInfo

Splits = Mapping[str, str]  # an image's sha256 → "train" or "val"; others are in neither


def find_splits(dataset: Dataset, run: RunInfo | None) -> Splits:
    """Return the parts of a dataset: the run's own where it learned from it, else the division
    that a run with the default seed would make.

    Raises:
        BadDataset: it cannot be divided: fewer than two classes.
    """
    if run is not None and run.config.dataset == dataset.name:
        split = read_split(run.folder)
        return {row.sha256: part for part in ("train", "val") for row in split.rows(part)}
    train, val = split_samples(dataset)
    return {s.sha256: "train" for s in train} | {s.sha256: "val" for s in val}


def list_validation_samples(run: RunInfo) -> list[Sample]:
    """Return a run's validation images as it noted them; none where it has not begun."""
    return list_samples(run, "val")


def list_samples(run: RunInfo, part: str) -> list[Sample]:
    """Return the images of a run's "train", "val" or "test" part as it noted them.

    None where it has not begun, and no test images where its dataset set none aside.
    """
    return [
        Sample(row.file, Path(row.path), row.sha256, row.label, part, row.group)
        for row in read_split(run.folder).rows(part)
    ]


def read_classes(run: RunInfo) -> tuple[str, ...]:
    """Return a run's classes in the order of the output units; none where it has not begun."""
    return read_split(run.folder).classes


def has_test_split(run: RunInfo) -> bool:
    """Whether a run has noted which images were set aside for the test; older ones have not."""
    return read_split(run.folder).test is not None


# What a run was made from and on: its images with their hashes, versions, machine.
#
# ``split.json`` holds every image of both parts, and those of the test part, which no run looks
# at; ``provenance.json`` the few numbers that lists show.


PACKAGES = ("tensorflow", "keras", "numpy", "pillow", "streamlit")


@dataclass(frozen=True)
class Split:
    """The images of a run, with their hashes."""

    classes: tuple[str, ...]  # in the order of the output units
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]


def read_or_write_split(
    folder: Path,
    config: RunConfig,
    dataset: Callable[[], Dataset],
    stopping: Callable[[], bool] = lambda: False,
) -> Split:
    """Return a run's images as it divided them when it began, or divide them now.

    Raises:
        BadDataset: nothing to learn from or to judge by, or an image has changed since the run
            began.
        DamagedFile: what it divided them into cannot be read.
        Stopped: ``stopping()`` held before all files were read; nothing is written then.
    """
    stored = read_split(folder)
    if stored is not EMPTY_SPLIT:
        return _unchanged(stored, stopping)
    opened = dataset()
    check_class_names(opened)
    opened = Dataset(
        opened.name, hash_samples(opened.samples, stopping)
    )  # copies must be known first
    train, val = split_samples(opened, config.validation_split, config.seed)
    check_splits(train, val)
    split = Split(opened.classes, tuple(train), tuple(val))
    write_json(
        folder / PROVENANCE,
        {
            "dataset_hash": opened.hash,
            "images": {"train": len(split.train), "val": len(split.val)},
            "classes": len(split.classes),
            "seed": config.seed,
            "versions": list_versions(),
            "machine": describe_machine(),
        },
    )
    test = [s for s in opened.samples if s.split == "test" and s.label != UNLABELLED]
    test.sort(key=lambda sample: sample.file)
    parts = {"train": _rows(split.train), "val": _rows(split.val), "test": _rows(test)}
    write_json(folder / SPLIT, {"classes": split.classes, **parts})
    return split


def list_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe_machine() -> dict[str, str | int]:
    """Return what the run works on."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),  # bytes
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _rows(samples: Sequence[Sample]) -> list[dict[str, str]]:
    names = ("file", "path", "sha256", "label")
    return [
        {name: str(getattr(sample, name)) for name in names}
        | ({"group": sample.group} if sample.group else {})
        for sample in samples
    ]


def _unchanged(stored: StoredSplit, stopping: Callable[[], bool]) -> Split:
    train, val = _samples(stored.train, "train"), _samples(stored.val, "val")
    now = hash_samples([*train, *val], stopping)
    for sample, row in zip(now, [*stored.train, *stored.val], strict=True):
        if sample.sha256 != row.sha256:
            raise BadDataset(
                f"Expected {sample.file} as it was when the run began. Received another image "
                "or none. Put it back, or start a new run."
            )
    return Split(stored.classes, now[: len(train)], now[len(train) :])


def _samples(rows: Sequence[SplitRow], part: str) -> list[Sample]:
    return [Sample(row.file, Path(row.path), "", row.label, part) for row in rows]
