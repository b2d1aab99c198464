"""Division of samples: training, validation and test, k folds, held-out draws, subsets.

Every division is drawn class by class, so that each part has the same mix; by a seed; and by
groups: samples of one group are on one side, else validation would ask for what training has
learned by heart. `group_of` is the one place that says what a group is.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from tlcore.datasets.dataset import UNLABELLED, Dataset, Sample, hash_file
from tlcore.datasets.edits import DatasetState, assign, read_state
from tlcore.datasets.layout import is_split_name
from tlcore.datasets.manifest import folder_of
from tlcore.datasets.quality_report import read_memory
from tlcore.errors import BadConfig, BadDataset
from tlcore.settings import Settings

_HELD_OUT_FIRST = ("test", "val", "train")  # a copy follows the most held-out of its group
_FEWEST = 3  # samples that a class needs so that each of three splits gets one


def group_of(sample: Sample) -> str:
    """Name what a sample shows: equal names stay on one side of every division.

    The same bytes are one group, whatever the file or the label; where near copies are known,
    `Sample.group` joins them too. A file that was not hashed stands for itself.
    """
    return sample.group or sample.sha256 or sample.file


def group_samples(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Gather samples by group, groups and samples in the order in which they came.

    Samples of a folder read in place have no hash yet: of them only files of equal size are read.
    """
    groups: dict[str, list[Sample]] = {}
    hashes = _hash_equal_sizes(samples)
    for sample in samples:
        groups.setdefault(hashes.get(sample.file) or group_of(sample), []).append(sample)
    return list(groups.values())


def split_samples(
    dataset: Dataset, val_fraction: float = 0.2, seed: int = 0
) -> tuple[list[Sample], list[Sample]]:
    """Divide a dataset into training and validation samples.

    A split that came with the images is kept, and "test" is in neither part. Samples without a
    split are divided class by class with the seed, at least one on each side where a class has
    two; so are those marked "train" if nothing is marked "val". Copies stay on one side: an
    undecided copy of an image that has a split follows it. The order in which the samples come
    does not matter. Samples without label are in neither part.

    Args:
        dataset: at least two classes, each with an image that is not for testing.
        val_fraction: share of each class for validation, above 0 and below 1.
        seed: another seed gives another division.

    Returns:
        (train, val), each sorted by file.

    Raises:
        BadDataset: fewer than two classes, or a class without an image to train on.
        BadConfig: `val_fraction` is out of its range.
    """
    if not 0 < val_fraction < 1:
        raise BadConfig(f"Expected a validation share between 0 and 1. Received {val_fraction}.")
    _check_classes(dataset)
    parts, undecided = _given_parts(dataset)
    for label, groups in _by_label(undecided).items():
        chosen = _draw_groups(len(groups), val_fraction, random.Random(f"{seed}:{label}"))
        for place, group in enumerate(groups):
            parts["val" if place in chosen else "train"] += group
    _check_training(dataset, parts["train"])
    return sorted(parts["train"], key=_order), sorted(parts["val"], key=_order)


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


