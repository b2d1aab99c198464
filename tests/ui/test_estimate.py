"""Which runs start without waiting for an estimate, and what asks for a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tlcore.datasets.dataset import Sample
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.ui.fine_tune.estimate import Plan, plan_key


def plan(images: int = 10, label: str = "a", **options: Any) -> Plan:
    sample = Sample("a.jpg", Path("a.jpg"), "0" * 64, label, None)
    return Plan(RunConfig("set", **options), [sample] * images, [sample])


@pytest.mark.parametrize(
    ("options", "images", "small"),
    [
        ({}, 900, True),
        ({}, 1000, False),
        ({"augmented_copies": 4}, 300, False),
        ({"pooling": "flatten"}, 10, False),
        ({"fine_tune_epochs": 1}, 10, False),
    ],
)
def test_a_small_run_fits_everywhere(options: dict[str, Any], images: int, small: bool) -> None:
    assert plan(images, **options).is_small is small


def test_only_what_changes_the_cost_asks_for_a_new_estimate(settings: Settings) -> None:
    key = plan_key(plan(), settings)
    same = plan(learning_rate=0.1, dropout=0.5, class_weights="balanced", patience=3)
    assert plan_key(same, settings) == key
    for options in ({"epochs": 11}, {"size": 96}, {"augmented_copies": 2}, {"pooling": "max"}):
        assert plan_key(plan(**options), settings) != key
    assert plan_key(plan(11), settings) != key
    assert plan_key(plan(label="b"), settings) != key
