"""Calibration and the baseline of ImageNet's classes, by hand."""

from __future__ import annotations

import pytest

from tlcore.evaluation.evaluation import fit_imagenet_baseline
from tlcore.evaluation.metrics import compute_calibration


def test_calibration_by_hand() -> None:
    # one bin: 0.95 sure, all right (off by 0.05); another: 0.65 sure, half right (off by 0.15)
    found = compute_calibration([0.95, 0.95, 0.65, 0.65], [True, True, True, False])
    assert found.error == pytest.approx(0.5 * 0.05 + 0.5 * 0.15)
    assert (found.accuracy, found.images) == (0.75, 4)
    assert found.advice.startswith("4 images are too few to tell")  # no verdict, good or bad
    assert compute_calibration([1.0] * 100, [True] * 100).error == 0
    assert (
        "more confident than it is accurate"
        in compute_calibration([0.9] * 100, [True, False] * 50).advice
    )
    with pytest.raises(ValueError, match="at least one"):
        compute_calibration([], [])


def test_the_baseline_counts() -> None:
    """207 and 208 are retrievers, 281 a tabby, 282 a tiger cat, 817 a sports car."""
    labels = ["dogs", "dogs", "cats", "cats", "cats"]
    baseline = fit_imagenet_baseline([207, 207, 207, 281, 281], labels)
    assert dict(baseline.classes) == {207: "dogs", 281: "cats"}
    assert baseline.label(208) == "dogs"  # not met in training: its group's label
    assert baseline.label(282) == "cats"
    assert baseline.label(817) is None  # nothing of its group was met
    assert fit_imagenet_baseline([1, 1], ["b", "a"]).label(1) == "a"  # a tie: the first in order
    with pytest.raises(ValueError, match="training split"):
        fit_imagenet_baseline([], [])
