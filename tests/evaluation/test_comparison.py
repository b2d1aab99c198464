"""Two runs against each other: by hand, and beside SciPy's exact binomial test."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.stats import binomtest

from tests.evaluation.planted import make_predictions, select_rows
from tlcore.errors import RunError
from tlcore.evaluation.comparison import compare_runs, judge_counts, mcnemar
from tlcore.evaluation.split_predictions import SplitPredictions

A, B = [0.9, 0.1], [0.2, 0.8]  # answers that say class 0 and class 1


@pytest.mark.parametrize(("one", "other"), [(0, 1), (3, 9), (10, 2), (7, 7), (0, 12), (40, 61)])
def test_mcnemar_is_the_exact_binomial_test(one: int, other: int) -> None:
    assert mcnemar(one, other) == pytest.approx(binomtest(one, one + other).pvalue)


def newcombe(both: int, lost: int, gained: int, neither: int) -> tuple[float, float]:
    """Method 10 as the paper has it: the first less the second, turned round at the end."""
    n = both + lost + gained + neither
    (p1, l1, u1), (p2, l2, u2) = (
        (hits / n, *binomtest(hits, n).proportion_ci(0.95, method="wilson"))
        for hits in (both + lost, both + gained)
    )
    a = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    b = both * neither - lost * gained
    c = b - n / 2 if b > n / 2 else min(b, 0)
    phi = c / a**0.5 if a else 0.0
    low = p1 - p2 - ((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2) ** 0.5
    high = p1 - p2 + ((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2) ** 0.5
    return -high, -low


def test_sentence_interval_and_test_never_contradict_each_other() -> None:
    """All ways in which up to 14 of 7, 60 or 153 images change sides, beside SciPy's tests."""
    for images in (7, 60, 153):
        for changed in range(min(images, 14) + 1):
            for lost in range(changed + 1):
                neither = (images - changed) // 3
                counts = (images - changed - neither, lost, changed - lost, neither)
                comparison = judge_counts(*counts)
                p = binomtest(lost, changed).pvalue if changed else 1.0
                assert comparison.p == pytest.approx(p, rel=1e-9)
                outside = not comparison.low <= 0 <= comparison.high
                assert (comparison.verdict != "no clear change") == outside == (p < 0.05)
                assert outside == (comparison.sentence("it").find("neither clearly") < 0)
                low, high = newcombe(*counts)
                if changed:
                    exact = binomtest(changed - lost, changed).proportion_ci(method="exact")
                    low = min(low, (2 * exact.low - 1) * changed / images)
                    high = max(high, (2 * exact.high - 1) * changed / images)
                assert comparison.low == pytest.approx(low, abs=2e-4)
                assert comparison.high == pytest.approx(high, abs=2e-4)


def pair() -> tuple[SplitPredictions, SplitPredictions]:
    first = make_predictions([0, 0, 1, 1, 1], [A, B, A, A, B], "val", run="early")
    second = make_predictions([0, 0, 1, 1, 1], [A, A, B, A, A], "val", run="late")
    return first, second


def test_who_changed_sides() -> None:
    comparison = compare_runs(*pair(), None)
    assert [side.sample.file for side in comparison.gained] == ["001.jpg", "002.jpg"]
    assert [side.sample.file for side in comparison.lost] == ["004.jpg"]
    assert (comparison.difference.first.value, comparison.difference.second.value) == (0.4, 0.6)
    assert comparison.difference.value == pytest.approx(0.2)
    assert comparison.difference.p == 1.0
    assert comparison.sentence("“early”", "this run") == (
        "Of the same 5 images, which neither run learned from, “early” got 2 right and "
        "this run 3: 2 changed for the better, 1 for the worse. That is no clear change: "
        "it may well be chance (p = 1)."
    )
    side = comparison.lost[0]
    assert (side.before, side.after, side.sample.label) == ("class 1", "class 0", "class 1")


def test_the_present_label_judges_both() -> None:
    """Image 3, labelled 1 by mistake, is relabelled 0: both had been right all along."""
    first, second = pair()
    now = {s.sha256: s.label for s in first.samples} | {first.samples[3].sha256: "class 0"}
    comparison = compare_runs(first, second, now)
    assert (comparison.difference.first.value, comparison.difference.second.value) == (0.6, 0.8)
    assert comparison.relabelled == 1
    del now[first.samples[0].sha256]
    comparison = compare_runs(first, second, now)
    assert (comparison.images, comparison.left_out) == (4, 1)


def test_runs_divided_differently_meet_on_what_they_share() -> None:
    first, second = pair()
    comparison = compare_runs(select_rows(first, 0, 1, 2), select_rows(second, 1, 2, 3, 4), None)
    assert (comparison.images, comparison.left_out) == (2, 3)
    with pytest.raises(RunError, match="divide their images differently"):
        compare_runs(select_rows(first, 0), select_rows(second, 1), None)


def test_classes_meet_by_name_in_whatever_order() -> None:
    first, second = pair()
    turned = replace(
        second,
        classes=second.classes[::-1],
        labels=1 - second.labels,
        logits=second.logits[:, ::-1],
    )
    assert (
        compare_runs(first, turned, None).difference == compare_runs(first, second, None).difference
    )


def test_a_clear_change_is_called_one() -> None:
    labels = [0, 1] * 12
    wrong = make_predictions(labels, [B, A] * 12, run="early")
    right = make_predictions(labels, [A, B] * 12, run="late")
    assert "better by more than chance" in compare_runs(wrong, right, None).sentence("a", "b")
    assert "worse by more than chance" in compare_runs(right, wrong, None).sentence("a", "b")
    assert "No image changed sides" in compare_runs(right, right, None).sentence("a", "b")
