"""Too few and too uneven, with the number that would be enough."""

from __future__ import annotations

import pytest

from tlcore.datasets.quality import find_small_classes


@pytest.mark.parametrize("counts", [{}, {"a": 20}, {"a": 60, "b": 20}, {"a": 1000, "b": 334}])
def test_enough(counts: dict[str, int]) -> None:
    assert find_small_classes(counts) == ()


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
    [short] = find_small_classes(counts)
    assert (short.label, short.images, short.recommended) == (label, counts[label], enough)
    assert str(enough) in short.message
    assert find_small_classes(counts | {label: enough}) == ()


def test_the_smallest_comes_first() -> None:
    assert [short.label for short in find_small_classes({"a": 9, "b": 2, "c": 50})] == ["b", "a"]
