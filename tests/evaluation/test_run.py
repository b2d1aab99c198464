"""Evaluation of real runs: stored predictions, splits, label issues and corrections."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.made import REAL, SPLIT_SIZES, stored, train_run, write_splits
from tests.training.test_train_run import SMALL
from tlcore.datasets.edits import exclude, relabel, undo_edit
from tlcore.datasets.store import load_state
from tlcore.errors import RunError, UnknownName
from tlcore.evaluation.comparison import compare_runs
from tlcore.evaluation.corrections import (
    corrected_run,
    count_changes,
    current_labels,
    keep_splits,
    load_run_dataset,
)
from tlcore.evaluation.embedding import compute_embedding
from tlcore.evaluation.evaluation import evaluate as evaluate_run
from tlcore.evaluation.label_issues import find_label_issues
from tlcore.evaluation.split_predictions import SplitPredictions, evaluated_split, predict_split
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.feature_cache import evict
from tlcore.training.provenance import list_samples
from tlcore.training.run import RunInfo, write_parent_run

EVEN = {split: {"ants": number, "bees": number} for split, number in SPLIT_SIZES.items()}


@pytest.fixture(scope="module")
def home(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("review"), keras_home=shared / "keras")


@pytest.fixture(scope="module")
def run(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> RunInfo:
    """One run for all who only look at it, or put back what they take away."""
    name = stored(home, write_splits(tmp_path_factory.mktemp("files") / "set", EVEN))
    return train_run(home, RunConfig(name, epochs=15, learning_rate=0.01, **REAL))


def predictions_of(settings: Settings, info: RunInfo, split: str) -> SplitPredictions:
    return predict_split(info.id, split, settings)


def refuse(run: str, files: Mapping[str, Path], settings: Settings) -> list:
    raise AssertionError(f"asked again about {len(files)} images")


def test_test_images_never_reach_a_fit(run: RunInfo, home: Settings) -> None:
    """By hash: the run's splits do not meet, and what the fit read from holds no test image."""
    splits = {split: {s.sha256 for s in list_samples(run, split)} for split in SPLIT_SIZES}
    assert {split: len(hashes) for split, hashes in splits.items()} == {
        split: 2 * number for split, number in SPLIT_SIZES.items()
    }
    assert not splits["test"] & (splits["train"] | splits["val"])
    segments = [json.loads(path.read_bytes()) for path in home.features.glob("*/*.json")]
    read = {each for segment in segments for each in segment["ids"]}
    assert read == splits["train"] | splits["val"]


def test_evaluation_on_either_part(run: RunInfo, home: Settings) -> None:
    assert evaluated_split(run.id, home) == "test"
    result = evaluate_run(run.id, "", home)
    assert (result.split, result.images) == ("test", 2 * SPLIT_SIZES["test"])
    assert result.imagenet_accuracy is not None
    assert sum(map(sum, result.confusion_matrix)) == result.images
    by_validation = evaluate_run(run.id, "val", home)
    assert by_validation.accuracy.value == pytest.approx(run.val_accuracy)
    assert by_validation.log_loss == pytest.approx(run.val_loss, abs=1e-4)
    assert by_validation.data_hash != result.data_hash
    again = predict_split(run.id, "test", home, refuse)  # kept: nothing is asked a second time
    np.testing.assert_array_equal(
        again.probabilities, predictions_of(home, run, "test").probabilities
    )


def test_a_test_image_that_was_learned_from_is_no_test(settings: Settings, tmp_path: Path) -> None:
    files = write_splits(tmp_path / "files", EVEN)
    shutil.copy(files / "train" / "ants" / "00.png", files / "test" / "ants" / "copy.png")
    run = train_run(settings, RunConfig(str(files), epochs=1, **SMALL))
    result = evaluate_run(run.id, "", settings)
    assert result.images == 2 * SPLIT_SIZES["test"]
    assert any("1 test image is left out" in words for words in result.warnings)


