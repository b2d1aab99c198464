"""Resume: after Stop and after kill -9 the history and the network are the uninterrupted ones."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import pytest

from tests.images import write_patches
from tests.training.test_train_run import REAL
from tlcore.errors import RunError
from tlcore.models.build import build_backbone
from tlcore.models.predictions import ModelRef
from tlcore.settings import PROJECT, Settings
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, Event, Progress
from tlcore.training.lifecycle import create_run, prepare_resume
from tlcore.training.status import FINISHED, STOPPED
from tlcore.training.store import load_run
from tlcore.training.worker import execute_run

RECIPE = REAL | {"epochs": 4, "fine_tune_epochs": 3, "dropout": 0.3, "hidden_units": (8,)}


def train(settings: Settings, config: RunConfig, emit=lambda _: None) -> Path:
    folder, lock = create_run(config, settings)
    execute_run(folder, settings, emit=emit)
    os.close(lock)
    return folder


def figures(folder: Path, settings: Settings) -> list[tuple[object, ...]]:
    return [
        (e.epoch, e.stage, e.loss, e.accuracy, e.val_loss, e.val_accuracy)
        for e in load_run(folder.name, settings).history
    ]


def weights_hash(folder: Path) -> str:
    model = keras.models.load_model(folder / "model.keras", compile=False)
    return hashlib.sha256(b"".join(each.tobytes() for each in model.get_weights())).hexdigest()


def resume(folder: Path, settings: Settings) -> None:
    folder, lock = prepare_resume(folder.name, settings)
    assert execute_run(folder, settings).status == FINISHED
    os.close(lock)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> tuple[Settings, Path, Path]:
    """The home, the images and the folder of an uninterrupted run."""
    home = tmp_path_factory.mktemp("whole")
    settings = Settings(home=home / "home", keras_home=shared / "keras")
    data = write_patches(home / "set")
    return settings, data, train(settings, RunConfig(str(data), **RECIPE))


@pytest.mark.parametrize(
    "epoch",
    [pytest.param(2, marks=pytest.mark.full), 5],  # test_resume_recipes stops in the head as well
    ids=["in the head", "in the top blocks"],
)
def test_after_stop(whole: tuple[Settings, Path, Path], epoch: int) -> None:
    settings, data, uninterrupted = whole
    after: list[Event] = []

    def emit(event: Event) -> None:
        if (newest := max(settings.runs.glob("[!.]*"))) and (newest / "stop").exists():
            after.append(event)
        elif isinstance(event, Epoch) and event.epoch == epoch:
            (newest / "stop").touch()

    folder = train(settings, RunConfig(str(data), **RECIPE), emit)
    assert load_run(folder.name, settings).info.status == STOPPED
    assert all(isinstance(event, Progress) for event in after)
    assert len(figures(folder, settings)) == epoch
    resume(folder, settings)
    assert figures(folder, settings) == figures(uninterrupted, settings)
    assert weights_hash(folder) == weights_hash(uninterrupted)


KILLED = """
import os, sys
from pathlib import Path
from tlcore.storage import acquire_lock
from tlcore.settings import Settings
from tlcore.training import features, loop
from tlcore.training.worker import execute_run
features.FLUSH = 8  # so that some of the features are on disk by then
loop.CHECKPOINT = float(sys.argv[4])
folder, field, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
lock = acquire_lock(folder / "run.lock")
def emit(event):
    if getattr(event, field, 0) >= number:
        os.kill(os.getpid(), 9)
execute_run(folder, Settings.from_environment(), emit=emit)
"""


def kill_and_resume(
    config: RunConfig, settings: Settings, field: str, number: int, between: float = 2.0
) -> list[tuple[object, ...]]:
    """Kill a run at an event whose field has reached a number, resume it, return its figures."""
    folder, lock = create_run(config, settings)
    os.close(lock)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), field, str(number), str(between)],
        cwd=PROJECT,
        env={**os.environ, **settings.to_environment()},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    resume(folder, settings)
    return figures(folder, settings)


def check_close(ours: list[tuple[object, ...]], theirs: list[tuple[object, ...]]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one[:2] == other[:2]
        assert one[2:] == pytest.approx(other[2:], abs=1e-6)


@pytest.mark.parametrize(
    ("epoch", "between"),
    [pytest.param(3, 0.0, marks=pytest.mark.full), (3, 99.0), (6, 0.0)],
    ids=["in the head", "before its first checkpoint", "in the top blocks"],
)
def test_after_kill(whole: tuple[Settings, Path, Path], epoch: int, between: float) -> None:
    settings, data, uninterrupted = whole
    config = RunConfig(str(data), **RECIPE)
    resumed = kill_and_resume(config, settings, "epoch", epoch, between)
    check_close(resumed, figures(uninterrupted, settings))


def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_does_not(
    whole: tuple[Settings, Path, Path],
) -> None:
    settings, data, first = whole
    cold = replace(settings, home=settings.home.with_name("other"))  # nothing cached
    again = train(cold, RunConfig(str(data), **RECIPE))
    assert figures(first, settings) == figures(again, cold)
    assert weights_hash(first) == weights_hash(again)
    other = train(settings, RunConfig(str(data), **RECIPE | {"fine_tune_epochs": 0}, seed=1))
    assert figures(other, settings) != figures(first, settings)[: RECIPE["epochs"]]


def check_normalisation(folder: Path, base: keras.Model) -> None:
    """The BatchNormalization layers of a run's model are those of its backbone, bit for bit."""
    trained = keras.models.load_model(folder / "model.keras", compile=False)
    found = [layer for layer in base.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(found) > 20
    for layer in found:
        after = trained.get_layer(layer.name).get_weights()
        for one, other in zip(layer.get_weights(), after, strict=True):
            assert one.tobytes() == other.tobytes(), layer.name


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"on_the_fly_augmentation": True},
        pytest.param({"augmented_copies": 1}, marks=pytest.mark.full),
    ],
)
def test_batch_normalization_is_bit_identical_after_every_path(
    whole: tuple[Settings, Path, Path], options: dict[str, object]
) -> None:
    settings, data, folder = whole
    if options:
        short = RECIPE | {"epochs": 1, "fine_tune_epochs": 1} | options
        folder = train(settings, RunConfig(str(data), **short))
    ref = ModelRef(REAL["backbone"], REAL["size"], top=False)
    check_normalisation(folder, build_backbone(ref, settings)[0])


def test_a_finished_run_and_one_at_work_are_not_resumed(whole: tuple[Settings, Path, Path]) -> None:
    settings, data, folder = whole
    with pytest.raises(RunError, match="has finished"):
        prepare_resume(folder.name, settings)
    working, lock = create_run(RunConfig(str(data)), settings)
    with pytest.raises(RunError, match="which is running"):
        prepare_resume(working.name, settings)
    os.close(lock)
    shutil.rmtree(working)
