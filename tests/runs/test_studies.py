"""Questions to cached features, on a real small run whose classes are easy to tell apart."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pictures import write_patches
from tests.runs.test_train import REAL
from tlcore.errors import RunError
from tlcore.runs.cache.shelf import make_room
from tlcore.runs.config import RunConfig
from tlcore.runs.store import create_run
from tlcore.runs.studies import enough, find_rate, folds
from tlcore.runs.training.probe import probe
from tlcore.runs.worker import work
from tlcore.settings import Settings


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
    assert 1e-5 < rates.suggested < 0.5
    assert len(rates.rates) == len(rates.losses)
    from tlcore.images.dataset import split_samples
    from tlcore.images.store import open_dataset

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
