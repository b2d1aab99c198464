"""The one verdict on a difference: two models judged by the same images, always paired.

It is used for a run beside its baselines, the head alone beside the fine-tuned model, and a run
beside another run.

Test: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
percentages", Psychometrika 12, 1947, in its exact form: if neither model were better, each image
that only one of them gets right would fall to either side like a tossed coin.

Interval: Newcombe's method 10 (see ``intervals``) leaves out 0 for some counts that the exact test
calls chance, as 4 gained and none lost of 6 (p = 0.125). It is therefore joined with the interval
that belongs to that test: Clopper and Pearson's of the share gained among the images that changed
sides, times their share of all. At each end the wider of both counts, so that the interval leaves
out 0 exactly where there is a verdict, and covers no less than either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.errors import RunError
from tlcore.evaluation.intervals import (
    Proportion,
    binomial_tail,
    clopper_pearson,
    paired_difference,
    proportion_of,
)
from tlcore.evaluation.judged import SplitPredictions
from tlcore.percentages import signed, signed_points
from tlcore.text import count
from tlcore.training.run import RunInfo
from tlcore.training.stage_predictions import (
    Predictions,
    load_model_predictions,
    load_stage_predictions,
)

CHANCE = 0.05  # p below which a difference is called more than chance

Labels = Mapping[str, str]  # sha256 → the present label; what is excluded is not in it
Correctness = npt.NDArray[np.bool_]  # (n,) whether each image was answered rightly


class Verdict(StrEnum):
    """What the same images say of a second model beside a first."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "no clear change"


@dataclass(frozen=True)
class Difference:
    """The accuracy of a second model less that of a first, on the same images."""

    first: Proportion
    second: Proportion
    gained: int  # images that the second alone gets right
    lost: int  # images that the first alone gets right
    value: float  # second − first, −1…1
    low: float  # 95% interval; leaves out 0 exactly where the verdict is clear
    high: float
    p: float  # McNemar's exact two-sided p, 0…1
    verdict: Verdict

    @property
    def text(self) -> str:
        """Return it with its doubt: "+3.3 points, 95% interval −1.2 to +7.9"."""
        interval = f"{signed(self.low)} to {signed(self.high)}"
        return f"{signed_points(self.value)}, 95% interval {interval}"

    @property
    def p_text(self) -> str:
        """Return "p = 0.013"; three figures, so that 0.0497 does not read as 0.05."""
        return "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3g}"

    def sentence(self, name: str) -> str:
        """Return a sentence on the second model beside a first of this name."""
        clause = {
            Verdict.BETTER: f"better than {name}",
            Verdict.WORSE: f"worse than {name}",
            Verdict.UNCLEAR: f"neither clearly better nor clearly worse than {name}",
        }[self.verdict]
        return (
            f"It is {clause}: {self.second.count:,} right against {self.first.count:,} of the "
            f"same {count(self.second.images, 'image')} ({self.text})."
        )


@dataclass(frozen=True)
class ChangedPrediction:
    """An image that only one of two runs gets right."""

    sample: Sample  # with the label by which both are judged
    before: str  # what the first run says
    after: str  # what the second run says
    confidence: float  # probability that the second run gives its own answer, 0…1


@dataclass(frozen=True)
class RunComparison:
    """The second run measured by the first, on images that neither learned from."""

    first: str  # the runs' ids
    second: str
    split: str
    images: int  # judged by both
    left_out: int  # judged by one of them only, or excluded since
    relabelled: int  # whose label has changed since the first run
    difference: Difference  # of the second run beside the first
    gained: tuple[ChangedPrediction, ...]  # wrong before, right after; the surest first
    lost: tuple[ChangedPrediction, ...]  # right before, wrong after; the surest first

    @property
    def sentence(self) -> str:
        """What this says to somebody who has to decide."""
        change = self.difference
        counts = (
            f"Of the same {count(self.images, 'image')}, which neither run learned from, the "
            f"earlier one got {change.first.count:,} right and the later one "
            f"{change.second.count:,}: {change.gained:,} changed for the better, {change.lost:,} "
            "for the worse."
        )
        if not change.gained and not change.lost:
            return f"{counts} No image changed sides."
        if change.verdict is Verdict.UNCLEAR:
            return f"{counts} That is no clear change: it may well be chance ({change.p_text})."
        return (
            f"{counts} The later run is {change.verdict}, by more than chance would explain "
            f"({change.p_text})."
        )


