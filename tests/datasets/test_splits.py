"""How a data set divides: kept where given, else by class, by seed and by nothing else."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.splits import split_samples
from tlcore.errors import BadConfig, BadDataset


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


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_both_sides_get_one_of_every_class_that_has_two(fraction: float, count: int) -> None:
    train, val = split_samples(dataset(("a", count, None), ("b", 2, None)), fraction)
    for side in (train, val):
        assert set(sizes(side)) == {"a", "b"}


@pytest.mark.parametrize("seed", range(5))
def test_every_sample_is_on_one_side(seed: int) -> None:
    whole = dataset(("a", 13, None), ("b", 8, None), ("c", 1, None))
    train, val = split_samples(whole, 0.3, seed)
    assert sorted(train + val, key=lambda s: s.file) == sorted(whole.samples, key=lambda s: s.file)


def test_the_order_on_disk_does_not_matter_and_the_seed_does() -> None:
    whole = dataset(("a", 30, None), ("b", 30, None))
    shuffled = Dataset("set", tuple(Random(3).sample(whole.samples, 60)))
    assert split_samples(whole, seed=1) == split_samples(shuffled, seed=1)
    assert split_samples(whole, seed=1) != split_samples(whole, seed=2)


def test_another_class_does_not_move_the_others() -> None:
    two = split_samples(dataset(("a", 30, None), ("b", 30, None)))[1]
    three = split_samples(dataset(("a", 30, None), ("b", 30, None), ("c", 30, None)))[1]
    assert two == [s for s in three if s.label != "c"]


def test_a_given_split_is_kept_and_test_is_used_by_neither() -> None:
    groups = [(label, count, split) for label in "ab" for count, split in
              ((5, "train"), (3, "val"), (4, "test"))]  # fmt: skip
    train, val = split_samples(dataset(*groups))
    assert sizes(train) == {"a": 5, "b": 5} and {s.split for s in train} == {"train"}
    assert sizes(val) == {"a": 3, "b": 3} and {s.split for s in val} == {"val"}


def test_without_a_val_folder_training_pictures_are_divided() -> None:
    groups = [(label, count, split) for label in "ab" for count, split in
              ((10, "train"), (4, "test"))]  # fmt: skip
    train, val = split_samples(dataset(*groups))
    assert (sizes(train), sizes(val)) == ({"a": 8, "b": 8}, {"a": 2, "b": 2})


def test_pictures_added_without_split_are_divided_beside_a_given_one() -> None:
    groups = [(label, count, split) for label in "ab" for count, split in
              ((5, "train"), (3, "val"), (10, None))]  # fmt: skip
    train, val = split_samples(dataset(*groups))
    assert (sizes(train), sizes(val)) == ({"a": 13, "b": 13}, {"a": 5, "b": 5})


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


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0])
def test_shares_out_of_range(fraction: float) -> None:
    with pytest.raises(BadConfig, match="between 0 and 1"):
        split_samples(dataset(("a", 2, None), ("b", 2, None)), fraction)
