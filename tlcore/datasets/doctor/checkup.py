"""The doctor's report on a set: every fault by name, what it costs, what would mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tlcore.datasets.dataset import UNLABELLED
from tlcore.datasets.doctor.balance import Shortage, shortages
from tlcore.datasets.doctor.kept import Fault, Memory
from tlcore.datasets.doctor.kinds import KINDS
from tlcore.datasets.doctor.single import SINGLE
from tlcore.datasets.edits.state import Item, SetState


@dataclass(frozen=True)
class Finding:
    """One fault, of one picture or of several that are the same."""

    kind: str  # a name in KINDS
    files: tuple[str, ...]
    keys: tuple[str, ...]  # of the pictures; none for a file that was left out
    drop: tuple[str, ...]  # those of them that mending excludes
    detail: str  # what was found, a few words
    settled: bool = False  # a person has decided to keep it


@dataclass(frozen=True)
class Checkup:
    """What the doctor says of a set as it stands."""

    findings: tuple[Finding, ...]  # in the order of KINDS, then by file
    shortages: tuple[Shortage, ...]
    pictures: int  # that are used
    unseen: int  # of them not looked at yet: findings may be missing
    groups: tuple[tuple[str, ...], ...]  # keys of used pictures that are the same or nearly so

    @cached_property
    def open(self) -> Mapping[str, tuple[Finding, ...]]:
        """Findings nobody has decided about, by kind."""
        unsettled = [finding for finding in self.findings if not finding.settled]
        return _by_kind(unsettled)

    @cached_property
    def by_kind(self) -> Mapping[str, tuple[Finding, ...]]:
        """All findings, settled ones too."""
        return _by_kind(self.findings)


def checkup(state: SetState, memory: Memory) -> Checkup:
    """Judge a set by what is known of its pictures; nothing is decoded here."""
    groups = same_pictures(state.used, memory)
    found = [
        *_left_out(state),
        *_single(state.used, memory),
        *_copies(groups, memory),
    ]
    order = {kind: place for place, kind in enumerate(KINDS)}
    found.sort(key=lambda finding: (order[finding.kind], finding.files))
    return Checkup(
        tuple(found),
        shortages({label: state.counts[label] for label in state.dataset.classes}),
        len(state.used),
        sum(item.entry.sha256 not in memory.seen for item in state.used),
        tuple(tuple(item.key for item in group) for group in groups),
    )


def same_pictures(items: Sequence[Item], memory: Memory) -> list[list[Item]]:
    """Items with the same or nearly the same content, two or more together, each sorted by file."""
    first = memory.first_alike
    joined: dict[str, list[Item]] = {}
    for item in items:
        sha = item.entry.sha256
        joined.setdefault(first.get(sha, sha), []).append(item)
    return [group for group in joined.values() if len(group) > 1]


def _left_out(state: SetState) -> Iterator[Finding]:
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
