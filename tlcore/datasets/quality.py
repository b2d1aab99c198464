"""Findings on the quality of a dataset: what is wrong with which images, and how to fix it.

Nothing is decoded here: findings come from the facts of images (``image_facts``), the refusals of
an import, and labels and splits.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from tlcore.datasets.dataset import UNLABELLED, Sample
from tlcore.datasets.image_facts import AnyFacts, DamagedImageFacts, FactsTable, ImageFacts
from tlcore.datasets.image_io import FORMATS
from tlcore.datasets.shortcuts import find_shortcuts
from tlcore.datasets.split_notes import describe_stored
from tlcore.datasets.store import DatasetState
from tlcore.percentages import percent

TINY = 64  # pixels; a shorter short side is blurred at the input size of every network
ELONGATED = 3.0  # long side by short side: the crop then keeps less than a third
ENOUGH = 20  # images of a class: 16 to train on, 4 for validation
UNEVEN = 3.0  # how many times larger than a class the largest class may be
# Thresholds of ``ImageFacts``, none of which one of 521 photographs reaches; their lowest sharpness
# is 0.23, and 0.09 at the median once they are blurred by 1% of their short side.
BLURRED = 0.18
DARK = 70.0  # grey level; 99% of the pixels are darker (photographs: 111)
OVEREXPOSED = 180.0  # grey level; 95% of the pixels are brighter (photographs: 156)
_DEVIATION = 5.0  # grey levels; less is one colour, with the noise of a camera or a JPEG
_FLAT = 0.9  # share of one colour that only placeholders have ...
_FLAT_AND_FEW, _FEW = 0.8, 32  # ... or less of it, with as few colours as only drawings have
NAMES, MISSING, DEPTH, SHORTCUT = "names", "missing", "depth", "shortcut"  # kinds of warning
RECORDING = "recording"  # a kind of finding that splitting again mends
LEFT_OUT, DECIDE, HANDLED = "left out", "decide", "handled"

Test = Callable[[str, ImageFacts], str]  # file's name, facts → details; "" where it is no finding


def _wrong_ending(file: str, facts: ImageFacts) -> str:
    name = file.rpartition("/")[2]
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending in FORMATS[facts.header.format].endings:
        return ""
    named = f"named .{ending}" if ending else "named without an ending"
    return f"a {facts.header.format} image, {named}"


def _uniform(file: str, facts: ImageFacts) -> str:
    if facts.flat >= _FLAT:
        return f"{percent(facts.flat)} of it is one colour"
    if facts.deviation < _DEVIATION:
        return f"its grey levels lie {facts.deviation:.1f} of 255 around their mean"
    if facts.flat >= _FLAT_AND_FEW and facts.colours <= _FEW:
        return f"{percent(facts.flat)} of it is one colour, and it has {facts.colours} in all"
    return ""


def _blurred(file: str, facts: ImageFacts) -> str:
    is_judged = facts.sharpness < BLURRED and not _uniform(file, facts)
    return f"sharpness {facts.sharpness:.2f}" if is_judged else ""


def _exposure(file: str, facts: ImageFacts, *, dark: bool) -> str:
    low, _, high = facts.brightness
    if _uniform(file, facts) or (high >= DARK if dark else low <= OVEREXPOSED):
        return ""
    share, way, level = ("99%", "below", high) if dark else ("95%", "above", low)
    return f"{share} of it {way} {level:.0f} of 255"


def _elongated(file: str, facts: ImageFacts) -> str:
    long, short = max(facts.width, facts.height), min(facts.width, facts.height)
    return f"{_size(facts)}, {long / short:.1f} to 1" if long > ELONGATED * short else ""


def _size(facts: ImageFacts) -> str:
    return f"{facts.width} × {facts.height} pixels"


_TESTS: Mapping[str, Test] = {  # of the kinds that an image shows by itself
    "uniform": _uniform,
    "tiny": lambda file, facts: _size(facts) if min(facts.width, facts.height) < TINY else "",
    "elongated": _elongated,
    "blurred": _blurred,
    "dark": partial(_exposure, dark=True),
    "overexposed": partial(_exposure, dark=False),
    "wrong-ending": _wrong_ending,
    "animated": lambda file, facts: facts.header.format if facts.header.animated else "",
    "rotated": lambda file, facts: f"{_size(facts)} upright" if facts.header.rotated else "",
    "alpha": lambda file, facts: f"mode {facts.header.mode}" if facts.header.transparent else "",
    "cmyk": lambda file, facts: "mode CMYK" if facts.header.mode == "CMYK" else "",
    "deep": lambda file, facts: (
        f"{facts.header.depth} bits, {facts.header.format}" if facts.header.deep else ""
    ),
}


@dataclass(frozen=True)
class FindingKind:
    """One kind of finding."""

    name: str
    level: str  # LEFT_OUT on import, to DECIDE about, or HANDLED by the program
    title: str  # in the plural, without a number
    consequence: str  # what happens if nothing is done, one sentence
    fix: str = "Exclude them"  # what fixing all of them does; where images can be excluded


# name → title, consequence, what fixing all of them does
_TO_DECIDE = {
    "leak": (
        "Same image in two splits",
        "Learned in one split, it makes the accuracy in the other look better than it is.",
        "Exclude the copies in training",
    ),
    RECORDING: (
        "One recording or photograph in two splits",
        "Its frames or crops look alike: validation asks what training has shown.",
        "Split again, groups whole",
    ),
    "two-labels": (
        "Same image under two labels",
        "Whatever the head predicts, one of the two labels counts it as wrong.",
        "Exclude all their copies",
    ),
    "uniform": (
        "Empty or placeholder images",
        "Nearly all of one colour: nothing of the class can be learned from it.",
    ),
    "duplicate": (
        "Exact duplicates",
        "The same file twice counts twice, and says nothing new.",
        "Exclude all but one",
    ),
    "near-duplicate": (
        "Near duplicates",
        "The same image in another size or quality counts twice, and may end up in two splits.",
        "Exclude all but the largest",
    ),
    "tiny": ("Tiny images", "Enlarged to the input size of a network, it is a blur."),
    "elongated": (
        "Very long or tall images",
        "The crop that a network gets keeps only a small part of it.",
    ),
    "blurred": ("Blurred images", "The edges that a network looks for are not in it."),
    "dark": ("Dark images", "Hardly anything can be told apart in it."),
    "overexposed": ("Overexposed images", "What was bright is white: its shapes are lost."),
}
_LEFT_OUT = {
    "truncated": (
        "Truncated or damaged files",
        "Part of the file is missing, so it was left out. Add it again if you have it whole.",
    ),
    "unreadable": (
        "Files that are no images",
        "It could not be read as an image and was left out.",
    ),
    "too-large": ("Files beyond the limits", "It was left out: make it smaller."),
}
_HANDLED = {
    "grouped": ("Recordings, and crops of one photograph", "They stay in one split together."),
    "wrong-ending": (
        "Wrong file endings",
        "It is read by its content; other programs may refuse it or pass it over.",
    ),
    "animated": ("Animations and many-page files", "Only its first image is used."),
    "rotated": (
        "Rotated by their EXIF orientation",
        "It is turned upright; programs that ignore the orientation show it on its side.",
    ),
    "alpha": (
        "Transparent images",
        "It is laid on white; on another background it would look different.",
    ),
    "cmyk": (
        "Colours for print (CMYK)",
        "It is converted without its colour profile: its colours may be a little off.",
    ),
    "deep": (
        "More than 8 bits a channel",
        "It is scaled to 8 bits by the depth that its file names, else that its values use.",
    ),
}

KINDS: Mapping[str, FindingKind] = {
    name: FindingKind(name, level, *texts)
    for level, kinds in ((DECIDE, _TO_DECIDE), (LEFT_OUT, _LEFT_OUT), (HANDLED, _HANDLED))
    for name, texts in kinds.items()
}


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
class DatasetWarning:
    """Something about the classes that a person should know or decide about."""

    kind: str  # NAMES, MISSING, DEPTH or SHORTCUT
    message: str
    labels: tuple[str, ...] = ()  # of NAMES: classes to merge, into the first


@dataclass(frozen=True)
class QualityReport:
    """The findings on a dataset as it stands."""

    findings: tuple[Finding, ...]  # in the order of KINDS, then by file
    small_classes: tuple[SmallClass, ...]
    warnings: tuple[DatasetWarning, ...]
    images: int  # of the dataset, without the excluded
    unscanned: int  # of them not scanned yet: findings may be missing
    groups: tuple[tuple[str, ...], ...]  # keys of images that stay in one split

    @cached_property
    def open_findings(self) -> Mapping[str, tuple[Finding, ...]]:
        """Findings that are not dismissed, by kind."""
        still = {
            kind: tuple(finding for finding in findings if not finding.dismissed)
            for kind, findings in self.by_kind.items()
        }
        return {kind: findings for kind, findings in still.items() if findings}

    @cached_property
    def by_kind(self) -> Mapping[str, tuple[Finding, ...]]:
        """All findings by kind, dismissed ones too."""
        groups = itertools.groupby(self.findings, key=lambda finding: finding.kind)
        return {kind: tuple(findings) for kind, findings in groups}


def check_quality(
    state: DatasetState, facts: FactsTable, groups: Mapping[str, str]
) -> QualityReport:
    """List the findings on a dataset, by the facts of its images and ``recordings.find_groups``."""
    copies: dict[str, list[Sample]] = {}  # of the same or nearly the same content
    related: dict[str, list[Sample]] = {}  # that stay in one split
    findings = []
    for refusal in state.refused:
        kind = refusal.kind if refusal.kind in KINDS else "unreadable"
        findings.append(Finding(kind, (refusal.file,), (), (), refusal.reason))
    for sample in state.included:
        copies.setdefault(facts.groups.get(sample.sha256, sample.sha256), []).append(sample)
        related.setdefault(groups.get(sample.sha256, sample.sha256), []).append(sample)
        findings += _find_single(sample, facts.by_sha256.get(sample.sha256))
    for group in copies.values():
        findings += _find_in_group(group)
    for group in related.values():
        if len({facts.groups.get(s.sha256, s.sha256) for s in group}) > 1:
            splits = [sample.split or "undivided" for sample in group]
            kind = RECORDING if len({s.split for s in group if s.split}) > 1 else "grouped"
            findings.append(_finding(kind, group, [], _count(splits)))
    findings.sort(key=lambda finding: (list(KINDS).index(finding.kind), finding.files))
    return QualityReport(
        tuple(findings),
        find_small_classes({label: state.counts[label] for label in state.dataset.classes}),
        tuple(_find_warnings(state, facts, groups)),
        len(state.included),
        sum(sample.sha256 not in facts.by_sha256 for sample in state.included),
        tuple(tuple(s.key for s in group) for group in related.values() if len(group) > 1),
    )


def _find_warnings(
    state: DatasetState, facts: FactsTable, groups: Mapping[str, str]
) -> Iterator[DatasetWarning]:
    alike: dict[str, list[str]] = {}
    for label in sorted(state.dataset.classes, key=lambda label: -state.counts[label]):
        alike.setdefault(" ".join(label.casefold().split()), []).append(label)
    for labels in alike.values():
        if len(labels) > 1:
            names = ", ".join(f"{label!r} ({state.counts[label]:,})" for label in labels)
            message = f"{names} differ by capitals or blanks only and are classes of their own."
            yield DatasetWarning(NAMES, message, tuple(labels))
    for split in ("val", "test"):
        if message := describe_stored(state.included, split):
            yield DatasetWarning(MISSING, message)
    measured = (facts.by_sha256.get(sample.sha256) for sample in state.included)
    depths = Counter(each.header.depth for each in measured if isinstance(each, ImageFacts))
    deep = sorted((bits, number) for bits, number in depths.items() if bits > 8)
    if len(deep) > 1:
        counts = ", ".join(f"{bits} bits {number:,}" for bits, number in deep)
        text = "Each image is scaled by its own: the same brightness may look different."
        yield DatasetWarning(DEPTH, f"The images use different depths ({counts}). {text}")
    for shortcut in find_shortcuts(state.included, facts.by_sha256, groups):
        yield DatasetWarning(SHORTCUT, shortcut)


def _find_single(sample: Sample, facts: AnyFacts | None) -> Iterator[Finding]:
    if isinstance(facts, DamagedImageFacts):
        yield _finding(facts.kind, [sample], [sample], facts.reason)
    elif facts is not None:
        for kind, test in _TESTS.items():
            if details := test(sample.file, facts):
                yield _finding(kind, [sample], [sample], details)


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
    return f"{'the same file' if is_exact else 'nearly the same'}: {_count(values)}"


def _count(values: Iterable[str]) -> str:
    return ", ".join(f"{number} × {value}" for value, number in sorted(Counter(values).items()))


def find_small_classes(counts: Mapping[str, int]) -> tuple[SmallClass, ...]:
    """Return the classes that are too small by themselves or beside the largest, smallest first.

    Args:
        counts: images of each class.
    """
    largest = max(counts.values(), default=0)
    enough = max(ENOUGH, math.ceil(largest / UNEVEN))
    small = sorted((images, label) for label, images in counts.items() if images < enough)
    return tuple(_small_class(label, images, largest) for images, label in small)


def _small_class(label: str, images: int, largest: int) -> SmallClass:
    if images < ENOUGH:
        message = (
            f"{images} so far. Add {ENOUGH - images}: {ENOUGH} are the fewest to train and "
            "validate a head with."
        )
        return SmallClass(label, images, ENOUGH, message)
    recommended = math.ceil(largest / UNEVEN)
    message = (
        f"{images} beside {largest} in the largest class: always predicting that class is right "
        f"on {percent(largest / (images + largest))} of the two. With {recommended}, a third of "
        f"it, that falls to {percent(largest / (recommended + largest))}. "
        f"Add {recommended - images}, or use fewer of the others."
    )
    return SmallClass(label, images, recommended, message)
