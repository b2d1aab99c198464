"""Questions to cached features, on a real small run whose classes are easy to tell apart."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pictures import write_patches
from tests.training.test_train import REAL, SMALL, run
from tlcore.errors import RunError
from tlcore.settings import Settings
from tlcore.training.cache.shelf import make_room
from tlcore.training.config import RunConfig
from tlcore.training.orders import create_run
from tlcore.training.probe import probe
from tlcore.training.store import load_run
from tlcore.training.studies import known as known_module
from tlcore.training.studies.enough import _point, enough
from tlcore.training.studies.folds import folds, stratified
from tlcore.training.studies.known import known
from tlcore.training.studies.rates import find_rate
from tlcore.training.worker import work


def test_the_questions(real: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "set", each=12)
    config = RunConfig(str(data), epochs=20, learning_rate=0.01, **REAL)
    folder, lock = create_run(config, real)
    work(folder, real)
    os.close(lock)
    points = enough(folder.name, real)
    assert [point.pictures for point in points] == [2, 4, 8, 10]
    assert all(point.low <= point.accuracy <= point.high for point in points)
    assert points[-1].accuracy > 0.9
    assert points == enough(folder.name, real)
    found = folds(folder.name, real)
    assert len(found) == 5
    assert min(found) > 0.8
    rates = find_rate(folder.name, real)
    fall = rates.losses[0] - min(rates.losses)
    at = rates.rates.index(rates.suggested)
    assert rates.losses[at] <= rates.losses[0] - fall / 2 < rates.losses[at - 1]
    assert len(rates.rates) == len(rates.losses)
    from tlcore.datasets.dataset import split_samples
    from tlcore.datasets.store import open_dataset

    train, val = split_samples(open_dataset(str(data), real))
    known = probe(config, train, val, real)
    assert (known.missing, known.tuned_seconds) == (0, 0.0)
    tuned = probe(replace(config, fine_tune_epochs=1), train, val, real)
    assert tuned.tuned_seconds > 0
    assert tuned.missing == len(train) + len(val)  # the values at the cut are not there yet
    wider = RunConfig(str(data), views=2, **REAL)
    assert probe(wider, train, val, real).missing == 2 * len(train)
    make_room(real.features, 0)
    with pytest.raises(RunError, match="cleared away"):
        enough(folder.name, real)


@pytest.mark.parametrize(("each", "parts"), [(2, 2), (3, 3), (7, 5)])
def test_small_sets_are_divided_into_fewer_parts(
    each: int, parts: int, settings: Settings, tmp_path: Path
) -> None:
    data = write_patches(tmp_path / "set", classes=2, each=each)
    shutil.copy(data / "blue" / "00.png", data / "blue" / "copy.png")
    _, folder = run(settings, RunConfig(str(data), epochs=1, **SMALL))
    assert len(folds(folder.name, settings)) == parts


def test_one_picture_and_its_copy_are_too_few_to_divide(settings: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "train", classes=2, each=2)
    val = write_patches(tmp_path / "val", classes=2, each=1)
    (data / "blue" / "01.png").unlink()
    _, folder = run(settings, RunConfig(str(tmp_path), epochs=1, **SMALL))
    assert (val / "blue" / "00.png").read_bytes() == (data / "blue" / "00.png").read_bytes()
    with pytest.raises(RunError, match="all different"):
        folds(folder.name, settings)
    with pytest.raises(RunError, match="Received 1 of the smallest"):
        enough(folder.name, settings)


def test_copies_are_in_one_fold_and_each_class_is_spread() -> None:
    labels = np.repeat([0, 1], 20)
    contents = [f"{place // 2}" for place in range(40)]  # each picture twice
    contents[39] = contents[0]  # and one under both labels
    fold = stratified(labels, 5, [3], contents)
    for content in set(contents):
        assert len({fold[place] for place in range(40) if contents[place] == content}) == 1
    assert np.bincount(fold[:20]).tolist() == [4] * 5
    assert np.bincount(fold[20:], minlength=5).min() >= 2


@pytest.mark.parametrize("patience", [0, 2])
def test_heads_learn_as_long_as_the_runs_own_but_no_longer_than_allowed(
    patience: int, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_patches(tmp_path / "set", classes=2, each=6)
    recipe = SMALL | {"epochs": 12, "learning_rate": 0.5, "hidden": (8,)}
    _, folder = run(settings, RunConfig(str(data), patience=patience, **recipe))
    history = load_run(folder.name, settings).history
    best = min(history, key=lambda epoch: epoch.val_loss).epoch
    found = known(folder.name, settings)
    assert found.epochs == best
    learned: list[int] = []
    fit = known_module.fit

    def count(*args: object) -> object:
        learned.append(args[3].epochs)
        return fit(*args)

    monkeypatch.setattr(known_module, "fit", count)
    folds(folder.name, settings)
    assert learned == [found.epochs] * 5
    learned.clear()
    monkeypatch.setattr(known_module, "WORK", 1.0)
    folds(folder.name, settings)
    assert learned == [1] * 5


@pytest.mark.parametrize("accuracy", [0.5, 0.9, 1.0])
def test_the_interval_knows_by_how_few_pictures_it_is_judged(accuracy: float) -> None:
    same = [accuracy] * 5  # the whole set, five times: no luck of the draw is left
    few, many = (_point(50, same, judged) for judged in (20, 2000))
    assert few.high - few.low > 3 * (many.high - many.low) > 0
    lucky = _point(50, [accuracy, accuracy - 0.2] * 2 + [accuracy], 2000)
    assert lucky.high - lucky.low > many.high - many.low
