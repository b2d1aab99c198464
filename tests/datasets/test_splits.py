"""How a dataset divides: kept where given, else by class, by seed and by nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.splits import (
    SplitPlan,
    assign_folds,
    check_class_names,
    count_groups,
    draw_stratified,
    draw_subset,
    plan_splits,
    split_samples,
)
from tlcore.errors import BadConfig, BadDataset
from tlcore.training.config import check_splits


def sample(label: str, number: int, split: str | None = None) -> Sample:
    file = f"{label}/{number:03}.jpg"
    return Sample(file, Path("/somewhere") / file, "", label, split)


def dataset(*groups: tuple[str, int, str | None]) -> Dataset:
    """(label, how many, split) for each group."""
    samples = [
        sample(label, 1000 * at + i, split)
        for at, (label, count, split) in enumerate(groups)
        for i in range(count)
    ]
    return Dataset("set", tuple(samples))


def sizes(samples: list[Sample]) -> dict[str, int]:
    return {label: sum(s.label == label for s in samples) for label in {s.label for s in samples}}


def test_counts() -> None:
    mixed = dataset(("b", 3, "train"), ("a", 2, None), ("b", 1, "test"))
    assert mixed.classes == ("a", "b")
    assert mixed.counts == {"a": 2, "b": 4}
    assert mixed.counts_by_split == {
        "train": {"a": 0, "b": 3},
        "test": {"a": 0, "b": 1},
        None: {"a": 2, "b": 0},
    }


def test_each_class_gives_its_share() -> None:
    train, val = split_samples(dataset(("a", 100, None), ("b", 10, None)), 0.2)
    assert sizes(val) == {"a": 20, "b": 2}
    assert sizes(train) == {"a": 80, "b": 8}


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 7), (0.5, 3), (0.99, 2), (0.99, 7)])
def test_both_sides_get_one_of_every_class_that_has_two(fraction: float, count: int) -> None:
    whole = dataset(("a", count, None), ("b", 2, None), ("c", 1, None))
    train, val = split_samples(whole, fraction)
    assert (set(sizes(train)), set(sizes(val))) == ({"a", "b", "c"}, {"a", "b"})
    assert sorted(train + val, key=lambda s: s.file) == sorted(whole.samples, key=lambda s: s.file)


def test_the_order_on_disk_and_another_class_do_not_matter_and_the_seed_does() -> None:
    whole = dataset(("a", 30, None), ("b", 30, None))
    shuffled = Dataset("set", tuple(Random(3).sample(whole.samples, 60)))
    assert split_samples(whole, seed=1) == split_samples(shuffled, seed=1)
    assert split_samples(whole, seed=1) != split_samples(whole, seed=2)

    two = split_samples(whole)[1]
    three = split_samples(dataset(("a", 30, None), ("b", 30, None), ("c", 30, None)))[1]
    assert two == [s for s in three if s.label != "c"]


def test_a_given_split_is_kept_and_test_is_used_by_neither() -> None:
    groups = [(label, count, split) for label in "ab" for count, split in
              ((5, "train"), (3, "val"), (4, "test"))]  # fmt: skip
    train, val = split_samples(dataset(*groups))
    assert sizes(train) == {"a": 5, "b": 5} and {s.split for s in train} == {"train"}
    assert sizes(val) == {"a": 3, "b": 3} and {s.split for s in val} == {"val"}


@pytest.mark.parametrize(
    ("given", "train", "val"),
    [
        ([(10, "train"), (4, "test")], 8, 2),  # no folder for validation: it is drawn
        ([(5, "train"), (3, "val"), (10, None)], 13, 5),  # images added without a split
    ],
)
def test_what_has_no_split_is_divided(
    given: list[tuple[int, str | None]], train: int, val: int
) -> None:
    whole = dataset(*((label, count, split) for label in "ab" for count, split in given))
    assert [sizes(side) for side in split_samples(whole)] == [dict.fromkeys("ab", train),
                                                              dict.fromkeys("ab", val)]  # fmt: skip


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([], "at least two classes in 'set'. Received 0"),
        ([("a", 9, None)], r"Received 1 \(a: 9\)"),
        ([("a", 9, None), ("b", 9, "test")], r"every class of 'set'. Received a: 7, b: 0"),
        ([("a", 9, "train"), ("b", 9, "val")], r"Received a: 9, b: 0"),
    ],
)
def test_what_cannot_be_learned_from(groups: list[tuple[str, int, str | None]], said: str) -> None:
    with pytest.raises(BadDataset, match=said):
        split_samples(dataset(*groups))


@pytest.mark.parametrize("name", ["train", "test_set", "seg_train", "Validation", "images_val"])
def test_a_class_with_the_name_of_a_split_is_not_learned(name: str) -> None:
    with pytest.raises(BadDataset, match=f"name of a split: {name}.*a folder for each class"):
        check_class_names(dataset((name, 9, None), ("b", 9, None)))


def test_what_has_no_label_is_in_neither_part() -> None:
    whole = dataset(("a", 9, None), ("b", 9, None), ("unlabelled", 9, None))
    assert whole.classes == ("a", "b")
    train, val = split_samples(whole)
    assert {sample.label for sample in (*train, *val)} == {"a", "b"}


def copies(folder: Path, names: dict[str, int]) -> Dataset:
    """Files in place by name, those of one number with the same bytes; all equally long."""
    for name, number in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"%09d" % number)
    return Dataset("set", tuple(
        Sample(name, folder / name, "", name.split("/")[-2],
               name.split("/")[0] if name.count("/") > 1 else None)
        for name in names
    ))  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_copies_stay_on_one_side_whatever_their_name_or_label(seed: int, tmp_path: Path) -> None:
    names = {f"{label}/{at}-{copy}.jpg": at + 100 * (label == "b")
             for label in "ab" for at in range(12) for copy in "xy"}  # fmt: skip
    names |= {f"b/of a {at}.jpg": at for at in range(4)}
    whole = copies(tmp_path, names)
    train, val = split_samples(whole, 0.3, seed)
    seen = [{names[sample.file] for sample in side} for side in (train, val)]
    assert not seen[0] & seen[1]
    assert len(train) + len(val) == len(names)
    assert {sample.label for sample in val} == {"a", "b"}


def test_a_copy_without_a_split_follows_the_one_that_has_one(tmp_path: Path) -> None:
    names = {f"{split}/{label}/{at}.jpg": at + 100 * (label == "b") + 10 * place
             for label in "ab" for place, split in enumerate(("train", "val", "test"))
             for at in range(4)}  # fmt: skip
    given = len(names)
    names |= {f"a/copy {number}.jpg": number for number in (0, 10, 110, 20, 120)}
    train, val = split_samples(copies(tmp_path, names), 0.5)
    assert [s.file for s in train if s.split is None] == ["a/copy 0.jpg"]
    assert [s.file for s in val if s.split is None] == ["a/copy 10.jpg", "a/copy 110.jpg"]
    assert len(train) + len(val) == given - 8 + 3  # copies of test images are held out with them


def test_a_class_keeps_its_share_where_copies_have_no_label() -> None:
    ants = [Sample(f"ants/{n}", Path(str(n)), f"ant {n}", "ants", None) for n in range(10)]
    zebras = [
        Sample(f"{label}/{n}", Path(str(n)), f"zebra {n}", label, None)
        for n in range(10)
        for label in ("zebras", "unlabelled")
    ]
    others = [Sample(f"{n}", Path(str(n)), f"other {n}", "unlabelled", None) for n in range(90)]
    samples = [*ants, *zebras, *others]
    for seed in range(5):
        parts = plan_splits(samples, SplitPlan(0.2, 0, seed))
        held_out = Counter(one.label for one in samples if parts.get(one.key) == "val")
        assert not [one for one in samples if one.label == "unlabelled" and one.key in parts]
        assert (held_out["ants"], held_out["zebras"]) == (2, 2)


def test_folds_are_even_in_every_class_and_in_size() -> None:
    labels = [0] * 600 + [1] * 480 + [2] * 360
    whole = [f"{place}" for place in range(len(labels))]
    fold = np.array(assign_folds(labels, whole, 5, 3))
    assert np.bincount(fold).tolist() == [288] * 5
    uneven = [label for label, count in enumerate((23, 7, 4, 9)) for _ in range(count)]
    fold = np.array(assign_folds(uneven, whole[: len(uneven)], 5, 3))
    assert np.ptp(np.bincount(fold)) <= 1
    for label in range(4):
        assert np.ptp(np.bincount(fold[np.array(uneven) == label], minlength=5)) <= 1
    assert assign_folds(uneven, whole[: len(uneven)], 5, 3) == fold.tolist()
    assert assign_folds(uneven, whole[: len(uneven)], 5, 4) != fold.tolist()


def test_folds_are_about_as_even_as_those_of_scikit_learn_and_part_no_copies() -> None:
    draw = Random(1)
    labels = draw.choices([0, 1, 2], [6, 3, 1], k=300)
    groups = [f"{draw.randrange(180)}" for _ in labels]
    fold = np.array(assign_folds(labels, groups, 5, 0))
    for group in set(groups):
        assert len({at for at, its in zip(fold, groups, strict=True) if its == group}) == 1
    theirs = np.zeros(300, int)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for number, (_, out) in enumerate(splitter.split(labels, labels, groups)):
        theirs[out] = number
    assert np.ptp(np.bincount(fold)) <= np.ptp(np.bincount(theirs)) + 1
    for label in range(3):
        of = np.array(labels) == label
        spread, reference = (np.ptp(np.bincount(each[of], minlength=5)) for each in (fold, theirs))
        assert spread <= reference + 1


def test_a_held_out_draw_has_the_classes_shares() -> None:
    whole = dataset(("a", 700, None), ("b", 400, None), ("c", 99, None), ("d", 1, None))
    drawn = draw_stratified(whole.samples, 500, 3)
    shares = {"a": 291.7, "b": 166.7, "c": 41.2, "d": 1}
    assert len(drawn) == 500
    assert all(abs(sizes(drawn)[label] - share) < 1 for label, share in shares.items())
    assert draw_stratified(Random(1).sample(whole.samples, 1200), 500, 3) == drawn
    assert draw_stratified(whole.samples, 500, 4) != drawn
    assert len(draw_stratified(whole.samples, 5000, 3)) == 1200
    assert draw_stratified(whole.samples, 0, 3) == []


def test_a_held_out_draw_parts_no_copies(tmp_path: Path) -> None:
    names = {f"{label}/{at}-{copy}.jpg": at + 100 * (label == "b")
             for label in "ab" for at in range(20) for copy in "xyz"}  # fmt: skip
    whole = copies(tmp_path, names)
    for seed in range(5):
        drawn = draw_stratified(whole.samples, 40, seed)
        assert len(drawn) == 39
        inside = {names[sample.file] for sample in drawn}
        assert sum(number in inside for number in names.values()) == 39


def test_subsets_hold_different_images_and_the_smaller_ones() -> None:
    labels = [0] * 30 + [1] * 20
    groups = [f"{place // 2}" for place in range(50)]
    assert count_groups(labels, groups) == {0: 15, 1: 10}
    small, large = (draw_subset(labels, groups, each, 7) for each in (4, 10))
    assert set(small) < set(large)
    assert len({groups[at] for at in large}) == 20
    assert sum(labels[at] for at in large) == 10
    assert draw_subset(labels, groups, 10, 8) != large


def test_shares_out_of_range() -> None:
    for fraction in (0.0, 1.0, -1.0):
        with pytest.raises(BadConfig, match="between 0 and 1"):
            split_samples(dataset(("a", 2, None), ("b", 2, None)), fraction)


def test_one_image_a_class_says_what_is_missing() -> None:
    train, val = split_samples(dataset(("a", 1, None), ("b", 1, None), ("10", 1, None)))
    with pytest.raises(BadDataset, match="Received none: 10, a, b have one image each"):
        check_splits(train, val)
