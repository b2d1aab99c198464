"""A data set as a value, and how its pictures divide into training and validation."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tlcore.errors import BadConfig, BadDataset

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """One picture of a data set."""

    file: str  # its name as it came, with its folders: "train/ants/0013.jpg"
    path: Path  # where its bytes lie
    sha256: str  # of its bytes, hexadecimal; "" in a folder read in place, until hashed
    label: str  # its class
    split: str | None  # one of SPLITS, or None: not given, a run divides with its seed

    @cached_property
    def key(self) -> str:
        """What edits of its set call this picture."""
        return entry_key(self.file, self.sha256)


def entry_key(file: str, sha256: str) -> str:
    """A name for a file of a set, 16 hexadecimal digits, that no other file's coming changes."""
    text = f"{sha256} {file}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Dataset:
    """Pictures with labels, under a name."""

    name: str
    samples: tuple[Sample, ...]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels, sorted; a label's position is the index of its output unit."""
        return tuple(sorted({sample.label for sample in self.samples}))

    @property
    def counts(self) -> dict[str, int]:
        """Pictures per class, in the order of `classes`."""
        return _per_class(self.samples, self.classes)

    @property
    def counts_by_split(self) -> dict[str | None, dict[str, int]]:
        """Pictures per class for every split that occurs; None holds those without one."""
        splits = [split for split in (*SPLITS, None) if any(s.split == split for s in self.samples)]
        return {
            split: _per_class((s for s in self.samples if s.split == split), self.classes)
            for split in splits
        }


def split_samples(
    dataset: Dataset, val_fraction: float = 0.2, seed: int = 0
) -> tuple[list[Sample], list[Sample]]:
    """Divide a data set into training and validation pictures.

    A split that came with the pictures is kept, and "test" is in neither part. Pictures without
    a split are divided class by class with the seed, at least one on each side where a class has
    two; so are those marked "train" if nothing is marked "val". Files with the same content stay
    on one side. The order in which the samples come does not matter.

    Args:
        dataset: at least two classes, each with a picture that is not for testing.
        val_fraction: share of each class for validation, above 0 and below 1.
        seed: another seed gives another division.

    Returns:
        (train, val), each sorted by file.

    Raises:
        BadDataset: fewer than two classes, or a class without a picture to train on.
        BadConfig: `val_fraction` is out of its range.
    """
    if not 0 < val_fraction < 1:
        raise BadConfig(f"Expected a validation share between 0 and 1. Received {val_fraction}.")
    _check_classes(dataset)
    train, val, open_ = _given(dataset)
    for label in dataset.classes:
        mine = [sample for sample in open_ if sample.label == label]
        chosen = _draw(mine, val_fraction, random.Random(f"{seed}:{label}"))
        val += chosen
        train += [sample for sample in mine if sample not in chosen]
    _check_training(dataset, train)
    return sorted(train, key=_order), sorted(val, key=_order)


def _given(dataset: Dataset) -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Samples for training, for validation, and still to be divided; sorted."""
    samples = sorted(dataset.samples, key=_order)
    val = [sample for sample in samples if sample.split == "val"]
    to_divide = (None,) if val else (None, "train")
    open_ = [sample for sample in samples if sample.split in to_divide]
    train = [sample for sample in samples if sample.split == "train"] if val else []
    return train, val, open_


def _draw(samples: list[Sample], fraction: float, generator: random.Random) -> set[Sample]:
    """Some of a class's samples, those with the same content all or none."""
    same: dict[str, list[Sample]] = {}
    for sample in samples:
        same.setdefault(sample.sha256 or sample.file, []).append(sample)
    if len(same) < 2:
        return set()
    count = min(max(round(len(same) * fraction), 1), len(same) - 1)
    chosen = generator.sample(list(same.values()), count)
    return {sample for copies in chosen for sample in copies}


def _order(sample: Sample) -> tuple[str, str, str]:
    return sample.file, sample.sha256, sample.label


def _per_class(samples: Iterable[Sample], classes: tuple[str, ...]) -> dict[str, int]:
    found = Counter(sample.label for sample in samples)
    return {label: found[label] for label in classes}


def _check_classes(dataset: Dataset) -> None:
    if len(dataset.classes) < 2:
        raise BadDataset(
            f"Expected at least two classes in {dataset.name!r}. Received {len(dataset.classes)} "
            f"({_said(dataset.counts)}). Put the pictures of each class in a folder of its own."
        )


def _check_training(dataset: Dataset, train: list[Sample]) -> None:
    counts = _per_class(train, dataset.classes)
    if not all(counts.values()):
        raise BadDataset(
            f"Expected a picture to train on in every class of {dataset.name!r}. Received "
            f"{_said(counts)}. Add pictures to the empty classes, or remove these classes."
        )


def _said(counts: dict[str, int]) -> str:
    return ", ".join(f"{label}: {count}" for label, count in counts.items()) or "no pictures"