def judge_difference(first: Correctness, second: Correctness) -> Difference:
    """Judge a second model beside a first by whether each got the same images right.

    Args:
        first: (n,) of the first model, at least one image.
        second: (n,) of the second model, in the same order.
    """
    both = int((first & second).sum())
    lost, gained = int((first & ~second).sum()), int((~first & second).sum())
    return judge_counts(both, lost, gained, len(first) - both - lost - gained)


def judge_counts(both: int, lost: int, gained: int, neither: int) -> Difference:
    """Judge as ``judge_difference`` does, by counts of images, at least one in all."""
    images, changed = both + lost + gained + neither, lost + gained
    low, high = paired_difference(both, lost, gained, neither)
    if changed:
        below, above = clopper_pearson(gained, changed)
        low = min(low, (2 * below - 1) * changed / images)
        high = max(high, (2 * above - 1) * changed / images)
    p = mcnemar(lost, gained)
    clear = p < CHANCE and not low <= 0 <= high
    better = Verdict.BETTER if gained > lost else Verdict.WORSE
    return Difference(
        proportion_of(both + lost, images), proportion_of(both + gained, images), gained, lost,
        (gained - lost) / images, low, high, p, better if clear else Verdict.UNCLEAR,
    )  # fmt: skip


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p of so many images that only one model got right, 0…1."""
    changed = only_first + only_second
    return min(1.0, 2 * binomial_tail(max(only_first, only_second), changed)) if changed else 1.0


def compare_stages(info: RunInfo) -> Difference | None:
    """Compare a run's model with its head alone, on the validation images of the run.

    None where there was one stage only, and for runs that have not kept what each predicted.
    """
    head, tuned = (load_stage_predictions(info.folder, stage) for stage in ("head", "fine-tune"))
    return _judge_predictions(head, tuned)


def compare_validation(first: RunInfo, second: RunInfo) -> Difference | None:
    """Compare two runs by the validation images of both, as they predicted them when they ended.

    None for runs that have no such images in common, or have not kept what they predicted.
    """
    return _judge_predictions(*(load_model_predictions(info.folder) for info in (first, second)))


def _judge_predictions(first: Predictions, second: Predictions) -> Difference | None:
    common = [sha256 for sha256 in second if sha256 in first]
    if not common:
        return None
    before, after = (
        np.array([label == answer for label, answer in map(model.__getitem__, common)], np.bool_)
        for model in (first, second)
    )
    return judge_difference(before, after)


def compare_runs(
    first: SplitPredictions, second: SplitPredictions, now: Labels | None
) -> RunComparison:
    """Compare two runs on the images that judged both.

    Args:
        first: the earlier run's answers on its part.
        second: the later run's answers on its part of the same name.
        now: the set as it stands; both are judged by it. None where the set is gone: then by the
            labels of the later run.

    Raises:
        RunError: no image judged both.
    """
    labels = now if now is not None else {s.sha256: s.label for s in second.samples}
    places = _places(first), _places(second)
    common = [sha for sha in places[1] if sha in places[0] and sha in labels]
    if not common:
        raise RunError(
            "No image judged both runs: they divide their images differently. Divide the set "
            "on the Upload page, once for all runs, and run again."
        )
    rows = [_row(first, second, places[0][sha], places[1][sha], labels[sha]) for sha in common]
    was = np.array([before for _, before, _ in rows], np.bool_)
    is_ = np.array([after for _, _, after in rows], np.bool_)
    return RunComparison(
        first.run, second.run, second.split, len(rows),
        left_out=len(places[0].keys() | places[1].keys()) - len(rows),
        relabelled=sum(first.samples[places[0][sha]].label != labels[sha] for sha in common),
        difference=judge_difference(was, is_),
        gained=_surest_first([side for side, before, after in rows if after and not before]),
        lost=_surest_first([side for side, before, after in rows if before and not after]),
    )  # fmt: skip


def _places(judged: SplitPredictions) -> dict[str, int]:
    """Return where each image is; of copies the first."""
    places: dict[str, int] = {}
    for place, sample in enumerate(judged.samples):
        places.setdefault(sample.sha256, place)
    return places


def _row(
    first: SplitPredictions, second: SplitPredictions, before: int, after: int, label: str
) -> tuple[ChangedPrediction, bool, bool]:
    old = second.samples[after]
    sample = Sample(old.file, old.path, old.sha256, label, old.split)
    was = first.classes[first.predicted[before]]
    is_ = second.classes[second.predicted[after]]
    side = ChangedPrediction(sample, was, is_, float(second.confidence[after]))
    return side, was == label, is_ == label


def _surest_first(sides: list[ChangedPrediction]) -> tuple[ChangedPrediction, ...]:
    return tuple(sorted(sides, key=lambda side: (-side.confidence, side.sample.file)))
