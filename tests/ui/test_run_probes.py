"""Costs that are worked out behind the pages: once each, in turn, and what failed again."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tlcore.datasets.dataset import Sample
from tlcore.errors import BadConfig
from tlcore.training.config import RunConfig
from tlcore.training.cost import Cost
from tlcore.ui.fine_tune.studies import Planned, Probes, freely, seconds_an_image


def cost(**values: float) -> Cost:
    whole: dict[str, Any] = {field.name: values.get(field.name, 0) for field in fields(Cost)}
    return Cost(**whole)


def planned(images: int = 10, **options: Any) -> Planned:
    sample = Sample("a.jpg", Path("a.jpg"), "0" * 64, "a", None)
    return Planned(RunConfig("set", **options), [sample] * images, [sample], "")


def test_a_question_is_worked_out_once() -> None:
    probes, asked = Probes(), []

    def work() -> Cost:
        asked.append(1)
        return cost()

    assert probes.known(("a",)) is None
    first = probes.ask(("a",), work)
    first.result()
    assert probes.ask(("a",), work) is first
    assert probes.known(("a",)) is first
    assert len(asked) == 1


def test_what_failed_is_tried_again() -> None:
    probes = Probes()

    def refuse() -> Cost:
        raise BadConfig("no room")

    with pytest.raises(BadConfig):
        probes.ask(("a",), refuse).result()
    assert probes.ask(("a",), cost).result() == cost()


def test_what_has_not_begun_can_be_dropped_and_asked_again() -> None:
    probes, go = Probes(), Event()

    def wait() -> Cost:
        go.wait(60)
        return cost()

    slow = probes.ask(("slow",), wait)
    while not slow.running():
        pass
    behind = probes.ask(("behind",), cost)
    assert behind.cancel()
    assert probes.known(("behind",)) is None
    again = probes.ask(("behind",), cost)
    assert again is not behind
    go.set()
    assert again.result(60) == cost()


@pytest.mark.parametrize(
    ("options", "images", "tiny"),
    [
        ({}, 900, True),
        ({}, 1000, False),
        ({"augmented_copies": 4}, 300, False),
        ({"pooling": "flatten"}, 10, False),
        ({"fine_tune_epochs": 1}, 10, False),
    ],
)
def test_what_fits_for_certain(options: dict[str, Any], images: int, tiny: bool) -> None:
    assert planned(images, **options).tiny is tiny


def test_only_what_costs_something_makes_another_question() -> None:
    base = planned()
    assert planned(learning_rate=0.1, dropout=0.5, class_weights="balanced").key == base.key
    for options in ({"epochs": 11}, {"size": 96}, {"augmented_copies": 2}, {"pooling": "max"}):
        assert planned(**options).key != base.key
    assert planned(images=11).key != base.key


def test_what_a_image_takes() -> None:
    plan = planned(images=10)
    assert seconds_an_image(cost(feature_seconds=6.0, missing=12), plan) == 0.5
    assert seconds_an_image(cost(), plan) is None  # all is kept: nothing was tried
    assert seconds_an_image(cost(epoch_seconds=5.0), freely(plan)) == 0.5


def test_a_plan_without_augmentation_has_a_free_one_beside_it() -> None:
    free = freely(planned(augmentations=(), fine_tune_epochs=3)).config
    assert (free.on_the_fly_augmentation, free.augmented_copies, free.fine_tune_epochs) == (
        True,
        0,
        0,
    )
    assert free.augmentations
