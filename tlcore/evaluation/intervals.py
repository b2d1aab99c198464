"""95% intervals, all in closed form or by bisection: SciPy would slow the start of every page.

==========================  ========================================================================
Share of images             score interval: E. B. Wilson, JASA 22, 1927; it holds for few images and
                            at 0 and 1
Mean of shares              score interval with an effective number of images: E. L. Korn, B. I.
                            Graubard, Survey Methodology 24, 1998; and recovery of variance
                            estimates: G. Y. Zou, A. Donner, Statistics in Medicine 27, 2008
Difference, same images     hybrid score: R. G. Newcombe, Statistics in Medicine 17, 1998, pages
                            2635 to 2650, "Improved confidence intervals for the difference between
                            binomial proportions based on paired data", method 10
Difference, other images    hybrid score: the same volume, pages 873 to 890, method 10
Share of discordant images  exact: C. J. Clopper, E. S. Pearson, Biometrika 26, 1934
==========================  ========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from tlcore.percentages import bounds, percent
from tlcore.text import count

Z = 1.96  # of a 95% interval
TAIL = 0.025  # probability left out at each end
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Proportion:
    """A share of images with its doubt."""

    value: float  # 0…1
    low: float  # 95% interval
    high: float
    images: int  # among which it was counted

    @property
    def count(self) -> int:
        """How many images it is."""
        return round(self.value * self.images)

    @property
    def text(self) -> str:
        """Return it with its doubt: "94% (90–97, 153 images)"."""
        counted = count(self.images, "image")
        return f"{percent(self.value)} ({bounds(self.low, self.high)}, {counted})"

    @property
    def short_text(self) -> str:
        """Return it with its doubt alone: "94% (90–97)"."""
        return f"{percent(self.value)} ({bounds(self.low, self.high)})"


def wilson_interval(share: float, count: float, z: float = Z) -> Bounds:
    """Return the interval of a share seen among ``count``, each of 0…1.

    Args:
        share: 0…1.
        count: images; an effective number of them need not be whole.
        z: standard deviations on each side.
    """
    if count <= 0:
        return 0.0, 1.0
    middle = share + z**2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    low, high = (middle - half) / scale, (middle + half) / scale
    return max(0.0, low) if share > 0 else 0.0, min(1.0, high) if share < 1 else 1.0


def proportion_of(right: int, images: int) -> Proportion:
    """Return so many among so many images, at least one, as a share."""
    if not 0 <= right <= images or images < 1:
        raise ValueError(f"Expected 0 to {images} of at least one image. Received {right}.")
    return Proportion(right / images, *wilson_interval(right / images, images), images)


def mean_of(shares: Sequence[Proportion]) -> Proportion:
    """Return the plain mean of shares that were counted on different images, at least one.

    Of equally many images each, it is the share of all images, and has its interval. Else the
    wider of two at each end: the recovery of variance estimates alone is too narrow where many
    shares rest on few images (85% coverage for 120 shares of 3), the effective number alone
    where one share rests on few and differs (89% for 3, 40 and 200).
    """
    number = len(shares)
    value = math.fsum(share.value for share in shares) / number
    images = sum(share.images for share in shares)
    low, high = wilson_interval(value, number**2 / sum(1 / share.images for share in shares))
    if len({share.images for share in shares}) > 1:
        below = math.hypot(*(share.value - share.low for share in shares)) / number
        above = math.hypot(*(share.high - share.value for share in shares)) / number
        low, high = min(low, value - below), max(high, value + above)
    return Proportion(value, max(0.0, low), min(1.0, high), images)


def paired_difference(both: int, only_first: int, only_second: int, neither: int) -> Bounds:
    """Return Newcombe's interval of the second share less the first, of the same images, −1…1.

    Args:
        both: images that both got right.
        only_first: images that the first alone got right.
        only_second: images that the second alone got right.
        neither: the others; at least one image in all.
    """
    images = both + only_first + only_second + neither
    first, second = (
        proportion_of(both + only_first, images),
        proportion_of(both + only_second, images),
    )
    together = _correlation(both, only_first, only_second, neither)
    return _hybrid_score(first, second, together)


def independent_difference(first: Proportion, second: Proportion, z: float = Z) -> Bounds:
    """Return Newcombe's interval of the second share less the first, of other images, −1…1."""
    first, second = (
        Proportion(each.value, *wilson_interval(each.value, each.images, z), each.images)
        for each in (first, second)
    )
    return _hybrid_score(first, second, 0.0)


def deviations(tests: int) -> float:
    """Return how many standard deviations hold 95% of so many tests at a time (Bonferroni)."""
    return NormalDist().inv_cdf(1 - TAIL / tests)


def clopper_pearson(hits: int, trials: int) -> Bounds:
    """Return the exact interval of a share of which ``hits`` of ``trials`` were drawn, 0…1.

    It leaves out ½ exactly where the two-sided sign test has p below 0.05.
    """
    low = _crossing(hits, trials) if hits else 0.0
    high = 1 - _crossing(trials - hits, trials) if hits < trials else 1.0
    return low, high


def binomial_tail(hits: int, trials: int, share: float = 0.5) -> float:
    """Return the probability of ``hits`` or more of ``trials``, each with this share in 0…1."""
    return _tail(_ways(hits, trials), hits, trials, share)


def _crossing(hits: int, trials: int) -> float:
    """Return the share at which ``hits`` or more of ``trials`` have the probability TAIL."""
    ways = _ways(hits, trials)
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        below = _tail(ways, hits, trials, middle) < TAIL
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


def _ways(hits: int, trials: int) -> list[float]:
    """Return the logarithms of the binomial coefficients from ``hits`` on: none overflows."""
    whole = math.lgamma(trials + 1)
    return [
        whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) for k in range(hits, trials + 1)
    ]


def _tail(ways: Sequence[float], hits: int, trials: int, share: float) -> float:
    yes, no = math.log(share), math.log1p(-share)
    return math.fsum(
        math.exp(way + k * yes + (trials - k) * no) for k, way in enumerate(ways, start=hits)
    )


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Return phi of the two answers, 0 where one of them never differs; continuity-corrected."""
    margins = (both + only_first) * (only_second + neither)
    margins *= (both + only_second) * (only_first + neither)
    if not margins:
        return 0.0
    cross: float = both * neither - only_first * only_second
    if cross > 0:
        cross = max(0.0, cross - (both + only_first + only_second + neither) / 2)
    return cross / math.sqrt(margins)


def _hybrid_score(first: Proportion, second: Proportion, together: float) -> Bounds:
    difference = second.value - first.value
    below = _joined(second.value - second.low, first.high - first.value, together)
    above = _joined(second.high - second.value, first.value - first.low, together)
    return max(-1.0, difference - below), min(1.0, difference + above)


def _joined(one: float, other: float, together: float) -> float:
    return math.sqrt(max(0.0, one**2 + other**2 - 2 * together * one * other))
