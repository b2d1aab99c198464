"""Findings on the quality of a dataset: what is wrong with which images, and how to fix it.

Nothing is decoded here: findings come from the facts of images (``image_facts``), the refusals of
an import, and labels and splits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from tlcore.datasets.dataset import UNLABELLED, Sample
from tlcore.datasets.image_facts import DamagedImageFacts, FactsTable, ImageFacts
from tlcore.datasets.image_io import FORMATS, has_image_ending
from tlcore.datasets.store import DatasetState
from tlcore.percentages import percent

TINY = 64  # pixels; a shorter short side is blurred at the input size of every network
ELONGATED = 3.0  # long side by short side: the crop then keeps less than a third
ENOUGH = 20  # images of a class: 16 to train on, 4 for validation
UNEVEN = 3.0  # how many times larger than a class the largest class may be
_DEVIATION = 5.0  # grey levels; less is one colour, with the noise of a camera or a JPEG
_FLAT = 0.9  # share of one colour that only placeholders have ...
_FLAT_AND_FEW, _FEW = 0.8, 32  # ... or less of it, with as few colours as only drawings have
LEFT_OUT, DECIDE, HANDLED = "left out", "decide", "handled"

Test = Callable[[str, ImageFacts], str]  # file's name, facts → details; "" where it is no finding


def _wrong_ending(file: str, facts: ImageFacts) -> str:
    ending = file.rpartition(".")[2].lower() if "." in file.rpartition("/")[2] else ""
    if ending in FORMATS[facts.header.format].endings:
        return ""
    named = f"named .{ending}" if has_image_ending(file) or ending else "named without an ending"
    return f"a {facts.header.format} image, {named}"


def _uniform(file: str, facts: ImageFacts) -> str:
    is_drawing = facts.flat >= _FLAT_AND_FEW and facts.colours <= _FEW
    if facts.deviation < _DEVIATION or facts.flat >= _FLAT or is_drawing:
        return f"{percent(facts.flat)} of it is one colour"
    return ""


def _tiny(file: str, facts: ImageFacts) -> str:
    return _size(facts) if min(facts.width, facts.height) < TINY else ""


def _elongated(file: str, facts: ImageFacts) -> str:
    long, short = max(facts.width, facts.height), min(facts.width, facts.height)
    return f"{_size(facts)}, {long / short:.1f} to 1" if long > ELONGATED * short else ""


def _size(facts: ImageFacts) -> str:
    return f"{facts.width} × {facts.height} pixels"


@dataclass(frozen=True)
class FindingKind:
    """One kind of finding."""

    name: str
    title: str  # in the plural, without a number
    level: str  # LEFT_OUT on import, to DECIDE about, or HANDLED by the program
    consequence: str  # what happens if nothing is done, one sentence
    fix: str = "Exclude them"  # what fixing all of them does; "" where nothing can be excluded
    test: Test | None = None  # for kinds that an image shows by itself


_KINDS = (
    FindingKind(
        "leak",
        "Same image in two splits",
        DECIDE,
        "Learned in one split and predicted in the other, it makes the accuracy look better than "
        "it is.",
        "Exclude the copies in training",
    ),
    FindingKind(
        "two-labels",
        "Same image under two labels",
        DECIDE,
        "Whatever the head predicts, one of the two labels counts it as wrong.",
        "Exclude all their copies",
    ),
    FindingKind(
        "uniform",
        "Empty or placeholder images",
        DECIDE,
        "Nearly all of one colour: nothing of the class can be learned from it.",
        test=_uniform,
    ),
    FindingKind(
        "duplicate",
        "Exact duplicates",
        DECIDE,
        "The same file twice counts twice, and says nothing new.",
        "Exclude all but one",
    ),
    FindingKind(
        "near-duplicate",
        "Near duplicates",
        DECIDE,
        "The same image in another size, quality or exposure counts twice, and may end up in "
        "two splits.",
        "Exclude all but the largest",
    ),
    FindingKind(
        "tiny",
        "Tiny images",
        DECIDE,
        "Enlarged to the input size of a network, it is a blur.",
        test=_tiny,
    ),
    FindingKind(
        "elongated",
        "Very long or tall images",
        DECIDE,
        "The crop that a network gets keeps only a small part of it.",
        test=_elongated,
    ),
    FindingKind(
        "truncated",
        "Truncated or damaged files",
        LEFT_OUT,
        "Part of the file is missing, so it was left out. Add it again if you have it whole.",
        "",
    ),
    FindingKind(
        "unreadable",
        "Files that are no images",
        LEFT_OUT,
        "It could not be read as an image and was left out.",
        "",
    ),
    FindingKind(
        "too-large", "Files beyond the limits", LEFT_OUT, "It was left out: make it smaller.", ""
    ),
    FindingKind(
        "wrong-ending",
        "Wrong file endings",
        HANDLED,
        "It is read by its content; other programs may refuse it or pass it over.",
        test=_wrong_ending,
    ),
    FindingKind(
        "animated",
        "Animations and many-page files",
        HANDLED,
        "Only its first image is used.",
        test=lambda file, facts: facts.header.format if facts.header.animated else "",
    ),
    FindingKind(
        "rotated",
        "Rotated by their EXIF orientation",
        HANDLED,
        "It is turned upright; programs that ignore the orientation show it on its side.",
        test=lambda file, facts: f"{_size(facts)} upright" if facts.header.rotated else "",
    ),
    FindingKind(
        "alpha",
        "Transparent images",
        HANDLED,
        "It is laid on white; on another background it would look different.",
        test=lambda file, facts: f"mode {facts.header.mode}" if facts.header.transparent else "",
    ),
    FindingKind(
        "cmyk",
        "Colours for print (CMYK)",
        HANDLED,
        "It is converted without its colour profile: its colours may be a little off.",
        test=lambda file, facts: "mode CMYK" if facts.header.mode == "CMYK" else "",
    ),
    FindingKind(
        "deep",
        "More than 8 bits a channel",
        HANDLED,
        "It is scaled to 8 bits by the full range: an image that uses little of it looks dark.",
        test=lambda file, facts: f"a {facts.header.format}" if facts.header.deep else "",
    ),
)

KINDS: Mapping[str, FindingKind] = MappingProxyType({kind.name: kind for kind in _KINDS})


@dataclass(frozen=True)
class Finding:
    """One finding on one image, or on several that show the same."""

    kind: str  # a name in KINDS
    files: tuple[str, ...]
    keys: tuple[str, ...]  # of the images; none for a file that was left out
    excludes: tuple[str, ...]  # keys of the images that fixing it excludes
    details: str  # a few words
    dismissed: bool = False  # a person has decided to keep the images as they are


@dataclass(frozen=True)
class SmallClass:
    """A class that needs more images."""

    label: str
    images: int
    recommended: int  # images in all
    message: str  # why, and what to do


@dataclass(frozen=True)
class QualityReport:
    """The findings on a dataset as it stands."""

    findings: tuple[Finding, ...]  # in the order of KINDS, then by file
    small_classes: tuple[SmallClass, ...]
    images: int  # of the dataset, without the excluded
    unscanned: int  # of them not scanned yet: findings may be missing
    groups: tuple[tuple[str, ...], ...]  # keys of images that are the same or nearly so

    @cached_property
    def open_findings(self) -> Mapping[str, tuple[Finding, ...]]:
        """Findings that are not dismissed, by kind."""
        return _group_by_kind(finding for finding in self.findings if not finding.dismissed)

    @cached_property
    def by_kind(self) -> Mapping[str, tuple[Finding, ...]]:
        """All findings by kind, dismissed ones too."""
        return _group_by_kind(self.findings)


def check_quality(state: DatasetState, facts: FactsTable) -> QualityReport:
    """List the findings on a dataset, by the facts of its images."""
    groups = group_duplicates(state.included, facts)
    findings = [
        *_find_left_out(state),
        *_find_single(state.included, facts),
        *(finding for group in groups for finding in _find_in_group(group)),
    ]
    order = {kind: place for place, kind in enumerate(KINDS)}
    findings.sort(key=lambda finding: (order[finding.kind], finding.files))
    counts = state.counts
    return QualityReport(
        tuple(findings),
        find_small_classes({label: counts[label] for label in state.dataset.classes}),
        len(state.included),
        sum(sample.sha256 not in facts.by_sha256 for sample in state.included),
        tuple(tuple(sample.key for sample in group) for group in groups),
    )


def group_duplicates(samples: Sequence[Sample], facts: FactsTable) -> list[list[Sample]]:
    """Group samples of the same or nearly the same content; two or more in a group."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(facts.groups.get(sample.sha256, sample.sha256), []).append(sample)
    return [group for group in groups.values() if len(group) > 1]


