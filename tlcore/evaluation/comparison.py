"""Comparison of two models on the same images, always paired: one verdict for every difference.

Test: Q. McNemar, Psychometrika 12, 1947, in its exact form. Interval: Newcombe's method 10 leaves
out 0 for some counts that the exact test calls chance, as 4 gained and none lost of 6 (p = 0.125).
At each end the wider of it and the interval of the exact test counts: Clopper and Pearson's of the
share gained among the images that changed, times their share of all. The interval then leaves out
0 exactly where there is a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import compress

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
from tlcore.evaluation.split_predictions import SplitPredictions
from tlcore.percentages import signed, signed_points
from tlcore.text import plural
from tlcore.training.run import RunInfo
from tlcore.training.store import Predictions, load_model_predictions, load_stage_predictions

CHANCE = 0.05  # p below which a difference is called more than chance

Labels = Mapping[str, str]  # sha256 → the present label; excluded images are not in it
Correctness = npt.NDArray[np.bool_]  # (n,) whether each image is classified correctly


class Verdict(StrEnum):
    """A second model beside a first, on the same images."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "no clear change"


@dataclass(frozen=True)
class Difference:
    """The accuracy of a second model less that of a first, on the same images."""

    first: Proportion
    second: Proportion
    gained: int  # images that only the second classifies correctly
    lost: int  # images that only the first classifies correctly
    value: float  # second − first, −1…1
    low: float  # 95% interval; leaves out 0 exactly where the verdict is clear
    high: float
    p: float  # McNemar's exact two-sided p, 0…1
    verdict: Verdict

    @property
    def text(self) -> str:
        """The difference with its interval: "+3.3 points, 95% interval −1.2 to +7.9"."""
        interval = f"{signed(self.low)} to {signed(self.high)}"
        return f"{signed_points(self.value)}, 95% interval {interval}"

    @property
    def p_text(self) -> str:
        """The p as "p = 0.013"; three figures, so that 0.0497 does not read as 0.05."""
        return "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3g}"

    def sentence(self, name: str) -> str:
        """Return a sentence on the second model beside a first of this name."""
        is_clear = self.verdict is not Verdict.UNCLEAR
        verdict = self.verdict if is_clear else "neither clearly better nor clearly worse"
        return (
            f"It is {verdict} than {name}: {self.second.count:,} right against "
            f"{self.first.count:,} of the same {plural(self.second.images, 'image')} ({self.text})."
        )


@dataclass(frozen=True)
class ChangedPrediction:
    """An image that only one of two runs classifies correctly."""

    sample: Sample  # with the label by which both are evaluated
    before: str  # class predicted by the first run
    after: str  # class predicted by the second run
    confidence: float  # probability of the second run's prediction, 0…1


@dataclass(frozen=True)
class RunComparison:
    """The second run beside the first, on images that neither learned from."""

    images: int  # evaluated by both
    left_out: int  # evaluated by one of them only, or excluded since
    relabelled: int  # whose label has changed since the first run
    difference: Difference  # of the second run to the first
    gained: tuple[ChangedPrediction, ...]  # wrong before, right after; most confident first
    lost: tuple[ChangedPrediction, ...]  # right before, wrong after; most confident first

    def sentence(self, first: str, second: str) -> str:
        """Return the comparison for somebody who has to decide; both runs by their names."""
        change = self.difference
        counts = (
            f"Of the same {plural(self.images, 'image')}, which neither run learned from, "
            f"{first} got {change.first.count:,} right and {second} {change.second.count:,}: "
            f"{change.gained:,} changed for the better, {change.lost:,} for the worse."
        )
        if not change.gained and not change.lost:
            return f"{counts} No image changed sides."
        if change.verdict is Verdict.UNCLEAR:
            return f"{counts} That is no clear change: it may well be chance ({change.p_text})."
        return (
            f"{counts} That is {change.verdict} by more than chance would explain "
            f"({change.p_text})."
        )


