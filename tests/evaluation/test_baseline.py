"""ImageNet alone: what its classes are worth on images of breeds that training never met."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.running import tlcore
from tests.evaluation.made import train_run
from tlcore.evaluation.evaluation import Evaluation, fit_imagenet_baseline
from tlcore.evaluation.evaluation import evaluate as evaluate_run
from tlcore.models.imagenet import imagenet_classes, imagenet_groups
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.run import RunInfo


@pytest.fixture(scope="module")
def of_group(shared: Path) -> Callable[[str], list[Path]]:
    """The images of a group of ImageNet's classes, each of another class."""
    wnids, groups = imagenet_classes()[0], imagenet_groups()
    photos = sorted((shared / "photos").glob("*.JPEG"))

    def find(group: str) -> list[Path]:
        return [p for p in photos if groups[wnids.index(p.name.split("_")[0])] == group]

    return find


@pytest.fixture(scope="module")
def run(
    of_group: Callable[[str], list[Path]], shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, RunInfo]:
    """Dogs and birds, in training more birds; in validation other breeds, and a car among birds."""
    home = tmp_path_factory.mktemp("baseline")
    dogs, birds, cars = map(of_group, ("dogs", "birds", "vehicles"))
    splits = {
        "train/dogs": dogs[:4],
        "train/birds": birds[:6],
        "val/dogs": dogs[4:],
        "val/birds": [*birds[6:], cars[0]],
    }
    for split, files in splits.items():
        (home / "set" / split).mkdir(parents=True)
        for file in files:
            shutil.copy(file, home / "set" / split)
    settings = Settings(home=home / "home", keras_home=shared / "keras")
    config = RunConfig(str(home / "set"), backbone="MobileNetV2", size=224, epochs=1)
    return settings, train_run(settings, config)


def test_a_breed_that_training_never_met_counts_as_its_group(run: tuple[Settings, RunInfo]) -> None:
    """The dogs count as dogs, not as birds, of which training has more."""
    settings, info = run
    evaluation = evaluate_run(info.id, "", settings)
    assert evaluation.imagenet_accuracy is not None
    assert evaluation.images == 15
    assert evaluation.imagenet_accuracy.value >= 12 / 15  # 4 of 15 by the most frequent label
    assert evaluation.majority_baseline.label == "birds"


def test_an_image_of_a_group_that_training_never_met_gets_no_label(
    run: tuple[Settings, RunInfo],
) -> None:
    """It is counted apart, on the page, in the report, the table and the JSON."""
    settings, info = run
    evaluation: Evaluation = evaluate_run(info.id, "", settings)
    assert evaluation.imagenet_unlabelled == 1
    words = "1 image got no label"
    assert words in evaluation.imagenet_note
    assert replace(evaluation, imagenet_unlabelled=0) != evaluation
    table = tlcore(settings, "runs", "evaluate", info.id)
    row = next(line for line in table.stdout.splitlines() if line.startswith("ImageNet alone"))
    assert words in row


def test_the_baseline_counts() -> None:
    """207 and 208 are retrievers, 281 a tabby, 282 a tiger cat, 817 a sports car."""
    labels = ["dogs", "dogs", "cats", "cats", "cats"]
    baseline = fit_imagenet_baseline(zip([207, 207, 207, 281, 281], labels, strict=True))
    assert (baseline[207], baseline[281]) == ("dogs", "cats")
    assert baseline[208] == "dogs"  # not met in training: its group's label
    assert baseline[282] == "cats"
    assert 817 not in baseline  # nothing of its group was met
    assert fit_imagenet_baseline([(1, "b"), (1, "a")])[1] == "a"  # a tie: the first in order
