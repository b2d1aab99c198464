"""Questions to cached features, on a real small run whose classes are easy to tell apart."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.datasets.files import encoded, scene
from tests.images import write_patches
from tests.training.test_train_run import REAL, SMALL, run
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.splits import split_samples
from tlcore.datasets.store import open_dataset
from tlcore.errors import RunError
from tlcore.settings import Settings
from tlcore.training import studies as module
from tlcore.training.config import RunConfig
from tlcore.training.cost import estimate_cost
from tlcore.training.feature_cache import evict
from tlcore.training.store import load_run
from tlcore.training.studies import (
    _point,
    compute_learning_curve,
    cross_validate,
    find_learning_rate,
    judge_last_images,
    load_study_data,
)


def test_the_questions(real: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "set", each=12)
    config = RunConfig(str(data), epochs=20, learning_rate=0.01, **REAL)
    _, folder = run(real, config)
    points = compute_learning_curve(folder.name, real)
    assert [point.images for point in points] == [2, 4, 8, 10]
    assert all(point.low <= point.accuracy <= point.high for point in points)
    assert points[-1].accuracy > 0.9
    assert points == compute_learning_curve(folder.name, real)
    found = cross_validate(folder.name, real)
    assert len(found) == 5
    assert min(found) > 0.8
    rates = find_learning_rate(folder.name, real)
    fall = rates.losses[0] - min(rates.losses)
    at = rates.rates.index(rates.suggested)
    assert rates.losses[at] <= rates.losses[0] - fall / 2 < rates.losses[at - 1]
    assert len(rates.rates) == len(rates.losses)
    train, val = split_samples(open_dataset(str(data), real))
    warm = estimate_cost(config, train, val, real)
    assert (warm.missing, warm.fine_tune_seconds) == (0, 0.0)
    tuned = estimate_cost(replace(config, fine_tune_epochs=1), train, val, real)
    assert tuned.fine_tune_seconds > 0
    assert tuned.missing == len(train) + len(val)  # the values at the cut are not there yet
    wider = RunConfig(str(data), augmented_copies=2, **REAL)
    assert estimate_cost(wider, train, val, real).missing == 2 * len(train)
    evict(real.features, 0)
    with pytest.raises(RunError, match="cleared away"):
        compute_learning_curve(folder.name, real)


@pytest.mark.parametrize(("each", "parts"), [(2, 2), (7, 5)])
def test_small_sets_are_divided_into_fewer_parts(
    each: int, parts: int, settings: Settings, tmp_path: Path
) -> None:
    data = write_patches(tmp_path / "set", classes=2, each=each)
    shutil.copy(data / "blue" / "00.png", data / "blue" / "copy.png")
    _, folder = run(settings, RunConfig(str(data), epochs=1, **SMALL))
    assert len(cross_validate(folder.name, settings)) == parts


def test_one_image_and_its_copy_are_too_few_to_divide(settings: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "train", classes=2, each=2)
    val = write_patches(tmp_path / "val", classes=2, each=1)
    (data / "blue" / "01.png").unlink()
    _, folder = run(settings, RunConfig(str(tmp_path), epochs=1, **SMALL))
    assert (val / "blue" / "00.png").read_bytes() == (data / "blue" / "00.png").read_bytes()
    with pytest.raises(RunError, match="all different"):
        cross_validate(folder.name, settings)
    with pytest.raises(RunError, match="new to validation"):
        compute_learning_curve(folder.name, settings)


def test_a_run_that_was_merely_short_does_not_want_more_images(
    real: Settings, tmp_path: Path
) -> None:
    """Three colours need no more than two images each, but some steps to be told apart."""
    data = write_patches(tmp_path / "set", each=40)
    _, folder = run(real, RunConfig(str(data), epochs=2, learning_rate=0.001, **REAL))
    points = compute_learning_curve(folder.name, real)
    assert [point.images for point in points] == [2, 4, 8, 16, 32]
    assert points[-1].accuracy > 0.9
    assert points[0].accuracy > points[-1].accuracy - 0.05
    rise = judge_last_images(points)
    assert rise is not None
    assert (rise.before.images, rise.after.images, rise.clear) == (16, 32, False)


@pytest.mark.parametrize(
    ("before", "after", "judged", "clear"),
    [
        ([0.80, 0.81, 0.79, 0.80, 0.80], [0.90, 0.91, 0.89, 0.90, 0.90], 400, True),
        ([0.80, 0.81, 0.79, 0.80, 0.80], [0.90, 0.91, 0.89, 0.90, 0.90], 30, False),  # 3 images
        ([0.70, 0.90, 0.80, 0.60, 1.00], [0.90, 0.91, 0.89, 0.90, 0.90], 400, False),  # of luck
        ([0.90] * 5, [0.90] * 5, 400, False),
        ([0.90] * 5, [0.80] * 5, 400, False),
    ],
)
def test_a_rise_is_clear_where_draws_and_images_leave_no_doubt(
    before: list[float], after: list[float], judged: int, clear: bool
) -> None:
    points = [_point(20, before, judged), _point(40, after, judged), _point(45, after, judged)]
    rise = judge_last_images(points)
    assert rise is not None
    assert (rise.before.images, rise.clear) == (20, clear)
    assert judge_last_images(points[1:]) is None


def split_of(settings: Settings, config: RunConfig, field: str) -> tuple[set[str], set[str]]:
    split = json.loads((run(settings, config)[1] / "split.json").read_text())
    train, val = ({row[field] for row in split[part]} for part in ("train", "val"))
    return train, val


def test_copies_under_other_names_and_labels_stay_on_one_side_of_a_run(
    settings: Settings, tmp_path: Path
) -> None:
    data = write_patches(tmp_path / "set", classes=2, each=8)
    for label, other in (("blue", "green"), ("green", "blue")):
        for number in range(8):
            copy = (data / label / f"{number:02}.png").read_bytes()
            (data / label / f"copy {number}.png").write_bytes(copy)
            if number < 2:
                (data / other / f"not {other} {number}.png").write_bytes(copy)
    for seed in range(2):
        config = RunConfig(str(data), epochs=1, seed=seed, **SMALL)
        train, val = split_of(settings, config, "sha256")
        assert len(train) + len(val) == 16
        assert len(val) in (2, 3, 4)  # groups of 2 and 3, of which at most 4 images a class fit
        assert not train & val


def test_near_copies_that_the_doctor_knows_stay_on_one_side_of_a_run(settings: Settings) -> None:
    files = []
    for number in range(24):
        image, label = scene(number, 160, 120), "ab"[number % 2]
        files.append((f"{label}/{number}.jpg", encoded(image, "JPEG")))
        files.append((f"{label}/small {number}.jpg", encoded(image.resize((80, 60)), "JPEG")))
    import_dataset("mine", incoming_from_uploads(files), settings)
    for seed in range(2):
        config = RunConfig("mine", epochs=1, seed=seed, **SMALL)
        names = split_of(settings, config, "file")
        train, val = ({name.replace("small ", "") for name in part} for part in names)
        assert not train & val
        assert len(train) + len(val) == 24


@pytest.mark.parametrize("patience", [0, 2])
def test_heads_learn_as_long_as_the_runs_own_but_no_longer_than_allowed(
    patience: int, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_patches(tmp_path / "set", classes=2, each=6)
    recipe = SMALL | {"epochs": 12, "learning_rate": 0.5, "hidden_units": (8,)}
    _, folder = run(settings, RunConfig(str(data), patience=patience, **recipe))
    history = load_run(folder.name, settings).history
    best = min(history, key=lambda epoch: epoch.val_loss).epoch
    assert load_study_data(folder.name, settings).epochs == best
    learned: list[int] = []
    fit = module.fit

    def count(*args: Any) -> object:
        learned.append(args[3].epochs)
        return fit(*args)

    monkeypatch.setattr(module, "fit", count)
    cross_validate(folder.name, settings)
    monkeypatch.setattr(module, "WORK", 1.0)
    cross_validate(folder.name, settings)
    assert learned == [best] * 5 + [1] * 5


@pytest.mark.parametrize("accuracy", [0.5, 0.9, 1.0])
def test_the_interval_knows_by_how_few_images_it_is_judged(accuracy: float) -> None:
    same = [accuracy] * 5  # the whole set, five times: no luck of the draw is left
    few, many = (_point(50, same, judged) for judged in (20, 2000))
    assert few.high - few.low > 3 * (many.high - many.low) > 0
    lucky = _point(50, [accuracy, accuracy - 0.2] * 2 + [accuracy], 2000)
    assert lucky.high - lucky.low > many.high - many.low
