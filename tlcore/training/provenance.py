"""Which images a run was trained and evaluated on, and with which versions on which machine.

``split.json`` holds every image of the training and validation split with its hash, and those of
the test split, which no run looks at; ``provenance.json`` the numbers that lists show.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tlcore.datasets.dataset import SPLITS, UNLABELLED, Dataset, Sample, dataset_hash
from tlcore.datasets.splits import check_class_names, split_samples
from tlcore.errors import BadDataset, DamagedFile
from tlcore.storage import read_json, read_json_or, write_json
from tlcore.training.augmentation import hash_samples
from tlcore.training.config import RunConfig, check_splits
from tlcore.training.run import RunInfo
from tlcore.training.run_files import (
    MISSING,
    MODEL,
    PROVENANCE,
    SPLIT,
    Damage,
    is_large_json,
    read_or_record_damage,
)

Splits = Mapping[str, str]  # SHA-256 of an image → "train" or "val"; others are in neither
PACKAGES = ("tensorflow", "keras", "numpy", "pillow", "streamlit")


@dataclass(frozen=True)
class SplitRow:
    """An image of a run's split."""

    file: str
    path: str
    sha256: str
    label: str
    group: str = ""  # images of one group stay in one split, see `splits.group_of`


@dataclass(frozen=True)
class StoredSplit:
    """The classes of a run and the images of each split, as written when the run began."""

    classes: tuple[str, ...]  # in the order of the output units
    train: tuple[SplitRow, ...]
    val: tuple[SplitRow, ...]
    test: tuple[SplitRow, ...] | None = None  # None in runs of early versions

    def __post_init__(self) -> None:
        unknown = {row.label for row in (*self.train, *self.val)} - set(self.classes)
        if unknown:
            raise ValueError(f"the label {min(unknown)!r} is none of its classes")

    def rows(self, split: str) -> tuple[SplitRow, ...]:
        """Return the images of "train", "val" or "test"."""
        return {"train": self.train, "val": self.val, "test": self.test or ()}[split]


@dataclass(frozen=True)
class Provenance:
    """The numbers of a run that lists show, its versions and its machine."""

    dataset_hash: str = ""  # of all images of the dataset and their labels
    data_hash: str = ""  # of early versions: without the test images, in another form
    images: dict[str, int] = field(default_factory=dict)  # by split
    classes: int = 0
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)  # by package
    machine: dict[str, str | int] = field(default_factory=dict)


EMPTY_SPLIT = StoredSplit((), (), ())


def read_split(folder: Path) -> StoredSplit:
    """Return a run's classes and images; ``EMPTY_SPLIT`` before it has begun.

    Raises:
        DamagedFile: split.json cannot be read.
    """
    path = folder / SPLIT
    try:
        status = path.stat()
    except FileNotFoundError:
        return EMPTY_SPLIT
    return _read_split(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)  # a page that shows a run reads it once a second
def _read_split(path: Path, written: int, size: int) -> StoredSplit:
    return read_json(path, StoredSplit, newest=1)


def find_split_damage(folder: Path, *, whole: bool = False) -> Damage | None:
    """Return what is wrong with the split of a run that has ended.

    Args:
        folder: the run's.
        whole: read a large file to its end as well, which lists of many runs do not.
    """
    path = folder / SPLIT
    if not path.exists():
        return Damage(SPLIT, MISSING) if (folder / MODEL).exists() else None
    damage: list[Damage] = []
    if whole or not is_large_json(path):
        read_or_record_damage(read_split, folder, EMPTY_SPLIT, damage)
    return damage[0] if damage else None


def read_provenance(folder: Path) -> Provenance:
    """Return a run's provenance, with what early versions left out taken from its split.

    Raises:
        DamagedFile: provenance.json cannot be read.
    """
    return read_json_or(folder / PROVENANCE, Provenance, Provenance(), newest=1)


def read_provenance_or_default(folder: Path) -> Provenance:
    """Return a run's provenance; an empty one where the file is damaged, as lists show."""
    try:
        return read_provenance(folder)
    except DamagedFile:
        return Provenance()


def count_images(folder: Path, provenance: Provenance) -> dict[str, int]:
    """Return the images of a run by split; of a run without provenance from its split."""
    if provenance.images:
        return provenance.images
    split = read_or_record_damage(read_split, folder, EMPTY_SPLIT, [])
    return {name: len(split.rows(name)) for name in ("train", "val") if split.rows(name)}


