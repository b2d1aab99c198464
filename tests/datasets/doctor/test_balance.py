"""Too few and too uneven, with the number that would be enough."""

from __future__ import annotations

import pytest

from tlcore.datasets.quality import shortages


@pytest.mark.parametrize("counts", [{}, {"a": 20}, {"a": 60, "b": 20}, {"a": 1000, "b": 334}])
def test_enough(counts: dict[str, int]) -> None:
    assert shortages(counts) == ()


@pytest.mark.parametrize(
    ("counts", "label", "enough"),
    [
        ({"a": 4, "b": 30}, "a", 20),
        ({"a": 19, "b": 30}, "a", 20),
        ({"a": 100, "b": 20}, "b", 34),
        ({"a": 1000, "b": 333}, "b", 334),
    ],
)
def test_too_few(counts: dict[str, int], label: str, enough: int) -> None:
    [short] = shortages(counts)
    assert (short.label, short.have, short.enough) == (label, counts[label], enough)
    assert str(enough) in short.words
    assert shortages(counts | {label: enough}) == ()


def test_the_smallest_comes_first() -> None:
    assert [short.label for short in shortages({"a": 9, "b": 2, "c": 50})] == ["b", "a"]
