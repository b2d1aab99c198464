"""Splits of samples: training, validation and test, k folds, held-out draws, subsets.

Everything is drawn class by class, so that every split has the same mix; by a seed; and by groups:
samples of one group stay in one split, else validation would contain copies of training images.
``duplicate_group`` is the one function that says what a group is.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tlcore.datasets.dataset import SPLITS, UNLABELLED, Dataset, Sample, hash_file
from tlcore.datasets.edits import assign_splits
from tlcore.datasets.folder_names import is_split_name
from tlcore.datasets.store import DatasetState, load_dataset, load_state
from tlcore.errors import BadConfig, BadDataset
from tlcore.settings import Settings
from tlcore.text import plural

_HELD_OUT_FIRST = ("test", "val", "train")  # a copy follows the most held-out of its group


def duplicate_group(sample: Sample) -> str:
    """Return what a sample shows: equal values stay in one split.

    The same bytes are one group, whatever the file or the label; where near duplicates are known,
    ``Sample.group`` joins them too. A file that was not hashed is a group by itself.
    """
    return sample.group or sample.sha256 or sample.file


def group_samples(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Group samples, groups and samples in the order in which they came.

    Samples of a folder read in place have no hash yet: of them only files of equal size are read.
    """
    by_size: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if not sample.sha256:
            with suppress(OSError):  # it is gone: decoding it gives the reason
                by_size[sample.path.stat().st_size].append(sample)
    has_hashes = any(sample.sha256 for sample in samples)
    alike = [same for same in by_size.values() if len(same) > 1 or has_hashes]
    hashes = {sample.file: hash_file(sample.path) for same in alike for sample in same}
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[hashes.get(sample.file) or duplicate_group(sample)].append(sample)
    return list(groups.values())


def split_samples(
    dataset: Dataset, val_fraction: float = 0.2, seed: int = 0
) -> tuple[list[Sample], list[Sample]]:
    """Split a dataset into training and validation samples for one run.

    A split that came with the images is kept, and "test" is in neither. Samples without a split
    are divided class by class with the seed, at least one for each split where a class has two;
    so are those marked "train" if nothing is marked "val". Copies stay in one split: a copy
    without a split follows the one that has one. The order in which the samples come does not
    matter. Samples without label are in neither split.

    Args:
        dataset: at least two classes, each with an image that is not in the test split.
        val_fraction: share of each class for validation, above 0 and below 1.
        seed: another seed gives another division.

    Returns:
        (train, val), each sorted by file.

    Raises:
        BadDataset: fewer than two classes, or a class without an image to train on.
        BadConfig: ``val_fraction`` is out of its range.
    """
    if not 0 < val_fraction < 1:
        raise BadConfig(f"Expected a validation split between 0 and 1. Received {val_fraction}.")
    if len(dataset.classes) < 2:
        raise BadDataset(
            f"Expected at least two classes in {dataset.name!r}. Received {len(dataset.classes)} "
            f"({_in_words(dataset.counts)}). Put the images of each class in a folder of its own."
        )
    samples = sorted((one for one in dataset.samples if one.label != UNLABELLED), key=_order)
    kept = SPLITS if any(one.split == "val" for one in samples) else ("val", "test")
    given = {one.key: one.split for one in samples if one.split in kept}
    splits = _divide(samples, given, {"val": val_fraction}, seed)
    train = [sample for sample in samples if splits[sample.key] == "train"]
    images = Counter(sample.label for sample in train)
    counts = {label: images[label] for label in dataset.classes}
    if not all(counts.values()):
        raise BadDataset(
            f"Expected an image to train on in every class of {dataset.name!r}. Received "
            f"{_in_words(counts)}. Add images to the empty classes, or remove these classes."
        )
    return train, [sample for sample in samples if splits[sample.key] == "val"]


def _divide(
    samples: Sequence[Sample],
    given: Mapping[str, str | None],
    shares: Mapping[str, float],
    seed: int,
) -> dict[str, str]:
    """Return the split of each sample: key → split.

    Args:
        samples: with labels, in any order.
        given: key → split of the samples that stay where they are. The others of their group go
            to the most held-out of its splits.
        shares: of each class that is still to be divided, by held-out split.
        seed: another seed gives another division.
    """
    splits = {key: split for key, split in given.items() if split}
    undecided = []
    for group in group_samples(sorted(samples, key=_order)):
        taken = {splits[sample.key] for sample in group if sample.key in splits}
        rest = [sample for sample in group if sample.key not in splits]
        if leading := next((split for split in _HELD_OUT_FIRST if split in taken), None):
            splits.update((sample.key, leading) for sample in rest)
        else:
            undecided.append(rest)
    for label, groups in group_by_label(undecided).items():
        shuffled = random.Random(f"{seed}:{label}").sample(groups, len(groups))
        for group, split in zip(shuffled, _deal(shuffled, shares), strict=True):
            splits.update((sample.key, split) for sample in group)
    return splits


