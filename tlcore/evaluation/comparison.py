"""Two runs against each other on the same pictures: what changed sides, and is it more than luck?

Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
percentages", Psychometrika 12, 1947, in its exact form: if neither run were better, each picture
that only one of them gets right would fall to either side like a tossed coin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tlcore.datasets.dataset import Sample
from tlcore.errors import RunError
from tlcore.evaluation.intervals import Share, paired_difference, share_of
from tlcore.evaluation.judged import Judged

CHANCE = 0.05  # below it a difference is called more than chance

Labels = Mapping[str, str]  # sha256 → the present label; what is excluded is not in it


@dataclass(frozen=True)
class Side:
    """A picture that only one of two runs gets right."""

    sample: Sample  # with the label by which both are judged
    before: str  # what the first run says
    after: str  # what the second run says
    sure: float  # probability that the second run gives its own answer, 0…1


@dataclass(frozen=True)
class Versus:
    """The second run measured by the first, on pictures that neither learned from."""

    first: str  # the runs' ids
    second: str
    part: str
    pictures: int  # judged by both
    left_out: int  # judged by one of them only, or excluded since
    relabelled: int  # whose label has changed since the first run
    before: Share  # accuracy of the first run
    after: Share  # accuracy of the second run
    difference: Share  # after − before, −1…1, with its 95% interval
    gained: tuple[Side, ...]  # wrong before, right after; the surest first
    lost: tuple[Side, ...]  # right before, wrong after; the surest first
    p: float  # McNemar's exact two-sided p, 0…1

    @property
    def sentence(self) -> str:
        """What this says to somebody who has to decide."""
        counts = (
            f"Of the same {self.pictures:,} pictures, which neither run learned from, the earlier "
            f"one got {_right(self.before):,} right and the later one {_right(self.after):,}: "
            f"{len(self.gained):,} changed for the better, {len(self.lost):,} for the worse."
        )
        return f"{counts} {self._verdict}"

    @property
    def _verdict(self) -> str:
        if not self.gained and not self.lost:
            return "No picture changed sides."
        if self.p >= CHANCE:
            return f"That much could well be chance (p = {self.p:.2g})."
        better = "better" if len(self.gained) > len(self.lost) else "worse"
        return f"The later run is {better}, by more than chance would explain (p = {self.p:.2g})."


def versus(first: Judged, second: Judged, now: Labels | None) -> Versus:
    """Compare two runs on the pictures that judged both.

    Args:
        first: the earlier run's answers on its part.
        second: the later run's answers on its part of the same name.
        now: the set as it stands; both are judged by it. None where the set is gone: then by the
            labels of the later run.

    Raises:
        RunError: no picture judged both.
    """
    labels = now if now is not None else {s.sha256: s.label for s in second.samples}
    places = _places(first), _places(second)
    common = [sha for sha in places[1] if sha in places[0] and sha in labels]
    if not common:
        raise RunError(
            "Expected pictures that judged both runs. Received none: they divide their pictures "
            "differently. Divide the set on the Upload page, once for all runs, and run again."
        )
    rows = [_row(first, second, places[0][sha], places[1][sha], labels[sha]) for sha in common]
    gained = [side for side, was, is_ in rows if is_ and not was]
    lost = [side for side, was, is_ in rows if was and not is_]
    both = sum(was and is_ for _, was, is_ in rows)
    neither = len(rows) - both - len(gained) - len(lost)
    return Versus(
        first.run, second.run, second.part, len(rows),
        left_out=len(places[0].keys() | places[1].keys()) - len(rows),
        relabelled=sum(first.samples[places[0][sha]].label != labels[sha] for sha in common),
        before=share_of(both + len(lost), len(rows)),
        after=share_of(both + len(gained), len(rows)),
        difference=paired_difference(both, len(lost), len(gained), neither),
        gained=_surest_first(gained),
        lost=_surest_first(lost),
        p=mcnemar(len(lost), len(gained)),
    )  # fmt: skip


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p of so many pictures that only one run got right, 0…1."""
    number = only_first + only_second
    tail = sum(math.comb(number, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**number)


def _places(judged: Judged) -> dict[str, int]:
    """Return where each picture is; of copies the first."""
    found: dict[str, int] = {}
    for place, sample in enumerate(judged.samples):
        found.setdefault(sample.sha256, place)
    return found


def _row(
    first: Judged, second: Judged, before: int, after: int, label: str
) -> tuple[Side, bool, bool]:
    old = second.samples[after]
    sample = Sample(old.file, old.path, old.sha256, label, old.split)
    was = first.classes[first.answers[before]]
    is_ = second.classes[second.answers[after]]
    side = Side(sample, was, is_, float(second.confidence[after]))
    return side, was == label, is_ == label


def _surest_first(sides: list[Side]) -> tuple[Side, ...]:
    return tuple(sorted(sides, key=lambda side: (-side.sure, side.sample.file)))


def _right(share: Share) -> int:
    return round(share.value * share.pictures)
