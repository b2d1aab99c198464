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
class Bundle:
    """A bundle that was made, and unpacked."""

    settings: Settings
    run: str
    zip: Path
    folder: Path
    checks: list[FormatCheck]
    told: list[tuple[int, int, str]]  # what its making said


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Bundle:
    """Of a run of two classes with one sigmoid unit, fine-tuned, on real weights."""
    from tlcore.exports.bundle import write_bundle

    place = tmp_path_factory.mktemp("bundle")
    settings = Settings(home=place / "home", keras_home=shared / "keras")
    options = {"backbone": "MobileNet-0.25", "size": 96, "batch_size": 4, "learning_rate": 0.01}
    data = write_patches(place / "set", classes=2)
    run = trained(RunConfig(str(data), epochs=2, fine_tune_epochs=1, **options), settings)
    told: list[tuple[int, int, str]] = []
    target = place / "bundle.zip"
    checks = write_bundle(run, target, settings, lambda *step: told.append(step))
    with zipfile.ZipFile(target) as archive:
        archive.extractall(place)
    return Bundle(settings, run, target, place / f"bundle-{run}", checks, told)