def _find_left_out(state: DatasetState) -> Iterator[Finding]:
    for refusal in state.refused:
        kind = refusal.kind if refusal.kind in KINDS else "unreadable"
        yield Finding(kind, (refusal.file,), (), (), refusal.reason)


def _find_single(samples: Sequence[Sample], table: FactsTable) -> Iterator[Finding]:
    for sample in samples:
        facts = table.by_sha256.get(sample.sha256)
        if isinstance(facts, DamagedImageFacts):
            yield _finding(facts.kind, [sample], [sample], facts.reason)
        elif facts is not None:
            for kind in KINDS.values():
                if kind.test and (details := kind.test(sample.file, facts)):
                    yield _finding(kind.name, [sample], [sample], details)


def _find_in_group(group: Sequence[Sample]) -> Iterator[Finding]:
    labels = [sample.label for sample in group]
    if len(set(labels) - {UNLABELLED}) > 1:
        yield _finding("two-labels", group, group, _describe(group, labels))
    splits = [sample.split for sample in group if sample.split]
    if len(set(splits)) > 1:
        # The held-out copies stay; where there are none in training, those in the test split.
        lesser = "train" if "train" in splits else "val"
        excludes = [sample for sample in group if sample.split == lesser]
        yield _finding("leak", group, excludes, _describe(group, splits))
    alike: dict[tuple[str, str | None], list[Sample]] = {}
    for sample in group:
        alike.setdefault((sample.label, sample.split), []).append(sample)
    for samples in alike.values():  # of one label and split: no other finding is about them
        yield from _find_duplicates(samples)


