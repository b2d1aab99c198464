"""Suspected labels: by hand on planted probabilities, and real labels flipped by us."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.made import train_run
from tests.images import write_patches
from tests.training.test_train_run import SMALL
from tlcore.datasets.dataset import Sample
from tlcore.datasets.store import open_dataset
from tlcore.errors import RunError
from tlcore.evaluation.embedding import RunFeatures
from tlcore.evaluation.label_issues import FILE, find_label_issues, rank_labels
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.training.provenance import read_or_write_split

ENOUGH = 0.6  # of the flipped labels among the first tenth of the suspects


def planted(labels: list[int]) -> RunFeatures:
    classes = ("ants", "bees")
    samples = tuple(
        Sample(f"{place}.jpg", Path(f"{place}.jpg"), f"{place:064x}", classes[label], "train")
        for place, label in enumerate(labels)
    )
    values = np.zeros((len(labels), 1), np.float32)
    return RunFeatures("planted", classes, samples, np.array(labels), values, 0)


def test_the_ranking_by_hand() -> None:
    """Thresholds: ants (0.9 + 0.7 + 0.2) / 3 = 0.6; bees (0.8 + 0.6) / 2 = 0.7.

    Margins with thresholds taken off: 0.3 + 0.6, 0.1 + 0.4, −0.4 − 0.1, 0.1 + 0.4, −0.1 + 0.2.
    """
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.2, 0.8], [0.4, 0.6]])
    result = rank_labels(planted([0, 0, 0, 1, 1]), probabilities)
    assert [each.sample.file for each in result][0:2] == ["2.jpg", "4.jpg"]
    assert [each.margin for each in result] == pytest.approx([-0.5, 0.1, 0.5, 0.5, 0.9])
    assert [each.likely_wrong for each in result] == [True, False, False, False, False]
    first = result[0]
    assert (first.suggested, first.label_probability, first.suggested_probability) == (
        "bees",
        0.2,
        0.8,
    )


def test_a_class_of_which_nobody_is_sure_is_not_doubted_as_a_whole() -> None:
    """Bees get 0.4 themselves, always: less than ants do, and yet as much as bees ever get."""
    probabilities = np.array([[0.95, 0.05]] * 5 + [[0.6, 0.4]] * 5)
    assert not any(
        each.likely_wrong for each in rank_labels(planted([0] * 5 + [1] * 5), probabilities)
    )


def test_a_copy_is_never_judged_by_a_head_that_learned_from_the_other(
    real: Settings, tmp_path: Path
) -> None:
    """Noise under labels that mean nothing: who has not seen the copy cannot know the label."""
    generator = np.random.default_rng(0)
    for number in range(24):
        pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST)
        label = "ab"[number % 2]
        (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
        for name in (f"{number}", f"again {number}"):
            image.save(tmp_path / "set" / label / f"{name}.png")
    config = RunConfig(
        str(tmp_path / "set"), backbone="MobileNet-0.25", size=64, epochs=30, learning_rate=0.01
    )
    probabilities = [
        each.label_probability for each in find_label_issues(_divided(real, config), real).ranking
    ]
    assert len(probabilities) == 48
    assert np.mean(probabilities) < 0.6  # 0.76 where the copies are in two folds


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.full) for n in (1, 2))])
def test_flipped_labels_of_ants_and_bees_come_first(
    seed: int, real: Settings, shared: Path, tmp_path: Path
) -> None:
    """The set as links, so that the features of an image are the same whatever its label is."""
    flipped = _linked(shared / "datasets" / "hymenoptera", tmp_path / "flipped", seed)
    run = _divided(real, RunConfig(str(tmp_path / "flipped")))
    ranking = [
        each for each in find_label_issues(run, real).ranking if each.sample.split == "train"
    ]
    first = {each.sample.path.name for each in ranking[: len(ranking) // 10]}
    assert len(first & flipped) >= ENOUGH * len(flipped)


def _divided(settings: Settings, config: RunConfig) -> str:
    """A run that has divided its set and learned nothing yet: the suspects ask no network of it."""
    folder, lock = create_run(config, settings)
    read_or_write_split(folder, config, lambda: open_dataset(config.dataset, settings))
    os.close(lock)
    return folder.name


def _linked(source: Path, folder: Path, seed: int) -> set[str]:
    """Link the set into ``folder``, 5% of the training labels flipped; return their names."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    training = [path for path in files if path.relative_to(source).parts[0] == "train"]
    flipped = set(random.Random(seed).sample(training, round(len(training) * 0.05)))
    for path in files:
        split, label, name = path.relative_to(source).parts
        if path in flipped:
            label = "bees" if label == "ants" else "ants"
        (folder / split / label).mkdir(parents=True, exist_ok=True)
        (folder / split / label / name).symlink_to(path)
    return {path.name for path in flipped}


def test_a_class_with_too_few_images_is_left_out_by_name(
    settings: Settings, tmp_path: Path
) -> None:
    """Two are judged between them; of a third with 2 images, one of them twice, nothing is said."""
    data = write_patches(tmp_path / "set", classes=3, each=12)
    for number in range(2, 12):
        (data / "red" / f"{number:02}.png").unlink()
    shutil.copy(data / "red" / "00.png", data / "red" / "copy.png")
    run = train_run(settings, RunConfig(str(data), epochs=2, **SMALL))
    result = find_label_issues(run.id, settings)
    assert {each.sample.label for each in result.ranking} == {"blue", "green"}
    assert {each.suggested for each in result.ranking} == {"blue", "green"}
    assert result.left_out == (("red", 2),)
    assert "(red 2): at least 10 different ones per class" in result.shortage
    shutil.rmtree(data)
    shutil.rmtree(settings.features)
    assert find_label_issues(run.id, settings) == result  # it is stored with the run
    (run.folder / FILE).write_text('{"version": 1, "ranking": [["red/00.png"]], "left_out": []}')
    with pytest.raises(RunError, match="files are gone"):  # not taken from a damaged file
        find_label_issues(run.id, settings)