def judge_difference(first: Correctness, second: Correctness) -> Difference:
    """Compare a second model with a first.

    Args:
        first: (n,) whether the first model classifies each image correctly, at least one image.
        second: (n,) the same of the second model, in the same order.
    """
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    return judge_counts(both, int((first & ~second).sum()), int((~first & second).sum()), neither)


def judge_counts(both: int, lost: int, gained: int, neither: int) -> Difference:
    """Compare as ``judge_difference`` does, by counts of images, at least one in all."""
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
        first=proportion_of(both + lost, images),
        second=proportion_of(both + gained, images),
        gained=gained,
        lost=lost,
        value=(gained - lost) / images,
        low=low,
        high=high,
        p=p,
        verdict=better if clear else Verdict.UNCLEAR,
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p, 0…1, of so many images that only one model gets right."""
    return min(1.0, 2 * binomial_tail(max(only_first, only_second), only_first + only_second, 0.5))


def compare_stages(info: RunInfo) -> Difference | None:
    """Compare the fine-tuned model of a run with its head alone, on the validation images.

    None where there was one stage only, and for runs without stored predictions of each stage.
    """
    head, tuned = (load_stage_predictions(info.folder, each) for each in ("head", "fine-tune"))
    return _compare_stored(head, tuned)


def compare_validation(first: RunInfo, second: RunInfo) -> Difference | None:
    """Compare two runs on the validation images of both, as predicted when they ended.

    None for runs that share no such image, or have not stored their predictions.
    """
    return _compare_stored(load_model_predictions(first), load_model_predictions(second))


def compare_runs(
    first: SplitPredictions, second: SplitPredictions, labels: Labels | None
) -> RunComparison:
    """Compare two runs on the images that both predicted.

    Args:
        first: one run's predictions of one split.
        second: the other run's predictions of the same split.
        labels: today's labels of the dataset, by which both are evaluated; None where the dataset
            is gone: then the labels of the second run.

    Raises:
        RunError: the runs share no image.
    """
    if labels is None:
        labels = {sample.sha256: sample.label for sample in second.samples}
    earlier, later = (
        {sample.sha256: index for index, sample in reversed(list(enumerate(run.samples)))}
        for run in (first, second)
    )  # of copies the first
    changes = [
        ChangedPrediction(
            sample=replace(second.samples[index], label=labels[sha256]),
            before=first.classes[first.predicted[earlier[sha256]]],
            after=second.classes[second.predicted[index]],
            confidence=float(second.confidence[index]),
        )
        for sha256, index in later.items()
        if sha256 in earlier and sha256 in labels
    ]
    if not changes:
        raise RunError(
            "No image evaluates both runs: they divide their images differently. Assign splits "
            "on the Upload page, once for all runs, and train again."
        )
    changes.sort(key=lambda change: (-change.confidence, change.sample.file))
    was_correct = np.array([change.before == change.sample.label for change in changes], np.bool_)
    is_correct = np.array([change.after == change.sample.label for change in changes], np.bool_)
    old_labels = {sample.sha256: sample.label for sample in reversed(first.samples)}
    return RunComparison(
        images=len(changes),
        left_out=len(earlier.keys() | later.keys()) - len(changes),
        relabelled=sum(old_labels[each.sample.sha256] != each.sample.label for each in changes),
        difference=judge_difference(was_correct, is_correct),
        gained=tuple(compress(changes, is_correct & ~was_correct)),
        lost=tuple(compress(changes, was_correct & ~is_correct)),
    )


def _compare_stored(first: Predictions, second: Predictions) -> Difference | None:
    common = [sha256 for sha256 in second if sha256 in first]
    was_correct, is_correct = (
        np.array([run[sha256][0] == run[sha256][1] for sha256 in common], np.bool_)
        for run in (first, second)
    )
    return judge_difference(was_correct, is_correct) if common else None
