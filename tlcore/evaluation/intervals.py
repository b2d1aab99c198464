"""95% intervals of proportions, in plain Python: SciPy would slow the first look at metrics.

One proportion: E. B. Wilson, JASA 22, 1927; exact: C. J. Clopper, E. S. Pearson, Biometrika 26,
1934. Mean of proportions: E. L. Korn, B. I. Graubard, Survey Methodology 24, 1998, joined with
G. Y. Zou, A. Donner, Statistics in Medicine 27, 2008. Difference of two: R. G. Newcombe, Statistics
in Medicine 17, 1998, method 10 of pages 2635–2650 (the same images) and 873–890 (other images).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from tlcore.percentages import bounds, percent
from tlcore.text import plural as count_text

Z = 1.96  # standard deviations on each side of a 95% interval
TAIL = 0.025  # probability left out at each end
PRECISION = 1e-12  # of an exact bound
Bounds = tuple[float, float]  # (low, high)


@dataclass(frozen=True)
class Proportion:
    """A share of images with its 95% interval."""

    value: float  # 0…1
    low: float  # 95% interval
    high: float
    images: int  # among which it was counted

    @property
    def count(self) -> int:
        """The number of images that the share stands for."""
        return round(self.value * self.images)

    @property
    def text(self) -> str:
        """The share with interval and number of images: "94% (90–97, 153 images)"."""
        return f"{self.short_text[:-1]}, {count_text(self.images, 'image')})"

    @property
    def short_text(self) -> str:
        """The share with its interval: "94% (90–97)"."""
        return f"{percent(self.value)} ({bounds(self.low, self.high)})"


def wilson_interval(share: float, count: float, z: float = Z) -> Bounds:
    """Return Wilson's score interval of a share of ``count`` images, each bound in 0…1.

    Args:
        share: 0…1.
        count: images; an effective number need not be whole. 0 gives (0, 1).
        z: standard deviations on each side.
    """
    if count <= 0:
        return 0.0, 1.0
    scale = 1 + z**2 / count
    middle = (share + z**2 / (2 * count)) / scale
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / scale
    low = max(0.0, middle - half) if share > 0 else 0.0
    high = min(1.0, middle + half) if share < 1 else 1.0
    return low, high


def proportion_of(count: int, images: int) -> Proportion:
    """Return ``count`` of ``images`` as a proportion. Raises ValueError without images."""
    if not 0 <= count <= images or images < 1:
        raise ValueError(f"Expected 0 to {images} of at least one image. Received {count}.")
    return Proportion(count / images, *wilson_interval(count / images, images), images)


def mean_of(shares: Sequence[Proportion]) -> Proportion:
    """Return the plain mean of at least one proportion, each counted on images of its own.

    Where all rest on equally many images, the interval is that of the share of all images. Else it
    is the wider of two at each end: the recovery of variance estimates alone is too narrow where
    many shares rest on few images (85% coverage for 120 shares of 3), the effective number alone
    where one share rests on few and differs (89% for 3, 40 and 200).
    """
    number = len(shares)
    value = math.fsum(share.value for share in shares) / number
    images = sum(share.images for share in shares)
    effective = number**2 / sum(1 / share.images for share in shares)
    low, high = wilson_interval(value, effective)
    if len({share.images for share in shares}) > 1:
        below = math.hypot(*(share.value - share.low for share in shares)) / number
        above = math.hypot(*(share.high - share.value for share in shares)) / number
        low, high = min(low, value - below), max(high, value + above)
    return Proportion(value, max(0.0, low), min(1.0, high), images)


def paired_difference(both: int, only_first: int, only_second: int, neither: int) -> Bounds:
    """Return Newcombe's interval of the second share less the first on the same images, −1…1.

    Args:
        both: images that both models classify correctly.
        only_first: images that only the first classifies correctly.
        only_second: images that only the second classifies correctly.
        neither: the other images; at least one image in all.
    """
    images = both + only_first + only_second + neither
    first = proportion_of(both + only_first, images)
    second = proportion_of(both + only_second, images)
    return _hybrid_score(first, second, _correlation(both, only_first, only_second, neither))


def independent_difference(first: Proportion, second: Proportion, tests: int = 1) -> Bounds:
    """Return Newcombe's interval of the second share less the first on other images, −1…1.

    Args:
        first: a share.
        second: a share of other images.
        tests: comparisons that hold together at 95% (Bonferroni).
    """
    z = NormalDist().inv_cdf(1 - TAIL / tests)
    wider_first, wider_second = (
        Proportion(each.value, *wilson_interval(each.value, each.images, z), each.images)
        for each in (first, second)
    )
    return _hybrid_score(wider_first, wider_second, correlation=0.0)


def clopper_pearson(hits: int, trials: int) -> Bounds:
    """Return the exact interval of a share of which ``hits`` of ``trials`` were drawn, 0…1.

    It leaves out ½ exactly where the two-sided sign test has p below 0.05.
    """
    return _exact_low(hits, trials), 1 - _exact_low(trials - hits, trials)


def binomial_tail(hits: int, trials: int, share: float) -> float:
    """Return the probability, 0…1, of at least ``hits`` of ``trials``.

    Args:
        hits: at least as many as are expected, so that each further one is less probable.
        trials: 0 or more.
        share: probability of each hit, above 0 and below 1.
    """
    ways = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
    term = math.exp(ways + hits * math.log(share) + (trials - hits) * math.log1p(-share))
    total = 0.0
    while total + term > total:
        total += term
        term *= (trials - hits) / (hits + 1) * share / (1 - share)
        hits += 1
    return total


def _exact_low(hits: int, trials: int) -> float:
    """Return the share at which the probability of at least ``hits`` is TAIL; 0 for no hits."""
    low, high = 0.0, hits / trials
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_tail(hits, trials, middle) < TAIL else (low, middle)
    return low


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Return phi, continuity-corrected; 0 where a model is always or never correct."""
    first, second = both + only_first, both + only_second
    images = first + only_second + neither
    margins = first * (images - first) * second * (images - second)
    cross: float = both * neither - only_first * only_second
    if cross > 0:
        cross = max(0.0, cross - images / 2)
    return cross / math.sqrt(margins) if margins else 0.0


def _hybrid_score(first: Proportion, second: Proportion, correlation: float) -> Bounds:
    def combine(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 + other**2 - 2 * correlation * one * other))

    difference = second.value - first.value
    below = combine(second.value - second.low, first.high - first.value)
    above = combine(second.high - second.value, first.value - first.low)
    return max(-1.0, difference - below), min(1.0, difference + above)
