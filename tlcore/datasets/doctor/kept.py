"""facts.jsonl, the doctor's memory of a set: a line a picture, found again by its content.

It only spares work. A missing, torn or outdated line means that the picture is looked at again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.doctor.facts import VERSION, Facts
from tlcore.datasets.doctor.near import groups, near_pairs
from tlcore.datasets.edits.state import Version, stamp
from tlcore.errors import DamagedFile
from tlcore.storage import decode_json

_FILE = "facts.jsonl"


@dataclass(frozen=True)
class Fault:
    """A stored file that can no longer be decoded: the disk, or somebody, has changed it."""

    sha256: str
    kind: str  # of finding
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {"sha256": self.sha256, "fault": self.kind, "reason": self.reason}


Seen = Facts | Fault


@dataclass(frozen=True)
class Memory:
    """What is known of pictures, by sha256."""

    seen: Mapping[str, Seen]

    @cached_property
    def facts(self) -> Mapping[str, Facts]:
        return {sha: seen for sha, seen in self.seen.items() if isinstance(seen, Facts)}

    @cached_property
    def alike(self) -> tuple[tuple[str, ...], ...]:
        """The sha256 of pictures that are nearly the same, two or more together."""
        shas, facts = list(self.facts), list(self.facts.values())
        joined = groups(len(facts), near_pairs(facts))
        return tuple(tuple(shas[at] for at in group) for group in joined)

    @cached_property
    def first_alike(self) -> Mapping[str, str]:
        """The sha256 of a picture that has near copies → that of the first of them."""
        return {sha: group[0] for group in self.alike for sha in group}

    def grouped(self, dataset: Dataset) -> Dataset:
        """Return a data set whose samples name the group of their near copies."""
        first = self.first_alike
        samples = (
            replace(sample, group=first[sample.sha256]) if sample.sha256 in first else sample
            for sample in dataset.samples
        )
        return Dataset(dataset.name, tuple(samples)) if first else dataset


def read_memory(folder: Path) -> Memory:
    """What is known of a set's pictures; read anew only if something was added."""
    return _read(folder, memory_version(folder))


def memory_version(folder: Path) -> Version:
    """Changes whenever something is added; cheap."""
    return stamp(folder / _FILE)


@lru_cache(maxsize=8)  # values are frozen, and the stamp says which state they are of
def _read(folder: Path, state: Version) -> Memory:
    try:
        lines = (folder / _FILE).read_bytes().split(b"\n")
    except OSError:
        return Memory({})
    known: dict[str, Seen] = {}
    for line in filter(None, lines):
        with contextlib.suppress(DamagedFile, msgspec.ValidationError):
            seen = _seen(decode_json(line, dict[str, Any], folder / _FILE))
            known[seen.sha256] = seen
    return Memory(known)


def _seen(fields: dict[str, Any]) -> Seen:
    if "fault" in fields:
        return msgspec.convert(fields | {"kind": fields["fault"]}, Fault)
    if fields.get("version") != VERSION:
        raise msgspec.ValidationError("measured in another way")
    return msgspec.convert(fields, Facts)


def remember(folder: Path, seen: Iterable[Seen]) -> None:
    """Append; the line break in front ends a line that a killed process left torn."""
    lines = [json.dumps(one.to_json(), separators=(",", ":")) for one in seen]
    if not lines:
        return
    with contextlib.suppress(OSError), (folder / _FILE).open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(lines) + "\n")
