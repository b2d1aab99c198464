"""A dataset as a value: its samples, its classes, its hash."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from tlcore.errors import BadImage

SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}  # for people
SPLITS = tuple(SPLIT_NAMES)
UNLABELLED = "unlabelled"  # the label of an image that has none: no class, nothing learns it


@dataclass(frozen=True)
class Sample:
    """One image of a dataset."""

    file: str  # its name as it came, with its folders: "train/ants/0013.jpg"
    path: Path  # where its bytes lie
    sha256: str  # of its bytes, hexadecimal; "" in a folder read in place, until hashed
    label: str  # its class
    split: str | None  # one of SPLITS, or None: not given, a run divides with its seed
    # what no division parts: the sha256 of the first of its near copies; "" where none are known
    group: str = field(default="", compare=False)

    @cached_property
    def key(self) -> str:
        """What edits of its set call this image."""
        return entry_key(self.file, self.sha256)


def entry_key(file: str, sha256: str) -> str:
    """A name for a file of a set, 16 hexadecimal digits, that no other file's coming changes."""
    text = f"{sha256} {file}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Dataset:
    """Images with labels, under a name."""

    name: str
    samples: tuple[Sample, ...]
    folder: str = field(default="", compare=False)  # absolute, where it is read in place; else ""

    @property
    def reference(self) -> str:
        """What a run is configured with: the name of a stored dataset, or the folder."""
        return self.folder or self.name

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels, sorted; a label's position is the index of its output unit."""
        return tuple(sorted({sample.label for sample in self.samples} - {UNLABELLED}))

    @property
    def counts(self) -> dict[str, int]:
        """Images per class, in the order of `classes`; then those without label, if any."""
        return _per_class(self.samples, self._labels)

    @cached_property
    def hash(self) -> str:
        """Of the images and their labels, see `dataset_hash`."""
        return dataset_hash(self.samples)

    @property
    def counts_by_split(self) -> dict[str | None, dict[str, int]]:
        """Images per class for every split that occurs; None holds those without one."""
        splits = [split for split in (*SPLITS, None) if any(s.split == split for s in self.samples)]
        return {
            split: _per_class((s for s in self.samples if s.split == split), self._labels)
            for split in splits
        }

    @property
    def _labels(self) -> tuple[str, ...]:
        unlabelled = any(sample.label == UNLABELLED for sample in self.samples)
        return (*self.classes, UNLABELLED) if unlabelled else self.classes


def dataset_hash(samples: Iterable[Sample]) -> str:
    """Hash images and labels, in no order: 64 hexadecimal digits.

    File names and splits are not part of it: the same images under the same labels are the same
    dataset, wherever they came from and however they are divided.
    """
    lines = sorted(f"{sample.sha256} {sample.label}\n" for sample in samples)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def hash_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, hexadecimal; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # reading it gives the reason


def _per_class(samples: Iterable[Sample], classes: tuple[str, ...]) -> dict[str, int]:
    found = Counter(sample.label for sample in samples)
    return {label: found[label] for label in classes}


# A file on its way into a dataset, wherever it comes from.


@dataclass(frozen=True)
class Incoming:
    """One file that is offered; nothing is read until `read` is called, from any thread."""

    file: str  # its name with its folders, separated by "/"; never used as a path of ours
    read: Callable[[], bytes]  # the whole file; raises BadImage with the reason to refuse it
    size: int  # bytes, as announced


@dataclass(frozen=True)
class Refusal:
    """A file that was not taken, and why."""

    file: str
    reason: str  # a sentence that does not repeat the file's name
    kind: str = BadImage.kind  # of finding: "unreadable", "truncated" or "too-large"

    @classmethod
    def of(cls, file: str, error: Exception) -> Refusal:
        kind = error.kind if isinstance(error, BadImage) else BadImage.kind
        return cls(file, str(error).removeprefix(f"{file}: "), kind)


def refused(file: str, reason: str, size: int = 0) -> Incoming:
    """A file that arrives only to be refused by name."""

    def read() -> NoReturn:
        raise BadImage(f"{file}: {reason}")

    return Incoming(file, read, size)
