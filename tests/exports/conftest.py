"""Runs that really trained, once for all tests of what is handed over."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.evaluation import made
from tests.images import write_patches
from tlcore.exports.bundle_check import FormatCheck
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.status import FINISHED


def trained(config: RunConfig, settings: Settings) -> str:
    """Train a run here and now; return its id."""
    info = made.train_run(settings, config)
    assert info.status == FINISHED, info.error
    return info.id


@dataclass(frozen=True)
class Finished:
    """A run that has finished."""

    settings: Settings
    run: str
    data: Path  # the folder of its images


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Finished:
    """Of two classes with one sigmoid unit, fine-tuned, on real weights."""
    place = tmp_path_factory.mktemp("finished")
    settings = Settings(home=place / "home", keras_home=shared / "keras")
    data = write_patches(place / "set", classes=2)
    options = {"backbone": "MobileNet-0.25", "size": 96, "batch_size": 4, "learning_rate": 0.01}
    config = RunConfig(str(data), epochs=2, fine_tune_epochs=1, **options)
    return Finished(settings, trained(config, settings), data)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was made, and unpacked."""

    settings: Settings
    run: str
    zip: Path
    folder: Path
    checks: list[FormatCheck]
    told: list[tuple[int, int, str]]  # what its making said


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, finished: Finished) -> Bundle:
    from tlcore.exports.bundle import write_bundle

    place = tmp_path_factory.mktemp("bundle")
    told: list[tuple[int, int, str]] = []
    target = place / "bundle.zip"
    settings, run = finished.settings, finished.run
    checks = write_bundle(run, target, settings, lambda *step: told.append(step))
    with zipfile.ZipFile(target) as archive:
        archive.extractall(place)
    return Bundle(settings, run, target, place / f"bundle-{run}", checks, told)