def _deal(groups: Sequence[list[Sample]], shares: Mapping[str, float]) -> list[str]:
    """Return the split of each group of a class; every split gets one where there are enough."""
    splits = ["train"] * len(groups)
    total, wanted = sum(map(len, groups)), [split for split in shares if shares[split]]
    for later, split in zip(range(len(wanted), 0, -1), wanted, strict=True):
        free = [at for at in range(len(groups)) if splits[at] == "train"]
        spare, room = len(free) - later, max(round(total * shares[split]), 1)
        chosen: list[int] = []
        for at in free:
            if len(chosen) < spare and len(groups[at]) <= room:
                chosen.append(at)
                room -= len(groups[at])
        if not chosen and spare > 0:
            chosen = [min(free, key=lambda at: len(groups[at]))]
        for at in chosen:
            splits[at] = split
    return splits


def check_class_names(dataset: Dataset) -> None:
    """Refuse to learn classes that are splits: a head would tell training from test images.

    Raises:
        BadDataset: naming such classes, with the way out.
    """
    if split_names := [label for label in dataset.classes if is_split_name(label)]:
        raise BadDataset(
            f"{dataset.name!r} has classes with the name of a split: {', '.join(split_names)}. A "
            "head would learn to tell training images from test images. If these are splits, "
            "put a folder for each class inside them and bring the images again; if they are "
            "classes, give them other names."
        )


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{label}: {number}" for label, number in counts.items()) or "no images"


@dataclass(frozen=True)
class SplitPlan:
    """Shares by which a stored dataset is divided once and for all runs."""

    val: float = 0.2  # share of each class, above 0 and below 1
    test: float = 0.1  # share of each class, 0 for no test split; with ``val`` below 1
    seed: int = 0
    keep: bool = True  # images that have a split already stay in it

    def __post_init__(self) -> None:
        if not (0 < self.val < 1 and 0 <= self.test < 1 and self.val + self.test < 1):
            raise BadConfig(
                "Expected shares above 0 for validation, from 0 for test, below 1 together. "
                f"Received {self.val} and {self.test}."
            )


def split_dataset(name: str, plan: SplitPlan, settings: Settings) -> DatasetState:
    """Divide a stored dataset and store the splits with it, as an edit that can be undone.

    Raises:
        BadDataset: there is no such dataset, or it is damaged.
    """
    splits = plan_splits(load_dataset(name, settings).samples, plan)
    description = f"divide {plural(len(splits), 'image')} (seed {plan.seed})"
    return assign_splits(name, splits, description, settings)


def divide_again(name: str, settings: Settings) -> DatasetState:
    """Split a stored dataset anew in the shares that its splits have: groups stay whole, and every
    class is in each split for which it has enough images."""
    counts = Counter(sample.split for sample in load_state(name, settings).included)
    val, test = (counts[split] / max(1, counts.total()) for split in ("val", "test"))
    plan = SplitPlan(val or SplitPlan.val, test, keep=False) if val + test < 1 else SplitPlan()
    return split_dataset(name, plan, settings)


def remove_splits(name: str, settings: Settings) -> DatasetState:
    """Leave every image without a split: each run divides by its own seed."""
    keys = [sample.key for sample in load_state(name, settings).included]
    return assign_splits(name, dict.fromkeys(keys), "remove the splits", settings)


def plan_splits(samples: Sequence[Sample], plan: SplitPlan) -> dict[str, str]:
    """Return the split of each labelled sample: key → split.

    The order of the samples does not matter. Samples that have a split stay, and the others of
    their group follow them.
    """
    labelled = [sample for sample in samples if sample.label != UNLABELLED]
    given = {sample.key: sample.split for sample in labelled if plan.keep}
    return _divide(labelled, given, {"test": plan.test, "val": plan.val}, plan.seed)


