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


@pytest.mark.parametrize("epoch", [2, 5], ids=["in the head", "in the top blocks"])
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
from tlcore.training.history import Epoch
from tlcore.locks import acquire_lock
from tlcore.training import loop
from tlcore.training.worker import execute_run
from tlcore.settings import Settings
loop.CHECKPOINT = float(sys.argv[3])
folder = Path(sys.argv[1])
lock = acquire_lock(folder / "run.lock")
def emit(event):
    if isinstance(event, Epoch) and event.epoch == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
execute_run(folder, Settings.from_environment(), emit=emit)
"""


@pytest.mark.parametrize(
    ("epoch", "between"), [(3, 0.0), (3, 99.0), (6, 0.0)],
    ids=["in the head", "before its first checkpoint", "in the top blocks"],
)  # fmt: skip
def test_after_kill(whole: tuple[Settings, Path, Path], epoch: int, between: float) -> None:
    settings, data, uninterrupted = whole
    folder, lock = create_run(RunConfig(str(data), **RECIPE), settings)
    os.close(lock)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(epoch), str(between)],
        cwd=PROJECT,
        env={**os.environ, **settings.to_environment()},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    resume(folder, settings)
    assert [row[:2] for row in figures(folder, settings)] == [
        row[:2] for row in figures(uninterrupted, settings)
    ]
    for ours, theirs in zip(
        figures(folder, settings), figures(uninterrupted, settings), strict=True
    ):
        assert ours[2:] == pytest.approx(theirs[2:], abs=1e-6)


def test_the_same_seed_gives_the_same_weights_bit_for_bit(
    whole: tuple[Settings, Path, Path],
) -> None:
    settings, data, first = whole
    second = train(settings, RunConfig(str(data), **RECIPE))
    assert figures(first, settings) == figures(second, settings)
    assert weights_hash(first) == weights_hash(second)
    cold = replace(settings, home=settings.home.with_name("other"))
    third = train(cold, RunConfig(str(data), **RECIPE))  # nothing cached
    assert figures(first, settings) == figures(third, cold)
    assert weights_hash(first) == weights_hash(third)


def test_another_seed_gives_another_history(whole: tuple[Settings, Path, Path]) -> None:
    settings, data, first = whole
    other = train(settings, RunConfig(str(data), **RECIPE | {"fine_tune_epochs": 0}, seed=1))
    ours, theirs = (figures(folder, settings)[: RECIPE["epochs"]] for folder in (first, other))
    assert [row[:2] for row in ours] == [row[:2] for row in theirs]
    assert ours != theirs


@pytest.mark.parametrize(
    "options",
    [{}, {"on_the_fly_augmentation": True}, {"augmented_copies": 1}],
    ids=["cached", "free", "views"],
)
def test_batch_normalization_is_bit_identical_after_every_path(
    whole: tuple[Settings, Path, Path], options: dict[str, object]
) -> None:
    from tlcore.models.build import build_backbone
    from tlcore.models.predictions import ModelRef

    settings, data, folder = whole
    if options:
        short = RECIPE | {"epochs": 1, "fine_tune_epochs": 1} | options
        folder = train(settings, RunConfig(str(data), **short))
    trained = keras.models.load_model(folder / "model.keras", compile=False)
    base, _ = build_backbone(ModelRef(REAL["backbone"], REAL["size"], top=False), settings)
    found = [layer for layer in base.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(found) > 20
    for layer in found:
        for one, other in zip(
            layer.get_weights(), trained.get_layer(layer.name).get_weights(), strict=True
        ):
            assert one.tobytes() == other.tobytes(), layer.name


def test_a_finished_run_and_one_at_work_are_not_resumed(
    whole: tuple[Settings, Path, Path],
) -> None:
    settings, data, folder = whole
    with pytest.raises(RunError, match="has finished"):
        prepare_resume(folder.name, settings)
    working, lock = create_run(RunConfig(str(data)), settings)
    with pytest.raises(RunError, match="which is running"):
        prepare_resume(working.name, settings)
    os.close(lock)
    shutil.rmtree(working)
