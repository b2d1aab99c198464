"""How far a figure can be trusted: 95% intervals, all in closed form.

A share has E. B. Wilson's interval (JASA 22, 1927), which holds for few pictures and at 0 and 1.
From it come the interval of a mean of shares, by the method of variance estimates recovery
(G. Y. Zou, A. Donner, Statistics in Medicine 27, 2008), and that of the difference of two shares
of the same pictures (R. G. Newcombe, Statistics in Medicine 17, 1998, "Improved confidence
intervals for the difference between binomial proportions based on paired data", method 10).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.96  # of a 95% interval


@dataclass(frozen=True)
class Share:
    """A share of pictures with its doubt."""

    value: float  # 0…1
    low: float  # 95% interval
    high: float
    pictures: int  # among which it was counted

    @property
    def words(self) -> str:
        """Return it with its doubt: "94% (90–97, 153 pictures)"."""
        doubt = f"{self.low * 100:.0f}–{self.high * 100:.0f}"
        return f"{self.value:.0%} ({doubt}, {self.pictures:,} picture{'s' * (self.pictures != 1)})"


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share seen among ``count``, each of 0…1."""
    if count < 1:
        return 0.0, 1.0
    middle = share + Z**2 / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    scale = 1 + Z**2 / count
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def share_of(right: int, pictures: int) -> Share:
    """Return so many among so many pictures, at least one, as a share."""
    if not 0 <= right <= pictures or pictures < 1:
        raise ValueError(f"Expected 0 to {pictures} of at least one picture. Received {right}.")
    return Share(right / pictures, *wilson(right / pictures, pictures), pictures)


def mean_of(shares: Sequence[Share]) -> Share:
    """Return the plain mean of shares that were counted on different pictures, at least one."""
    middle = sum(share.value for share in shares) / len(shares)
    below = math.hypot(*(share.value - share.low for share in shares)) / len(shares)
    above = math.hypot(*(share.high - share.value for share in shares)) / len(shares)
    pictures = sum(share.pictures for share in shares)
    return Share(middle, max(0.0, middle - below), min(1.0, middle + above), pictures)


def paired_difference(both: int, only_first: int, only_second: int, neither: int) -> Share:
    """Return by how much the second of two shares of the same pictures is greater, −1…1.

    Args:
        both: pictures that both got right.
        only_first: pictures that the first alone got right.
        only_second: pictures that the second alone got right.
        neither: the others; at least one picture in all.
    """
    pictures = both + only_first + only_second + neither
    first = share_of(both + only_first, pictures)
    second = share_of(both + only_second, pictures)
    together = _correlation(both, only_first, only_second, neither)
    difference = second.value - first.value
    below = _joined(second.value - second.low, first.high - first.value, together)
    above = _joined(second.high - second.value, first.value - first.low, together)
    return Share(difference, max(-1.0, difference - below), min(1.0, difference + above), pictures)


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Return phi of the two answers, 0 where one of them never differs; continuity-corrected."""
    margins = (both + only_first) * (only_second + neither)
    margins *= (both + only_second) * (only_first + neither)
    if not margins:
        return 0.0
    cross = both * neither - only_first * only_second
    if cross > 0:
        cross = max(0, cross - (both + only_first + only_second + neither) // 2)
    return cross / math.sqrt(margins)


def _joined(one: float, other: float, together: float) -> float:
    return math.sqrt(max(0.0, one**2 + other**2 - 2 * together * one * other))
