"""Intervals: worked out by hand, taken from the paper, and counted in a simulation."""

from __future__ import annotations

import numpy as np
import pytest

from tlcore.evaluation.intervals import Share, mean_of, paired_difference, share_of, wilson


def test_wilson_on_half_of_a_hundred() -> None:
    """(p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n) with p = ½, n = 100, z = 1.96."""
    low, high = wilson(0.5, 100)
    assert low == pytest.approx(0.40383, abs=1e-5)
    assert high == pytest.approx(0.59617, abs=1e-5)


def test_wilson_never_leaves_what_is_possible() -> None:
    assert wilson(1.0, 10)[1] == 1.0
    assert wilson(0.0, 10)[0] == 0.0
    assert wilson(0.5, 0) == (0.0, 1.0)


def test_a_share_says_its_doubt() -> None:
    assert share_of(144, 153).words == "94% (89–97, 153 pictures)"
    assert share_of(1, 1).words == "100% (21–100, 1 picture)"


@pytest.mark.parametrize(("right", "pictures"), [(3, 2), (-1, 2), (0, 0)])
def test_a_share_of_nothing_is_refused(right: int, pictures: int) -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        share_of(right, pictures)


def test_the_mean_of_two_shares_by_hand() -> None:
    """Below: half of √(0.3² + 0.4²) = 0.25; above: half of √(0.03² + 0.04²) = 0.025."""
    found = mean_of([Share(0.9, 0.6, 0.93, 10), Share(0.5, 0.1, 0.54, 10)])
    assert found.value == pytest.approx(0.7)
    assert (found.low, found.high) == (pytest.approx(0.45), pytest.approx(0.725))


def test_a_paired_difference_as_newcombe_printed_it() -> None:
    """His example with 36, 12, 2 and 0 pairs, method 10: 0.20 (0.0569 to 0.3404)."""
    found = paired_difference(both=36, only_first=2, only_second=12, neither=0)
    assert found.value == pytest.approx(0.20)
    assert (found.low, found.high) == (
        pytest.approx(0.0569, abs=5e-5),
        pytest.approx(0.3404, abs=5e-5),
    )


def test_two_runs_that_never_differ_are_not_known_to_be_equal() -> None:
    found = paired_difference(both=20, only_first=0, only_second=0, neither=0)
    assert found.value == 0
    assert found.low < 0 < found.high


@pytest.mark.parametrize("seed", range(3))
def test_the_intervals_hold_what_they_promise(seed: int) -> None:
    """About 95 of 100 drawn experiments have the truth within."""
    draw = np.random.default_rng(seed)
    shares = np.array([0.7, 0.05, 0.15, 0.1])  # both, only first, only second, neither
    inside = mean_inside = 0
    for _ in range(1000):
        both, first, second, neither = draw.multinomial(60, shares).tolist()
        found = paired_difference(both, first, second, neither)
        inside += found.low <= 0.1 <= found.high
        recalls = [share_of(int(draw.binomial(n, p)), n) for n, p in ((30, 0.95), (12, 0.6))]
        mean = mean_of(recalls)
        mean_inside += mean.low <= 0.775 <= mean.high
    assert 920 <= inside <= 985
    assert 920 <= mean_inside <= 985
