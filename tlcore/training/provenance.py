"""Which images a run was trained and evaluated on, and with which versions on which machine.

``split.json`` holds every image of the training and validation split with its hash, and those of
the test split, which no run looks at; ``provenance.json`` the numbers that lists show.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from tlcore.datasets.dataset import UNLABELLED, Dataset, Sample, dataset_hash
from tlcore.datasets.decoding import hash_samples
from tlcore.datasets.splits import check_class_names, split_samples
from tlcore.errors import BadDataset
from tlcore.storage import file_state, read_json, read_json_or, write_json
from tlcore.training import status as files
from tlcore.training.config import RunConfig, check_splits
from tlcore.training.history import STOP_INTERVAL, StopRequested, Throttle
from tlcore.training.run import RunInfo
from tlcore.training.status import Damage, read_or_record_damage

Splits = Mapping[str, str]  # SHA-256 of an image → "train" or "val"; others are in neither
PACKAGES = ("tensorflow", "keras", "numpy", "pillow", "pillow-heif", "streamlit")


@dataclass(frozen=True)
class RunSplits:
    """The classes of a run and the images of each split, as they were when it began."""

    classes: tuple[str, ...]  # in the order of the output units
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...] = ()  # never looked at by the run; early versions left it out


@dataclass(frozen=True)
class _Row:
    """An image as split.json has it."""

    file: str
    path: str
    sha256: str
    label: str
    group: str = ""


@dataclass(frozen=True)
class _StoredSplits:
    classes: tuple[str, ...]
    train: tuple[_Row, ...]
    val: tuple[_Row, ...]
    test: tuple[_Row, ...] | None = None

    def __post_init__(self) -> None:
        unknown = {row.label for row in (*self.train, *self.val)} - set(self.classes)
        if unknown:
            raise ValueError(f"the label {min(unknown)!r} is none of its classes")


@dataclass(frozen=True)
class Provenance:
    """The numbers of a run that lists show, its versions and its machine."""

    dataset_hash: str = ""  # of all images of the dataset and their labels
    data_hash: str = ""  # of early versions: without the test images, in another form
    images: dict[str, int] = field(default_factory=dict)  # by split
    versions: dict[str, str] = field(default_factory=dict)  # by package
    machine: dict[str, str | int] = field(default_factory=dict)


NO_SPLITS = RunSplits((), (), ())  # of a run that has not begun


def read_splits(folder: Path) -> RunSplits:
    """Return a run's classes and images; ``NO_SPLITS`` before it has begun.

    Raises:
        DamagedFile: split.json cannot be read.
    """
    try:
        return _read_splits(folder / files.SPLIT, file_state(folder / files.SPLIT))
    except FileNotFoundError:
        return NO_SPLITS


@lru_cache(maxsize=8)  # a page that shows a run reads it once a second
def _read_splits(path: Path, state: tuple[int, ...]) -> RunSplits:
    stored = read_json(path, _StoredSplits, newest=1)
    rows_of = {"train": stored.train, "val": stored.val, "test": stored.test or ()}
    train, val, test = (
        tuple(Sample(r.file, Path(r.path), r.sha256, r.label, split, r.group) for r in rows)
        for split, rows in rows_of.items()
    )
    return RunSplits(stored.classes, train, val, test)


def find_split_damage(folder: Path) -> Damage | None:
    """Return what is wrong with the split of a run that has ended."""
    if not (folder / files.SPLIT).exists():
        return Damage(files.SPLIT, files.MISSING) if (folder / files.MODEL).exists() else None
    damage: list[Damage] = []
    read_or_record_damage(read_splits, folder, NO_SPLITS, damage)
    return damage[0] if damage else None


def read_provenance(folder: Path) -> Provenance:
    """Return a run's provenance, an empty one before it has begun.

    A run of an early version recorded another hash: its own is computed from its splits.

    Raises:
        DamagedFile: provenance.json cannot be read.
    """
    stored = read_json_or(folder / files.PROVENANCE, Provenance, Provenance(), newest=1)
    if stored.dataset_hash or not stored.data_hash:
        return stored
    splits = read_or_record_damage(read_splits, folder, NO_SPLITS, [])
    samples = (*splits.train, *splits.val, *splits.test)
    return replace(stored, dataset_hash=dataset_hash(samples) if samples else stored.data_hash)


def read_provenance_or_default(folder: Path) -> Provenance:
    """Return a run's provenance; an empty one where the file is damaged, as lists show."""
    return read_or_record_damage(read_provenance, folder, Provenance(), [])


