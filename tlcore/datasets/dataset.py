"""A dataset as a value: its samples, its classes, its hash; and files on their way into one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from tlcore.errors import BadImage
from tlcore.text import natural_key

SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}  # for people
SPLITS = tuple(SPLIT_NAMES)
UNLABELLED = "unlabelled"  # the label of an image that has none: no class, no head learns it


@dataclass(frozen=True)
class Sample:
    """One image of a dataset, with the edits of its dataset applied."""

    file: str  # its name as it came, with its folders: "train/ants/0013.jpg"
    path: Path  # of its bytes
    sha256: str  # of its bytes, hexadecimal; "" in a folder read in place, until hashed
    label: str  # its class, or UNLABELLED
    split: str | None  # one of SPLITS, or None: every run divides by its seed
    # sha256 of the first image of its group, which stays in one split; "" where none is known
    group: str = field(default="", compare=False)
    width: int = field(default=0, compare=False)  # pixels, upright; 0 in a folder read in place
    height: int = field(default=0, compare=False)
    excluded: bool = field(default=False, compare=False)  # still on disk, used by nothing
    dismissed: frozenset[str] = field(default=frozenset(), compare=False)  # kinds of finding

    @cached_property
    def key(self) -> str:
        """The name by which edits of its dataset refer to this image."""
        return sample_key(self.file, self.sha256)

    @property
    def is_confirmed(self) -> bool:
        """Whether a person has confirmed the label that it has."""
        return confirmed_label(self.label) in self.dismissed


def sample_key(file: str, sha256: str) -> str:
    """Return a name for a file of a dataset, 16 hexadecimal digits, by its name and content.

    Files that are added later never change it.
    """
    return hashlib.sha256(f"{sha256} {file}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def confirmed_label(label: str) -> str:
    """Return the kind of finding that is dismissed when a person confirms a label of an image.

    It names the label: another label that the image gets later is not confirmed by it.
    """
    return f"label {label}"


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
        """The labels, sorted as people count; a label is the output unit at its position."""
        labels = {sample.label for sample in self.samples} - {UNLABELLED}
        return tuple(sorted(labels, key=natural_key))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of images of each class, in the order of ``classes``; last those without label."""
        return self._count(self.samples)

    @cached_property
    def counts_by_split(self) -> dict[str | None, dict[str, int]]:
        """Images of each class for every split that occurs; None holds those without one."""
        splits = [split for split in (*SPLITS, None) if any(s.split == split for s in self.samples)]
        return {split: self._count(s for s in self.samples if s.split == split) for split in splits}

    @cached_property
    def hash(self) -> str:
        """Hash of the images and their labels, see ``dataset_hash``."""
        return dataset_hash(self.samples)

    def _count(self, samples: Iterable[Sample]) -> dict[str, int]:
        counts = Counter(sample.label for sample in samples)
        has_unlabelled = any(sample.label == UNLABELLED for sample in self.samples)
        labels = (*self.classes, UNLABELLED) if has_unlabelled else self.classes
        return {label: counts[label] for label in labels}


def dataset_hash(samples: Iterable[Sample]) -> str:
    """Hash images and labels, in no order: 64 hexadecimal digits.

    File names and splits are not part of it: the same images under the same labels are the same
    dataset, wherever they came from and however they are divided.
    """
    lines = sorted(f"{sample.sha256} {sample.label}\n" for sample in samples)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # decoding it gives the reason


@dataclass(frozen=True)
class Incoming:
    """One file on its way into a dataset; nothing is read until ``read`` is called."""

    file: str  # its name with its folders, separated by "/"; never used as a path of ours
    read: Callable[[], bytes]  # the whole file, from any thread; raises BadImage to refuse it
    size: int  # bytes, as announced

    @classmethod
    def refused(cls, file: str, reason: str, size: int = 0) -> Incoming:
        """Return a file that is refused by name when it is read."""

        def read() -> NoReturn:
            raise BadImage(f"{file}: {reason}")

        return cls(file, read, size)


@dataclass(frozen=True)
class Refusal:
    """A file that was not taken into a dataset, and why."""

    file: str
    reason: str  # a sentence that does not repeat the file's name
    kind: str = BadImage.kind  # of finding: "unreadable", "truncated" or "too-large"

    @classmethod
    def of(cls, file: str, error: Exception) -> Refusal:
        kind = error.kind if isinstance(error, BadImage) else BadImage.kind
        return cls(file, str(error).removeprefix(f"{file}: "), kind)