def find_dataset_hash(folder: Path, provenance: Provenance) -> str:
    """Return the hash of a run's dataset, "" before it has begun.

    A run of an early version noted another hash: its own is computed from its split.
    """
    if provenance.dataset_hash or not provenance.data_hash:
        return provenance.dataset_hash
    split = read_or_record_damage(read_split, folder, EMPTY_SPLIT, [])
    samples = [sample for name in SPLITS for sample in _to_samples(split.rows(name), name)]
    return dataset_hash(samples) if samples else provenance.data_hash


def list_samples(run: RunInfo, split: str) -> list[Sample]:
    """Return the images of a run's "train", "val" or "test" split as they were when it began.

    Raises:
        DamagedFile: split.json cannot be read.
    """
    return _to_samples(read_split(run.folder).rows(split), split)


def read_classes(run: RunInfo) -> tuple[str, ...]:
    """Return a run's classes in the order of the output units; none before it has begun."""
    return read_split(run.folder).classes


def has_test_split(run: RunInfo) -> bool:
    """Whether a run has recorded which images are for the test; early versions did not."""
    return read_split(run.folder).test is not None


def find_splits(dataset: Dataset, run: RunInfo | None) -> Splits:
    """Return "train" or "val" for the SHA-256 of each image of a dataset that is in one of them.

    The splits are those of the run where it was trained on this dataset, else those of a run with
    the default seed.

    Raises:
        BadDataset: the dataset has fewer than two classes.
    """
    if run is not None and run.config.dataset == dataset.name:
        split = read_split(run.folder)
        return {row.sha256: name for name in ("train", "val") for row in split.rows(name)}
    train, val = split_samples(dataset)
    return {s.sha256: "train" for s in train} | {s.sha256: "val" for s in val}


@dataclass(frozen=True)
class TrainingSplits:
    """The images that a run trains and validates on, with their hashes."""

    classes: tuple[str, ...]  # in the order of the output units
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]


def read_or_write_split(
    folder: Path,
    config: RunConfig,
    dataset: Callable[[], Dataset],
    stopping: Callable[[], bool] = lambda: False,
) -> TrainingSplits:
    """Return the splits that a run wrote when it began, or split its dataset now and write them.

    Raises:
        BadDataset: a split is empty, or an image has changed since the run began.
        DamagedFile: split.json cannot be read.
        StopRequested: ``stopping()`` was true before all files were hashed; nothing is written.
    """
    stored = read_split(folder)
    if stored is not EMPTY_SPLIT:
        return _check_unchanged(stored, stopping)
    opened = dataset()
    check_class_names(opened)
    opened = Dataset(opened.name, hash_samples(opened.samples, stopping))  # copies share a split
    train, val = split_samples(opened, config.validation_split, config.seed)
    check_splits(train, val)
    write_json(
        folder / PROVENANCE,
        {
            "dataset_hash": opened.hash,
            "images": {"train": len(train), "val": len(val)},
            "classes": len(opened.classes),
            "seed": config.seed,
            "versions": list_versions(),
            "machine": describe_machine(),
        },
    )
    test = [s for s in opened.samples if s.split == "test" and s.label != UNLABELLED]
    test.sort(key=lambda sample: sample.file)
    rows = {"train": _to_rows(train), "val": _to_rows(val), "test": _to_rows(test)}
    write_json(folder / SPLIT, {"classes": opened.classes, **rows})
    return TrainingSplits(opened.classes, tuple(train), tuple(val))


def _check_unchanged(stored: StoredSplit, stopping: Callable[[], bool]) -> TrainingSplits:
    rows = [*stored.train, *stored.val]
    samples = [
        Sample(row.file, Path(row.path), "", row.label, split)
        for split in ("train", "val")
        for row in stored.rows(split)
    ]
    now = hash_samples(samples, stopping)
    for sample, row in zip(now, rows, strict=True):
        if sample.sha256 != row.sha256:
            raise BadDataset(
                f"Expected {sample.file} as it was when the run began. Received another image "
                "or none. Put it back, or start a new run."
            )
    return TrainingSplits(stored.classes, now[: len(stored.train)], now[len(stored.train) :])


def _to_samples(rows: Sequence[SplitRow], split: str) -> list[Sample]:
    return [
        Sample(row.file, Path(row.path), row.sha256, row.label, split, row.group) for row in rows
    ]


def _to_rows(samples: Sequence[Sample]) -> list[dict[str, str]]:
    names = ("file", "path", "sha256", "label")
    return [
        {name: str(getattr(sample, name)) for name in names}
        | ({"group": sample.group} if sample.group else {})
        for sample in samples
    ]


def list_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def describe_machine() -> dict[str, str | int]:
    """Return the system, processor, cores and memory (bytes) of this machine."""
    return {
        "system": platform.platform(),
        "processor": _read_processor(),
        "cores": os.cpu_count() or 1,
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
