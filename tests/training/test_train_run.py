"""Small real trainings: what learns, what stays, what is kept, what comes out the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tests.images import write_patches
from tlcore.datasets.image_io import read_image
from tlcore.errors import RunError
from tlcore.models.build import build_backbone
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, Event, Progress, Stage
from tlcore.training.lifecycle import create_run
from tlcore.training.status import FAILED, FINISHED, STOPPED
from tlcore.training.store import load_run
from tlcore.training.transfer_model import load_run_model
from tlcore.training.worker import execute_run

SMALL = {"backbone": "MobileNet-0.25", "size": 32, "random_weights": True, "batch_size": 4}
REAL = {"backbone": "MobileNet-0.25", "size": 64, "batch_size": 4}


def run(settings: Settings, config: RunConfig, emit=lambda _: None) -> tuple[str, Path]:
    folder, lock = create_run(config, settings)
    try:
        return execute_run(folder, settings, emit=emit).status, folder
    finally:
        os.close(lock)


def test_a_head_learns_and_its_figures_are_those_of_the_saved_network(
    real: Settings, tmp_path: Path
) -> None:
    data = write_patches(tmp_path / "set")
    recipe = REAL | {"epochs": 15, "fine_tune_epochs": 1, "learning_rate": 0.01}
    state, folder = run(real, RunConfig(str(data), **recipe))
    found = load_run(folder.name, real)
    assert (state, found.info.val_accuracy) == (FINISHED, 1.0)
    assert [epoch.epoch for epoch in found.history] == list(range(1, 17))
    network = load_run_model(folder.name, real)
    assert network.labels == found.classes == ("blue", "green", "red")
    split = json.loads((folder / "split.json").read_text())
    right, losses = [], []
    for row in split["val"]:
        answer = network.predict(read_image(Path(row["path"]), real.limits))
        index = split["classes"].index(row["label"])
        right.append(answer.ranking(1)[0].index == index)
        losses.append(-np.log(answer.probabilities[index]))
    assert answer.source == "run"
    assert found.info.val_accuracy == pytest.approx(np.mean(right))
    assert found.info.val_loss == pytest.approx(np.mean(losses), abs=1e-5)


def test_fine_tuning_moves_what_is_unfrozen_and_nothing_else(
    real: Settings, tmp_path: Path
) -> None:
    data = write_patches(tmp_path / "set", classes=2)
    options = REAL | {"unfreeze_from": "conv_dw_12"}
    recipe = options | {"epochs": 1, "fine_tune_epochs": 2, "learning_rate": 0.01}
    _, folder = run(real, RunConfig(str(data), **recipe))
    trained = keras.models.load_model(folder / "model.keras", compile=False)
    base, _ = build_backbone(ModelRef("MobileNet-0.25", 64, top=False), real)
    names = [layer.name for layer in base.layers]
    for layer in base.layers:
        after = trained.get_layer(layer.name).get_weights()
        pairs = list(zip(layer.get_weights(), after, strict=True))
        normalises = isinstance(layer, keras.layers.BatchNormalization)
        learns = names.index(layer.name) >= names.index("conv_dw_12") and not normalises
        if pairs and learns:
            assert any((a != b).any() for a, b in pairs), layer.name
        for a, b in pairs if not learns else ():
            np.testing.assert_array_equal(a, b, err_msg=layer.name)
    stages = [epoch.stage for epoch in load_run(folder.name, real).history]
    assert stages == ["head", "fine-tune", "fine-tune"]


def test_fine_tuning_equals_plain_keras_run_on_whole_images(real: Settings, tmp_path: Path) -> None:
    """The activations computed once below the cut change nothing: same data order, same steps."""
    data = write_patches(tmp_path / "set", classes=2, each=5)
    options = REAL | {"batch_size": 64, "dropout": 0.0}  # one step an epoch: no order to differ
    config = RunConfig(str(data), epochs=2, fine_tune_epochs=3, **options)
    _, folder = run(real, config)
    ours = [epoch.val_loss for epoch in load_run(folder.name, real).history]

    from tlcore.models.build import add_head, freeze_base, unfreeze_from
    from tlcore.models.catalog import preprocess

    base, _ = build_backbone(ModelRef("MobileNet-0.25", 64, top=False), real)
    model = add_head(base, 2, seed=0)
    split = json.loads((folder / "split.json").read_text())

    def arrays(part: str) -> tuple[np.ndarray, np.ndarray]:
        from tlcore.datasets.geometry import fit

        pixels = [fit(read_image(Path(row["path"]), real.limits), 64) for row in split[part]]
        labels = [[float(row["label"] == split["classes"][1])] for row in split[part]]
        return preprocess(np.stack(pixels), "MobileNet-0.25"), np.array(labels)

    train, val = arrays("train"), arrays("val")
    logits = keras.Model(model.input, model.get_layer("logits").output)
    theirs = []
    freeze_base(base)
    for epochs, rate in ((2, config.learning_rate), (3, config.fine_tune_learning_rate)):
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        logits.compile(keras.optimizers.Adam(rate), loss)
        theirs += logits.fit(
            *train, validation_data=val, epochs=epochs, batch_size=64, verbose=0
        ).history["val_loss"]
        unfreeze_from(base, config.unfreeze_from)
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_stop_ends_within_a_batch_and_keeps_the_network(settings: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "set")
    after_stop: list[Event] = []

    def emit(event: Event) -> None:
        stop = next(settings.runs.glob("[!.]*")) / "stop"
        if stop.exists():
            after_stop.append(event)
        elif isinstance(event, Epoch) and event.epoch == 3:
            stop.touch()

    state, folder = run(settings, RunConfig(str(data), epochs=1000, **SMALL), emit)
    assert state == STOPPED
    assert all(isinstance(event, Progress) for event in after_stop)
    assert len(load_run(folder.name, settings).history) == 3
    assert load_run_model(folder.name, settings).labels == ("blue", "green", "red")


@pytest.mark.parametrize("stage", ["features", "head"])
def test_stop_before_the_first_epoch_leaves_no_network(
    settings: Settings, tmp_path: Path, stage: str
) -> None:
    data = write_patches(tmp_path / "set")

    def emit(event: Event) -> None:
        if isinstance(event, Stage) and event.stage == stage:
            (next(settings.runs.glob("[!.]*")) / "stop").touch()

    state, folder = run(settings, RunConfig(str(data), **SMALL), emit)
    assert state == STOPPED
    with pytest.raises(RunError, match="is stopped and has none"):
        load_run_model(folder.name, settings)


@pytest.mark.parametrize("pooling", [pytest.param("max", marks=pytest.mark.full), "flatten"])
def test_images_of_any_mode_train_and_an_unreadable_one_is_named(
    pooling: str, settings: Settings, tmp_path: Path
) -> None:
    data = write_patches(tmp_path / "set", each=4)
    Image.new("L", (40, 60), 90).save(data / "red" / "grey.png")
    Image.new("RGBA", (40, 60), (1, 2, 3, 4)).save(data / "red" / "alpha.png")
    (data / "red" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    state, folder = run(settings, RunConfig(str(data), pooling=pooling, epochs=1, **SMALL))
    assert state == FINISHED
    [skipped] = load_run(folder.name, settings).skipped
    assert skipped.file == "red/broken.png"
    assert "broken.png" in skipped.reason


def torn(folder: Path) -> None:
    for path in sorted((write_patches(folder) / "red").iterdir()):
        path.write_bytes(b"\x89PNG\r\n\x1a\n torn " + path.name.encode())


@pytest.mark.parametrize(
    ("build_data", "options", "said"),
    [
        (lambda folder: write_patches(folder, classes=1), {}, "at least two classes"),
        (lambda folder: write_patches(folder, each=1), {}, "validation"),
        (lambda folder: folder.mkdir(), {}, "class"),
        (torn, {}, "none that can be read of red"),
        (write_patches, {"random_weights": False}, "python -m tlcore weights fetch"),
        (
            write_patches,
            {"fine_tune_epochs": 1, "unfreeze_from": "conv_dw_99"},
            "Received 'conv_dw_99'",
        ),
    ],
)
def test_what_cannot_be_learned_fails_with_its_reason(
    build_data: Callable[[Path], object],
    options: dict[str, Any],
    said: str,
    settings: Settings,
    tmp_path: Path,
) -> None:
    build_data(tmp_path / "set")
    state, folder = run(settings, RunConfig(str(tmp_path / "set"), **SMALL | options))
    found = load_run(folder.name, settings)
    assert state == FAILED
    assert said in found.info.error
    assert found.history == ()
