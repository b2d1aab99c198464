"""Two runs against each other: by hand, and beside SciPy's exact binomial test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from tests.evaluation.planted import judged
from tlcore.errors import RunError
from tlcore.evaluation.comparison import mcnemar, versus
from tlcore.evaluation.judged import Judged

A, B = [0.9, 0.1], [0.2, 0.8]  # answers that say class 0 and class 1


@pytest.mark.parametrize(("one", "other"), [(0, 1), (3, 9), (10, 2), (7, 7), (0, 12), (40, 61)])
def test_mcnemar_is_the_exact_binomial_test(one: int, other: int) -> None:
    assert mcnemar(one, other) == pytest.approx(binomtest(one, one + other).pvalue)


def test_no_difference_is_no_evidence() -> None:
    assert mcnemar(0, 0) == 1.0


def pair() -> tuple[Judged, Judged]:
    first = judged([0, 0, 1, 1, 1], [A, B, A, A, B], "val", run="early")
    second = judged([0, 0, 1, 1, 1], [A, A, B, A, A], "val", run="late")
    return first, second


def test_who_changed_sides() -> None:
    found = versus(*pair(), None)
    assert [side.sample.file for side in found.gained] == ["001.jpg", "002.jpg"]
    assert [side.sample.file for side in found.lost] == ["004.jpg"]
    assert (found.before.value, found.after.value) == (0.4, 0.6)
    assert found.difference.value == pytest.approx(0.2)
    assert found.p == 1.0
    assert found.sentence == (
        "Of the same 5 pictures, which neither run learned from, the earlier one got 2 right and "
        "the later one 3: 2 changed for the better, 1 for the worse. That much could well be "
        "chance (p = 1)."
    )
    side = found.lost[0]
    assert (side.before, side.after, side.sample.label) == ("class 1", "class 0", "class 1")


def test_the_present_label_judges_both() -> None:
    """Picture 3, labelled 1 by mistake, is relabelled 0: both had been right all along."""
    first, second = pair()
    now = {s.sha256: s.label for s in first.samples} | {first.samples[3].sha256: "class 0"}
    found = versus(first, second, now)
    assert (found.before.value, found.after.value) == (0.6, 0.8)
    assert found.relabelled == 1
    del now[first.samples[0].sha256]
    assert (versus(first, second, now).pictures, versus(first, second, now).left_out) == (4, 1)


def test_runs_divided_differently_meet_on_what_they_share() -> None:
    first, second = pair()
    found = versus(first.take(np.array([0, 1, 2])), second.take(np.array([1, 2, 3, 4])), None)
    assert (found.pictures, found.left_out) == (2, 3)
    with pytest.raises(RunError, match="divide their pictures differently"):
        versus(first.take(np.array([0])), second.take(np.array([1])), None)


def test_classes_meet_by_name_in_whatever_order() -> None:
    first, second = pair()
    turned = replace(
        second,
        classes=second.classes[::-1],
        labels=1 - second.labels,
        probabilities=second.probabilities[:, ::-1],
    )
    assert versus(first, turned, None).difference == versus(first, second, None).difference


def test_a_clear_change_is_called_one() -> None:
    labels = [0, 1] * 12
    wrong = judged(labels, [B, A] * 12, run="early")
    right = judged(labels, [A, B] * 12, run="late")
    assert "better, by more than chance" in versus(wrong, right, None).sentence
    assert "worse, by more than chance" in versus(right, wrong, None).sentence
    assert "No picture changed sides" in versus(right, right, None).sentence
