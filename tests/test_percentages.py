"""One rounding of percentages: what a count may say and a probability may not."""

from __future__ import annotations

import pytest

from tlcore.evaluation.intervals import proportion_of
from tlcore.percentages import bounds, percent, points, probability, signed_points


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (1.0, "100%"),
        (0.9999, ">99%"),
        (0.994, "99%"),
        (0.5, "50%"),
        (0.1, "10%"),
        (0.0996, "10%"),
        (0.0994, "9.9%"),
        (0.032, "3.2%"),
        (0.001, "0.1%"),
        (0.0004, "<0.1%"),
        (0.0, "0%"),
    ],
)
def test_a_counted_share(share: float, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (1.0, 0, ">99%"), (0.9951, 0, ">99%"), (0.0, 0, "<0.1%"), (0.94, 0, "94%"),
        (1.0, 2, ">99.99%"), (0.99996, 2, ">99.99%"), (0.99984, 2, "99.98%"), (0.5, 2, "50.00%"),
        (0.0, 2, "<0.01%"), (0.9996, 1, ">99.9%"), (0.967, 1, "96.7%"),
    ],
)  # fmt: skip
def test_a_probability_is_never_all_or_nothing(value: float, digits: int, shown: str) -> None:
    assert probability(value, digits) == shown


@pytest.mark.parametrize("digits", [0, 1, 2])
def test_only_a_whole_count_reads_as_100(digits: int) -> None:
    for share in (1 - 10.0**-power for power in range(1, 15)):
        assert not percent(share, digits).startswith("100")
        assert not probability(share, digits).startswith("100")
    assert percent(1.0, digits) == "100%"


def test_differences_are_points() -> None:
    assert [points(value) for value in (0.32, 0.034, 0.9999, 0.0)] == [
        "32 points", "3.4 points", ">99 points", "0 points",
    ]  # fmt: skip
    assert signed_points(0.0333) == "+3.3 points"
    assert signed_points(-0.0071) == "−0.7 points"
    assert signed_points(-0.0001) == "0.0 points"


def test_an_interval_never_reads_as_one_value() -> None:
    """4,999 of 5,000 are not "between 100% and 100%"."""
    assert bounds(0.897, 0.9731) == "90–97"
    assert bounds(0.9989, 0.99996) == "99.9–100.0"
    assert bounds(0.0, 0.0008) == "0.0–0.1"
    assert proportion_of(4999, 5000).short_text == ">99% (99.9–100.0)"