def draw_stratified(samples: Sequence[Sample], number: int, seed: int) -> list[Sample]:
    """Draw so many samples, each class by its share and at least one of it where that is possible.

    Groups are drawn whole: what is drawn and what is left have no image in common. Where copies do
    not fit into the number, a few samples fewer are drawn.

    Args:
        samples: to draw from, in any order.
        number: of samples, at most; all of them are drawn where there are no more.
        seed: another seed gives another draw.

    Returns:
        The drawn samples, sorted by file.
    """
    by_label = group_by_label(group_samples(sorted(samples, key=_order)))
    ranked: list[tuple[float, str, list[Sample]]] = []  # share of the class that is drawn before
    for label, groups in sorted(by_label.items()):
        total, before = sum(map(len, groups)), 0
        for group in random.Random(f"{seed}:{label}").sample(groups, len(groups)):
            ranked.append((before / total, label, group))
            before += len(group)
    drawn: list[Sample] = []
    for _, _, group in sorted(ranked, key=lambda one: one[:2]):
        if len(drawn) + len(group) <= number:
            drawn += group
    return sorted(drawn, key=_order)


def assign_folds(
    labels: Sequence[Hashable], groups: Sequence[str], k: int, seed: Hashable
) -> list[int]:
    """Assign every sample to one of k folds: classes and sizes even, groups whole.

    Large groups go first, each to the fold that has the fewest samples of its classes and, of
    those, the fewest in all: without copies neither a class's counts nor the sizes of two folds
    differ by more than one. (scikit-learn's StratifiedGroupKFold does not promise that.)

    Args:
        labels: class of each sample.
        groups: group of each sample.
        k: number of folds, at least 1.
        seed: another one gives other folds.

    Returns:
        The fold of each sample, 0…k − 1.
    """
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    by_class: dict[Hashable, list[list[int]]] = {label: [] for label in labels}
    for places in members.values():
        by_class[_majority(labels[place] for place in places)].append(places)
    fold = [0] * len(labels)
    sizes, counts = [0] * k, {label: [0] * k for label in by_class}
    draw = random.Random(repr(seed))
    for label in sorted(by_class, key=str):
        shuffled = draw.sample(by_class[label], len(by_class[label]))
        for places in sorted(shuffled, key=len, reverse=True):
            alike = [counts[labels[place]] for place in places]
            best = min((sum(one[at] for one in alike), sizes[at], at) for at in range(k))[2]
            sizes[best] += len(places)
            for place in places:
                fold[place] = best
                counts[labels[place]][best] += 1
    return fold


def draw_subset(
    labels: Sequence[Hashable], groups: Sequence[str], each: int, seed: Hashable
) -> list[int]:
    """Draw as many different images of every class: positions, sorted.

    One sample stands for its group, as a copy teaches nothing new. With one seed a larger subset
    holds the smaller one, so that two of them differ by what was added only.

    Args:
        labels: class of each sample.
        groups: group of each sample.
        each: images of each class, at most ``count_groups`` of the smallest.
        seed: another one gives another subset.
    """
    first: dict[tuple[Hashable, str], int] = {}
    for place, key in enumerate(zip(labels, groups, strict=True)):
        first.setdefault(key, place)
    by_class: dict[Hashable, list[int]] = defaultdict(list)
    for (label, _), place in first.items():
        by_class[label].append(place)
    drawn: list[int] = []
    for label, places in by_class.items():
        order = random.Random(f"{seed!r}:{label}").sample(places, len(places))
        drawn += order[:each]
    return sorted(drawn)


def count_groups(labels: Sequence[Hashable], groups: Sequence[str]) -> dict[Hashable, int]:
    """Count the different images of every class."""
    pairs = set(zip(labels, groups, strict=True))
    return dict(Counter(label for label, _ in pairs))


def group_by_label(groups: Iterable[list[Sample]]) -> dict[str, list[list[Sample]]]:
    """Return groups by the label that most of their samples have."""
    by_label: dict[str, list[list[Sample]]] = defaultdict(list)
    for group in groups:
        by_label[str(_majority(sample.label for sample in group))].append(group)
    return by_label


def _majority(labels: Iterable[Hashable]) -> Hashable:
    """Return the most frequent label, of equally frequent ones the first by name; UNLABELLED only
    where there is no other."""
    counts = Counter(labels)
    return min(counts, key=lambda label: (label == UNLABELLED, -counts[label], str(label)))


def _order(sample: Sample) -> tuple[str, str, str]:
    return sample.file, sample.sha256, sample.label