def test_a_part_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    two = {split: EVEN[split] for split in ("train", "val")}
    config = RunConfig(str(write_splits(tmp_path / "two", two)), epochs=1, **SMALL)
    run = train_run(settings, config)
    assert any("no test split" in words for words in evaluate_run(run.id, "", settings).warnings)
    with pytest.raises(RunError, match="images in the test split"):
        evaluate_run(run.id, "test", settings)
    with pytest.raises(UnknownName, match="train, val, test"):
        evaluate_run(run.id, "all", settings)


def test_the_loop_from_a_wrong_label_to_a_better_run(real: Settings, tmp_path: Path) -> None:
    """A set that is divided by the run: relabelling must not draw another division."""
    flat = {".": {"ants": 20, "bees": 20}}
    name = stored(real, write_splits(tmp_path / "files", flat))
    wrong = sorted(item.key for item in load_state(name, real).included)[:3]
    truth = {key: load_state(name, real).by_key[key].label for key in wrong}
    for key in wrong:
        relabel(name, [key], "ants" if truth[key] == "bees" else "bees", real)
    recipe = RunConfig(name, epochs=15, learning_rate=0.01, **REAL)
    first = train_run(real, recipe)
    issues = find_label_issues(first.id, real).issues
    assert {issue.sample.key for issue in issues} == set(wrong)
    for issue in issues:
        assert issue.suggested == truth[issue.sample.key]
        relabel(name, [issue.sample.key], issue.suggested, real)
    state = load_run_dataset(first, real)
    assert state is not None
    relabelled, excluded = count_changes(first, state)
    assert (sum(relabelled.values()), excluded) == (3, 0)
    assert keep_splits(first, state, real) == 40
    second = train_run(real, recipe)
    write_parent_run(second.folder, first.id)
    assert corrected_run(second) == first.id
    assert corrected_run(first) == ""
    files = [[s.file for s in list_samples(info, "val")] for info in (first, second)]
    assert files[0] == files[1]
    result = compare_runs(
        predictions_of(real, first, "val"),
        predictions_of(real, second, "val"),
        current_labels(second, real),
    )
    assert (result.images, result.left_out) == (8, 0)
    assert result.difference.value >= 0
    again = load_state(name, real)
    assert keep_splits(second, again, real) == 0  # they are in the set now


def test_what_is_excluded_counts_no_more_and_comes_back(run: RunInfo, home: Settings) -> None:
    key = list_samples(run, "val")[0].key
    exclude("insects", [key], home)
    state = load_run_dataset(run, home)
    assert state is not None
    assert count_changes(run, state) == ({"train": 0, "val": 0, "test": 0}, 1)
    judged = predictions_of(home, run, "val")
    result = compare_runs(judged, judged, current_labels(run, home))
    assert (result.images, result.left_out) == (15, 1)
    assert count_changes(run, undo_edit("insects", home)) == ({"train": 0, "val": 0, "test": 0}, 0)


def test_a_folder_or_a_deleted_set_cannot_be_mended(run: RunInfo, home: Settings) -> None:
    (home.datasets / "insects").rename(home.datasets / ".insects")
    assert load_run_dataset(run, home) is None
    assert current_labels(run, home) is None
    (home.datasets / ".insects").rename(home.datasets / "insects")
    assert load_run_dataset(run, home) is not None
    folder = replace(run, config=replace(run.config, dataset="/some/folder"))
    assert load_run_dataset(folder, home) is None


def test_features_that_are_gone_are_computed_anew(run: RunInfo, home: Settings) -> None:
    find_label_issues(run.id, home)
    before = compute_embedding(run.id, home)
    assert len(before.samples) == before.total == 2 * sum(SPLIT_SIZES.values())
    assert before.computed == 2 * SPLIT_SIZES["test"]  # no run has looked at these
    assert compute_embedding(run.id, home).computed == 0
    evict(home.features, 0)
    after = compute_embedding(run.id, home)
    assert after.computed == after.total
    np.testing.assert_allclose(after.points, before.points, atol=1e-3)
    assert {sample.split for sample in after.samples} == set(SPLIT_SIZES)