def list_samples(run: RunInfo, split: str) -> list[Sample]:
    """Return the images of a run's "train", "val" or "test" split as they were when it began.

    Raises:
        DamagedFile: split.json cannot be read.
    """
    return list(getattr(read_splits(run.folder), split))


def find_splits(dataset: Dataset, run: RunInfo | None) -> Splits:
    """Return the splits of a dataset's images: the run's own where it was trained on this dataset,
    else those of a run with the default seed.

    Raises:
        BadDataset: the dataset has fewer than two classes.
    """
    if run is not None and run.config.dataset == dataset.name:
        train, val = list_samples(run, "train"), list_samples(run, "val")
    else:
        train, val = split_samples(dataset)
    return {s.sha256: "train" for s in train} | {s.sha256: "val" for s in val}


def read_or_write_split(
    folder: Path,
    config: RunConfig,
    dataset: Callable[[], Dataset],
    stopping: Callable[[], bool] = lambda: False,
) -> RunSplits:
    """Return the splits that a run wrote when it began, or split its dataset now and write them.

    Raises:
        BadDataset: a split is empty, or an image has changed since the run began.
        DamagedFile: split.json cannot be read.
        StopRequested: ``stopping()`` was true before all files were hashed; nothing is written.
    """
    stored = read_splits(folder)
    if stored is not NO_SPLITS:
        _check_unchanged([*stored.train, *stored.val], stopping)
        return stored
    opened = dataset()
    check_class_names(opened)
    opened = Dataset(opened.name, _hash_samples(opened.samples, stopping))  # copies share a split
    train, val = split_samples(opened, config.validation_split, config.seed)
    check_splits(train, val)
    provenance = {
        "dataset_hash": opened.hash,
        "images": {"train": len(train), "val": len(val)},
        "classes": len(opened.classes),
        "seed": config.seed,
        "versions": list_versions(),
        "machine": describe_machine(),
    }
    write_json(folder / files.PROVENANCE, provenance)
    test = [s for s in opened.samples if s.split == "test" and s.label != UNLABELLED]
    test.sort(key=lambda sample: sample.file)
    rows = {"train": _to_rows(train), "val": _to_rows(val), "test": _to_rows(test)}
    write_json(folder / files.SPLIT, {"classes": opened.classes, **rows})
    return RunSplits(opened.classes, tuple(train), tuple(val), tuple(test))


def _check_unchanged(samples: Sequence[Sample], stopping: Callable[[], bool]) -> None:
    """Hash the files of a resumed run; raise BadDataset where one has changed."""
    now = _hash_samples([replace(sample, sha256="") for sample in samples], stopping)
    for sample, hashed in zip(samples, now, strict=True):
        if sample.sha256 != hashed.sha256:
            raise BadDataset(
                f"Expected {sample.file} as it was when the run began. Received another image "
                "or none. Put it back, or start a new run."
            )


def _hash_samples(samples: Sequence[Sample], stopping: Callable[[], bool]) -> tuple[Sample, ...]:
    """Return the samples with their hashes. Raises StopRequested where the run is to stop."""
    hashed, stop_check = [], Throttle(STOP_INTERVAL)
    for sample in hash_samples(samples):
        hashed.append(sample)
        if stop_check.is_due() and stopping():
            raise StopRequested
    return tuple(hashed)


def _to_rows(samples: Sequence[Sample]) -> list[dict[str, str]]:
    names = ("file", "path", "sha256", "label", "group")
    rows = [{name: str(getattr(sample, name)) for name in names} for sample in samples]
    return [{n: value for n, value in row.items() if value or n != "group"} for row in rows]


def list_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def describe_machine() -> dict[str, str | int]:
    """Return the system, processor, cores and memory (bytes) of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "system": platform.platform(),
        "processor": next(names, platform.processor() or platform.machine()),
        "cores": os.cpu_count() or 1,
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
