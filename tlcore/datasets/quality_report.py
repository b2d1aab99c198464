"""facts.jsonl, the doctor's memory of a set: a line an image, found again by its content.

It only spares work. A missing, torn or outdated line means that the image is looked at again.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec

from tlcore.datasets.dataset import UNLABELLED, Dataset
from tlcore.datasets.edits import DatasetState, Item, Version, stamp
from tlcore.datasets.near_duplicates import groups, near_pairs
from tlcore.datasets.quality import KINDS, SINGLE, VERSION, Facts, Shortage, shortages
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
    """What is known of images, by sha256."""

    seen: Mapping[str, Seen]

    @cached_property
    def facts(self) -> Mapping[str, Facts]:
        return {sha: seen for sha, seen in self.seen.items() if isinstance(seen, Facts)}

    @cached_property
    def alike(self) -> tuple[tuple[str, ...], ...]:
        """The sha256 of images that are nearly the same, two or more together."""
        shas, facts = list(self.facts), list(self.facts.values())
        joined = groups(len(facts), near_pairs(facts))
        return tuple(tuple(shas[at] for at in group) for group in joined)

    @cached_property
    def first_alike(self) -> Mapping[str, str]:
        """The sha256 of an image that has near copies → that of the first of them."""
        return {sha: group[0] for group in self.alike for sha in group}

    def grouped(self, dataset: Dataset) -> Dataset:
        """Return a dataset whose samples name the group of their near copies."""
        first = self.first_alike
        samples = (
            replace(sample, group=first[sample.sha256]) if sample.sha256 in first else sample
            for sample in dataset.samples
        )
        return Dataset(dataset.name, tuple(samples)) if first else dataset


def read_memory(folder: Path) -> Memory:
    """What is known of a set's images; read anew only if something was added."""
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


# The doctor's report on a set: every fault by name, what it costs, what would mend it.


@dataclass(frozen=True)
class Finding:
    """One fault, of one image or of several that are the same."""

    kind: str  # a name in KINDS
    files: tuple[str, ...]
    keys: tuple[str, ...]  # of the images; none for a file that was left out
    drop: tuple[str, ...]  # those of them that mending excludes
    detail: str  # what was found, a few words
    settled: bool = False  # a person has decided to keep it


@dataclass(frozen=True)
class QualityReport:
    """What the doctor says of a set as it stands."""

    findings: tuple[Finding, ...]  # in the order of KINDS, then by file
    shortages: tuple[Shortage, ...]
    images: int  # that are used
    unseen: int  # of them not looked at yet: findings may be missing
    groups: tuple[tuple[str, ...], ...]  # keys of used images that are the same or nearly so

    @cached_property
    def open(self) -> Mapping[str, tuple[Finding, ...]]:
        """Findings nobody has decided about, by kind."""
        unsettled = [finding for finding in self.findings if not finding.settled]
        return _by_kind(unsettled)

    @cached_property
    def by_kind(self) -> Mapping[str, tuple[Finding, ...]]:
        """All findings, settled ones too."""
        return _by_kind(self.findings)


def check_quality(state: DatasetState, memory: Memory) -> QualityReport:
    """Judge a set by what is known of its images; nothing is decoded here."""
    groups = same_images(state.used, memory)
    found = [
        *_left_out(state),
        *_single(state.used, memory),
        *_copies(groups, memory),
    ]
    order = {kind: place for place, kind in enumerate(KINDS)}
    found.sort(key=lambda finding: (order[finding.kind], finding.files))
    return QualityReport(
        tuple(found),
        shortages({label: state.counts[label] for label in state.dataset.classes}),
        len(state.used),
        sum(item.entry.sha256 not in memory.seen for item in state.used),
        tuple(tuple(item.key for item in group) for group in groups),
    )


def same_images(items: Sequence[Item], memory: Memory) -> list[list[Item]]:
    """Items with the same or nearly the same content, two or more together, each sorted by file."""
    first = memory.first_alike
    joined: dict[str, list[Item]] = {}
    for item in items:
        sha = item.entry.sha256
        joined.setdefault(first.get(sha, sha), []).append(item)
    return [group for group in joined.values() if len(group) > 1]


def _left_out(state: DatasetState) -> Iterator[Finding]:
    for refusal in state.refused:
        kind = refusal.kind if refusal.kind in KINDS else "unreadable"
        yield Finding(kind, (refusal.file,), (), (), refusal.reason)


def _single(items: Sequence[Item], memory: Memory) -> Iterator[Finding]:
    for item in items:
        file, seen = item.entry.file, memory.seen.get(item.entry.sha256)
        if isinstance(seen, Fault):
            yield _finding(seen.kind, [item], [item], seen.reason)
        elif seen is not None:
            for kind, test in SINGLE:
                if detail := test(file, seen):
                    yield _finding(kind, [item], [item], detail)


def _copies(groups: Sequence[Sequence[Item]], memory: Memory) -> Iterator[Finding]:
    for group in groups:
        if len({item.label for item in group} - {UNLABELLED}) > 1:
            yield _finding("two-labels", group, group, _told(group, [i.label for i in group]))
        parts = [item.split for item in group if item.split]
        if len(set(parts)) > 1:
            yield _leak(group, parts)
        yield from _same_place(group, memory)


def _leak(group: Sequence[Item], parts: Sequence[str]) -> Finding:
    """The copies to judge by stay; where there are none in training, the test part's stay."""
    lesser = "train" if "train" in parts else "val"
    drop = [item for item in group if item.split == lesser]
    return _finding("leak", group, drop, _told(group, parts))


def _same_place(group: Sequence[Item], memory: Memory) -> Iterator[Finding]:
    """Copies with one label and in one part, where no other kind of finding speaks of them."""
    places: dict[tuple[str, str | None], list[Item]] = {}
    for item in group:
        places.setdefault((item.label, item.split), []).append(item)
    for items in places.values():
        exact: dict[str, list[Item]] = {}
        for item in items:
            exact.setdefault(item.entry.sha256, []).append(item)
        for copies in exact.values():
            if len(copies) > 1:
                yield _finding("duplicate", copies, copies[1:], f"{len(copies)} times the same")
        if len(exact) > 1:
            yield _near([copies[0] for copies in exact.values()], memory)


def _near(items: list[Item], memory: Memory) -> Finding:
    def area(item: Item) -> int:
        return item.entry.width * item.entry.height

    largest = max(items, key=area)
    sizes = ", ".join(f"{item.entry.width} × {item.entry.height}" for item in items)
    return _finding("near-duplicate", items, [i for i in items if i is not largest], sizes)


def _finding(kind: str, items: Sequence[Item], drop: Sequence[Item], detail: str) -> Finding:
    return Finding(
        kind,
        tuple(item.entry.file for item in items),
        tuple(item.key for item in items),
        tuple(item.key for item in drop),
        detail,
        all(kind in item.settled for item in items),
    )


def _told(group: Sequence[Item], values: Iterable[str]) -> str:
    exact = len({item.entry.sha256 for item in group}) == 1
    counts = Counter(values)
    said = ", ".join(f"{count} × {value}" for value, count in sorted(counts.items()))
    return f"{'the same file' if exact else 'nearly the same'}: {said}"


def _by_kind(findings: Iterable[Finding]) -> Mapping[str, tuple[Finding, ...]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.kind, []).append(finding)
    return {kind: tuple(some) for kind, some in found.items()}
