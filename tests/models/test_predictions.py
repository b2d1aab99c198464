"""Groups, certainty, calibration and the baseline: all by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tlcore.models.imagenet import group_probabilities, imagenet_classes, imagenet_groups
from tlcore.models.predictions import measure_certainty


def test_every_class_has_one_group() -> None:
    groups = imagenet_groups()
    assert len(groups) == 1000
    assert 20 <= len(set(groups)) <= 30
    assert min(Counter(groups).values()) >= 3


@pytest.mark.parametrize(
    ("group", "classes"),
    [
        ("dogs", range(151, 269)),
        ("cats, small and big", range(281, 294)),
        ("birds", [*range(7, 25), *range(80, 101), *range(127, 147)]),
        ("fish", [*range(0, 7), *range(389, 398)]),
        ("reptiles and amphibians", range(25, 69)),
        ("monkeys and apes", range(365, 385)),
        ("plants and fungi", [958, *range(984, 999)]),
    ],
)
def test_groups_that_are_known(group: str, classes: range) -> None:
    found = [index for index, name in enumerate(imagenet_groups()) if name == group]
    assert found == list(classes)


@pytest.mark.parametrize(
    ("label", "group"),
    [
        ("goldfish", "fish"), ("tabby", "cats, small and big"), ("timber_wolf", "other mammals"),
        ("ladybug", "insects and spiders"), ("balloon", "vehicles"), ("canoe", "boats and ships"),
        ("violin", "musical instruments"), ("jean", "clothing and accessories"),
        ("wardrobe", "furniture and home"), ("wok", "kitchen and tableware"),
        ("hammer", "tools and machines"), ("laptop", "electronics and cameras"),
        ("soccer_ball", "sports, games and toys"), ("castle", "buildings and places"),
        ("pizza", "food and drink"), ("volcano", "landscapes"), ("groom", "people"),
        ("revolver", "weapons and armour"), ("beer_bottle", "containers and bags"),
    ],
)  # fmt: skip
def test_classes_that_are_known(label: str, group: str) -> None:
    assert imagenet_groups()[imagenet_classes()[1].index(label)] == group


def test_masses_sum_to_one_and_come_greatest_first() -> None:
    probabilities = np.full(1000, 0.4 / 998, np.float32)
    probabilities[[151, 200]] = 0.5, 0.1
    found = group_probabilities(probabilities)
    assert found[0].group == "dogs"
    assert found[0].probability == pytest.approx(0.6 + 116 * 0.4 / 998, abs=1e-6)
    assert found[0].classes == 118
    assert sum(mass.probability for mass in found) == pytest.approx(1, abs=1e-5)


def test_certainty_by_hand() -> None:
    half = measure_certainty(np.array([0.5, 0.25, 0.25], np.float32))
    assert half.entropy == pytest.approx(1.5)
    assert half.margin == pytest.approx(0.25)
    assert measure_certainty(np.full(8, 0.125, np.float32)).perplexity == pytest.approx(8)
    assert measure_certainty(np.array([0.0, 1.0], np.float32)).entropy == 0


@pytest.mark.parametrize(
    ("probabilities", "words"),
    [
        ([0.95, 0.05], "confident"),
        ([0.91, 0.09], "confident"),
        ([0.71, 0.29], "fairly confident"),
        ([0.82, 0.02, *[0.016] * 10], "fairly confident"),  # and wrong one time in 6
        ([0.42, 0.02, *[0.014] * 40], "leaning to one class"),  # 40 points ahead, rather wrong
        ([0.66, 0.34], "leaning to one class"),  # 32 points ahead
        ([0.55, 0.45], "undecided between two classes"),
        ([0.5, 0.25, 0.25], "leaning to one class"),
        ([0.4, 0.35, 0.25], "undecided between two classes"),
        ([0.45, 0.2, 0.2, 0.15], "leaning to one class"),
        ([0.3, 0.25, 0.25, 0.2], "undecided between a few classes"),
        ([0.02] * 50, "no clear answer"),
    ],
)
def test_certainty_in_words(probabilities: list[float], words: str) -> None:
    assert measure_certainty(np.array(probabilities, np.float32)).description == words