def draw_stratified(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """Draw so many samples, each class by its share and at least one of it where that is possible.

    Groups are drawn whole: what is drawn and what is left have no image in common. Where copies do
    not fit into the number, a few samples fewer are drawn.

    Args:
        samples: to draw from, in any order.
        count: number of samples, at most; all of them are drawn where there are no more.
        seed: another seed gives another draw.

    Returns:
        The drawn samples, sorted by file.
    """
    ordered = sorted(samples, key=_order)
    if count >= len(ordered):
        return ordered
    rooms = _shares(Counter(sample.label for sample in ordered), count)
    left = count
    groups = group_samples(ordered)
    drawn: list[Sample] = []
    spare: list[list[Sample]] = []
    for group in random.Random(seed).sample(groups, len(groups)):
        label = _label_of(group)
        if len(group) <= rooms[label]:
            rooms[label] -= len(group)
            left -= len(group)
            drawn += group
        else:
            spare.append(group)
    for group in spare:  # room that copies left open
        if len(group) <= left:
            left -= len(group)
            drawn += group
    return sorted(drawn, key=_order)


def assign_folds(
    labels: Sequence[Hashable], groups: Sequence[str], k: int, seed: Hashable
) -> list[int]:
    """Assign every sample to one of k folds: classes and sizes even, groups whole.

    Large groups go first, each to the fold that has the fewest samples of its classes and, of
    those, the fewest in all (a greedy StratifiedGroupKFold): without copies neither a class's
    counts nor the sizes of two folds differ by more than one.

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
            mine = [counts[labels[place]] for place in places]
            best = min((sum(one[at] for one in mine), sizes[at], at) for at in range(k))[2]
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
        each: images of each class, at most `count_groups` of the smallest.
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


@dataclass(frozen=True)
class SplitPlan:
    """Shares by which a stored dataset is divided once and for all runs."""

    val: float = 0.2  # share of each class, above 0 and below 1
    test: float = 0.1  # share of each class, 0 for no test split; with `val` below 1
    seed: int = 0
    keep: bool = True  # images that have a split already stay in it

    def __post_init__(self) -> None:
        if not (0 < self.val < 1 and 0 <= self.test < 1 and self.val + self.test < 1):
            raise BadConfig(
                "Expected shares above 0 for validation, from 0 for test, below 1 together. "
                f"Received {self.val} and {self.test}."
            )


def split_dataset(name: str, division: SplitPlan, settings: Settings) -> DatasetState:
    """Divide a stored dataset and store the division with it, as an edit that can be undone.

    Raises:
        BadDataset: no such dataset, or a damaged one.
    """
    folder = folder_of(name, settings)
    dataset = read_memory(folder).grouped(read_state(folder).dataset)
    parts = divide(dataset.samples, division)
    words = f"divide {len(parts):,} images (seed {division.seed})"
    return assign(name, parts, words, settings)


def forget_split(name: str, settings: Settings) -> DatasetState:
    """Leave every image without a split: each run divides by its own seed."""
    state = read_state(folder_of(name, settings))
    return assign(name, {item.key: None for item in state.used}, "forget the parts", settings)


def divide(samples: Sequence[Sample], division: SplitPlan) -> dict[str, str]:
    """Return the split of each sample, by key; the order of the samples does not matter."""
    parts: dict[str, str] = {}
    if division.keep:
        parts = {sample.key: sample.split for sample in samples if sample.split}
    groups = sorted(group_samples(samples), key=lambda group: min(one.key for one in group))
    for group in groups:
        _follow(group, parts)
    for label, mine in _by_label(groups).items():
        _divide_class(mine, parts, division, random.Random(f"{division.seed}:{label}"))
    return parts


def _hash_equal_sizes(samples: Sequence[Sample]) -> dict[str, str]:
    """Hash those files without a hash that could be copies: file → sha256."""
    by_size: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if not sample.sha256:
            try:
                by_size[sample.path.stat().st_size].append(sample)
            except OSError:
                continue  # it is gone: reading it gives the reason
    some_hashed = any(sample.sha256 for sample in samples)
    alike = [same for same in by_size.values() if len(same) > 1 or some_hashed]
    return {sample.file: hash_file(sample.path) for same in alike for sample in same}


def _given_parts(dataset: Dataset) -> tuple[dict[str, list[Sample]], list[list[Sample]]]:
    """Sort out what has a split: samples by split, and groups that are still to be divided."""
    samples = sorted((one for one in dataset.samples if one.label != UNLABELLED), key=_order)
    kept = _HELD_OUT_FIRST if any(one.split == "val" for one in samples) else ("test", "val")
    parts: dict[str, list[Sample]] = {split: [] for split in _HELD_OUT_FIRST}
    undecided = []
    for group in group_samples(samples):
        leading = _leading_split(one.split for one in group)
        open_ = []
        for sample in group:
            split = sample.split or leading
            parts[split].append(sample) if split and split in kept else open_.append(sample)
        if open_:
            undecided.append(open_)
    return parts, undecided


def _leading_split(splits: Iterable[str | None]) -> str | None:
    """Return the most held-out of some splits, which undecided copies follow; None for none."""
    given = set(splits)
    return next((split for split in _HELD_OUT_FIRST if split in given), None)


def _draw_groups(count: int, fraction: float, draw: random.Random) -> set[int]:
    """Draw a class's groups for validation: positions out of `count`."""
    if count < 2:
        return set()
    chosen = min(max(round(count * fraction), 1), count - 1)
    return set(draw.sample(range(count), chosen))


def _shares(counts: Counter[str], count: int) -> dict[str, int]:
    """Share a number out by class sizes (largest remainder); one of each class if it suffices."""
    exact = {label: count * size / counts.total() for label, size in counts.items()}
    shares = {label: int(share) for label, share in exact.items()}
    by_remainder = sorted(exact, key=lambda label: (int(exact[label]) - exact[label], label))
    for label in by_remainder[: count - sum(shares.values())]:
        shares[label] += 1
    for label in [label for label, share in shares.items() if not share]:
        largest = max(shares, key=lambda label: (shares[label], label))
        if shares[largest] > 1:
            shares[largest] -= 1
            shares[label] = 1
    return shares


def _follow(group: list[Sample], parts: dict[str, str]) -> None:
    """A group of which one has a split goes there as a whole; those that have one stay."""
    leading = _leading_split(parts.get(sample.key) for sample in group)
    for sample in group:
        if leading:
            parts.setdefault(sample.key, leading)


def _by_label(groups: Iterable[list[Sample]]) -> dict[str, list[list[Sample]]]:
    by_label: dict[str, list[list[Sample]]] = {}
    for group in groups:
        by_label.setdefault(_label_of(group), []).append(group)
    return by_label


def _label_of(group: Sequence[Sample]) -> str:
    return str(_majority(sample.label for sample in group)) if len(group) > 1 else group[0].label


def _majority(labels: Iterable[Hashable]) -> Hashable:
    """Return the most frequent label, of equally frequent ones the first by name; UNLABELLED only
    where there is no other."""
    counts = Counter(labels)
    return min(counts, key=lambda label: (label == UNLABELLED, -counts[label], str(label)))


def _divide_class(
    groups: list[list[Sample]], parts: dict[str, str], division: SplitPlan, order: random.Random
) -> None:
    have = Counter(parts[one.key] for group in groups for one in group if one.key in parts)
    total = sum(len(group) for group in groups)
    wanted = {
        "test": _share(total, division.test) - have["test"],
        "val": _share(total, division.val) - have["val"],
    }
    free = [group for group in groups if group[0].key not in parts]
    for group in order.sample(free, len(free)):
        part = next((part for part, room in wanted.items() if room >= len(group)), "train")
        if part != "train":
            wanted[part] -= len(group)
        parts.update((sample.key, part) for sample in group)


def _share(total: int, share: float) -> int:
    """Samples of a class for a split: at least one where it has enough for all three."""
    if not share or total < 2:
        return 0
    return max(round(total * share), 1 if total >= _FEWEST else 0)


def _order(sample: Sample) -> tuple[str, str, str]:
    return sample.file, sample.sha256, sample.label


def _check_classes(dataset: Dataset) -> None:
    if len(dataset.classes) < 2:
        raise BadDataset(
            f"Expected at least two classes in {dataset.name!r}. Received {len(dataset.classes)} "
            f"({_in_words(dataset.counts)}). Put the images of each class in a folder of its own."
        )


def _check_training(dataset: Dataset, train: list[Sample]) -> None:
    images = Counter(sample.label for sample in train)
    counts = {label: images[label] for label in dataset.classes}
    if not all(counts.values()):
        raise BadDataset(
            f"Expected an image to train on in every class of {dataset.name!r}. Received "
            f"{_in_words(counts)}. Add images to the empty classes, or remove these classes."
        )


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{label}: {count}" for label, count in counts.items()) or "no images"