def _find_duplicates(samples: Sequence[Sample]) -> Iterator[Finding]:
    exact: dict[str, list[Sample]] = {}
    for sample in samples:
        exact.setdefault(sample.sha256, []).append(sample)
    for copies in exact.values():
        if len(copies) > 1:
            yield _finding("duplicate", copies, copies[1:], f"{len(copies)} times the same")
    if len(exact) > 1:
        near = [copies[0] for copies in exact.values()]
        largest = max(near, key=lambda sample: sample.width * sample.height)
        sizes = ", ".join(f"{sample.width} × {sample.height}" for sample in near)
        yield _finding("near-duplicate", near, [s for s in near if s is not largest], sizes)


def _finding(
    kind: str, samples: Sequence[Sample], excludes: Sequence[Sample], details: str
) -> Finding:
    return Finding(
        kind,
        tuple(sample.file for sample in samples),
        tuple(sample.key for sample in samples),
        tuple(sample.key for sample in excludes),
        details,
        all(kind in sample.dismissed for sample in samples),
    )


def _describe(group: Sequence[Sample], values: Iterable[str]) -> str:
    is_exact = len({sample.sha256 for sample in group}) == 1
    counts = ", ".join(f"{number} × {value}" for value, number in sorted(Counter(values).items()))
    return f"{'the same file' if is_exact else 'nearly the same'}: {counts}"


def _group_by_kind(findings: Iterable[Finding]) -> Mapping[str, tuple[Finding, ...]]:
    by_kind: dict[str, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    return {kind: tuple(some) for kind, some in by_kind.items()}


def find_small_classes(counts: Mapping[str, int]) -> tuple[SmallClass, ...]:
    """Return the classes that are too small by themselves or beside the largest, smallest first.

    Args:
        counts: images of each class.
    """
    largest = max(counts.values(), default=0)
    ordered = sorted(counts.items(), key=lambda item: (item[1], item[0]))
    checked = (_check_class(label, images, largest) for label, images in ordered)
    return tuple(small for small in checked if small is not None)


def _check_class(label: str, images: int, largest: int) -> SmallClass | None:
    if images < ENOUGH:
        message = (
            f"{images} so far. Add {ENOUGH - images}: {ENOUGH} are the fewest to train and "
            "validate a head with."
        )
        return SmallClass(label, images, ENOUGH, message)
    recommended = math.ceil(largest / UNEVEN)
    if images >= recommended:
        return None
    message = (
        f"{images} beside {largest} in the largest class: always predicting that class is right "
        f"on {percent(largest / (images + largest))} of the two. With {recommended}, a third of "
        f"it, that falls to {percent(largest / (recommended + largest))}. "
        f"Add {recommended - images}, or use fewer of the others."
    )
    return SmallClass(label, images, recommended, message)
