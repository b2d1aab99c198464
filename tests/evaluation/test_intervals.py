"""Intervals: worked out by hand, taken from the paper, and counted in a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tlcore.evaluation.intervals import (
    clopper_pearson,
    independent_difference,
    mean_of,
    paired_difference,
    proportion_of,
    wilson_interval,
)


def test_wilson_never_leaves_what_is_possible() -> None:
    assert wilson_interval(1.0, 10)[1] == 1.0
    assert wilson_interval(0.0, 10)[0] == 0.0
    assert wilson_interval(0.5, 0) == (0.0, 1.0)


def test_a_share_says_its_doubt() -> None:
    assert proportion_of(144, 153).text == "94% (89–97, 153 images)"
    assert proportion_of(1, 1).text == "100% (21–100, 1 image)"


@pytest.mark.parametrize(("right", "images"), [(3, 2), (-1, 2), (0, 0)])
def test_a_share_of_nothing_is_refused(right: int, images: int) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        proportion_of(right, images)


def test_of_equally_many_images_a_class_the_mean_is_the_accuracy() -> None:
    """340 of 360, as 120 classes of 3: the interval of balanced accuracy is that of accuracy."""
    shares = [proportion_of(3, 3)] * 104 + [proportion_of(2, 3)] * 12 + [proportion_of(1, 3)] * 4
    share, accuracy = mean_of(shares), proportion_of(340, 360)
    expected = (accuracy.value, accuracy.low, accuracy.high)
    assert (share.value, share.low, share.high) == pytest.approx(expected)


def test_the_mean_of_two_unequal_shares_by_hand() -> None:
    """Effective number of images: 4 / (1/10 + 1/40) = 32; the wider of both at each end."""
    one, other = proportion_of(9, 10), proportion_of(20, 40)
    share = mean_of([one, other])
    assert share.value == pytest.approx(0.7)
    low, high = wilson_interval(0.7, 32)
    below = np.hypot(0.9 - one.low, 0.5 - other.low) / 2
    above = np.hypot(one.high - 0.9, other.high - 0.5) / 2
    assert share.low == pytest.approx(min(low, 0.7 - below))
    assert share.high == pytest.approx(max(high, 0.7 + above))


@pytest.mark.parametrize(
    ("images", "recalls"),
    [
        ((3,) * 120, (0.96,) * 120),
        ((3,) * 120, tuple(np.linspace(0.6, 1, 120))),
        ((4,) * 5, (0.9,) * 5),
        ((4,) * 5, (0.5, 0.7, 0.9, 0.95, 1.0)),
        ((20,) * 5, (0.95,) * 5),
        ((20,) * 5, (0.8, 0.9, 0.95, 0.98, 1.0)),
        ((60, 60), (0.9, 0.97)),
        ((60, 6), (0.97, 0.8)),
        ((300, 15), (0.97, 0.8)),
        ((3, 40, 200), (0.6, 0.9, 0.99)),
        ((1, 2, 3) * 40, (0.9,) * 120),
    ],
)
def test_the_interval_of_balanced_accuracy_covers(
    images: tuple[int, ...], recalls: tuple[float, ...]
) -> None:
    draw, truth, inside = np.random.default_rng(1), np.mean(recalls), 0
    for right in draw.binomial(images, recalls, (1500, len(images))).tolist():
        share = mean_of([proportion_of(*each) for each in zip(right, images, strict=True)])
        inside += share.low <= truth + 1e-9 and share.high >= truth - 1e-9
    assert inside / 1500 >= 0.93


@pytest.mark.parametrize(("hits", "trials"), [(0, 5), (5, 5), (2, 14), (7, 8), (30, 61), (2, 900)])
def test_the_exact_interval_is_scipys(hits: int, trials: int) -> None:
    exact = binomtest(hits, trials).proportion_ci(0.95, method="exact")
    assert clopper_pearson(hits, trials) == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize(("right", "images"), [(144, 153), (0, 7), (7, 7), (1, 400)])
def test_the_interval_of_a_share_is_scipys(right: int, images: int) -> None:
    """SciPy's has 1.95996 standard deviations, this one 1.96."""
    score = binomtest(right, images).proportion_ci(0.95, method="wilson")
    share = proportion_of(right, images)
    assert (share.low, share.high) == pytest.approx((score.low, score.high), abs=2e-5)


def test_differences_as_they_were_printed() -> None:
    """Newcombe's example (a), 56 of 70 against 48 of 80, method 10: 0.20 (0.0524 to 0.3339); his
    36, 12, 2 and 0 pairs: 0.20 (0.0569 to 0.3404). Bentur et al. (2009), 1, 1, 7 and 12 pairs:
    −0.507 to −0.026, by Fagerland et al. (2014)."""
    others = independent_difference(proportion_of(48, 80), proportion_of(56, 70))
    assert others == pytest.approx((0.0524, 0.3339), abs=5e-5)
    pairs = paired_difference(both=36, only_first=2, only_second=12, neither=0)
    assert pairs == pytest.approx((0.0569, 0.3404), abs=5e-5)
    children = paired_difference(both=1, only_first=7, only_second=1, neither=12)
    assert children == pytest.approx((-0.507, -0.026), abs=5e-4)


def test_two_runs_that_never_differ_are_not_known_to_be_equal() -> None:
    low, high = paired_difference(both=20, only_first=0, only_second=0, neither=0)
    assert low < 0 < high


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.full) for n in (1, 2))])
def test_the_intervals_hold_what_they_promise(seed: int) -> None:
    """About 95 of 100 drawn experiments have the truth within."""
    draw = np.random.default_rng(seed)
    shares = np.array([0.7, 0.05, 0.15, 0.1])  # both, only first, only second, neither
    inside = mean_inside = 0
    for _ in range(1000):
        both, first, second, neither = draw.multinomial(60, shares).tolist()
        low, high = paired_difference(both, first, second, neither)
        inside += low <= 0.1 <= high
        recalls = [proportion_of(int(draw.binomial(n, p)), n) for n, p in ((30, 0.95), (12, 0.6))]
        mean = mean_of(recalls)
        mean_inside += mean.low <= 0.775 <= mean.high
    assert 920 <= inside <= 985
    assert 920 <= mean_inside <= 985
