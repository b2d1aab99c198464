"""The weights that a run keeps are those of its lowest validation loss, and it says after which
epoch that loss has turned."""

from __future__ import annotations

import html
import json
import os
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.evaluation.made import write_splits
from tests.training.test_train_run import REAL, run
from tlcore.datasets.image_io import read_image
from tlcore.errors import RunError
from tlcore.exports.report import write_report
from tlcore.models.build import build_backbone
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.storage import write_json
from tlcore.training.checkpoint import VERSION, Checkpoint, initial_checkpoint, save_checkpoint
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, EventLog
from tlcore.training.lifecycle import create_run, prepare_resume
from tlcore.training.run import describe_overfitting
from tlcore.training.status import FINISHED, STOPPED, FinalStatus, write_final_status
from tlcore.training.store import load_model_predictions, load_run
from tlcore.training.transfer_model import load_run_model


def write_contradicted(folder: Path) -> Path:
    """Images to judge by of which some have the wrong label: the surer a head, the greater its
    loss on them."""
    write_splits(folder, {"train": {"ants": 8, "bees": 8}, "val": {"ants": 8, "bees": 8}})
    for number in range(3):
        ant, bee = (folder / "val" / label / f"0{number}.png" for label in ("ants", "bees"))
        pixels = ant.read_bytes()
        ant.write_bytes(bee.read_bytes())
        bee.write_bytes(pixels)
    return folder


def saved_model_on_validation(folder: Path, settings: Settings) -> tuple[float, dict[str, int]]:
    """The saved model's mean log loss on the run's validation images, and its class for each."""
    network = load_run_model(folder.name, settings)
    split = json.loads((folder / "split.json").read_text())
    answers = [
        network.predict(read_image(Path(row["path"]), settings.limits)) for row in split["val"]
    ]
    right = [split["classes"].index(row["label"]) for row in split["val"]]
    shares = [answer.probabilities[index] for answer, index in zip(answers, right, strict=True)]
    hashes = [row["sha256"] for row in split["val"]]
    classes = [int(np.argmax(answer.probabilities)) for answer in answers]
    loss = float(-np.log(np.array(shares, np.float64)).mean())
    return loss, dict(zip(hashes, classes, strict=True))


def test_the_network_is_the_one_with_the_lowest_validation_loss(
    real: Settings, tmp_path: Path
) -> None:
    data = write_contradicted(tmp_path / "set")
    recipe = REAL | {"epochs": 12, "fine_tune_epochs": 2, "learning_rate": 0.1}
    state, folder = run(real, RunConfig(str(data), **recipe))
    assert state == FINISHED
    found = load_run(folder.name, real)
    assert len(found.history) == 14  # nothing ends early
    losses = [epoch.val_loss for epoch in found.history]
    best = found.history[int(np.argmin(losses))]
    assert best.epoch < 12
    assert losses[-1] > 1.1 * best.val_loss
    loss, classes = saved_model_on_validation(folder, real)
    assert loss == pytest.approx(best.val_loss, rel=1e-4)
    stored = load_model_predictions(found.info)  # although the fine-tuned weights came last
    assert {sha256: predicted for sha256, (_, predicted) in stored.items()} == classes
    assert load_model_predictions(replace(found.info, best_epoch=13)) == {}  # another model's
    info = found.info
    assert (info.val_loss, info.val_accuracy) == (best.val_loss, best.val_accuracy)
    assert info.best_epoch == best.epoch
    assert describe_overfitting(found) == (
        f"Validation loss was lowest after epoch {best.epoch} ({best.val_loss:.3g}), before the "
        f"top blocks were trained, and rose after it, to {losses[-1]:.3g} after epoch 14. "
        f"The weights of epoch {best.epoch} are kept."
    )
    write_report(folder.name, tmp_path / "report.html", real, lambda *_: None)
    report = html.unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert describe_overfitting(found) in report
    assert f"Those of epoch {best.epoch}, where the validation loss was lowest." in report
    untouched, _ = build_backbone(ModelRef("MobileNet-0.25", 64, top=False), real)
    train_run = keras.models.load_model(folder / "model.keras", compile=False)
    for layer in untouched.layers:
        for one, other in zip(
            layer.get_weights(), train_run.get_layer(layer.name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other, err_msg=layer.name)


def written(
    settings: Settings, losses: list[float], *, kept: int, ended: bool = True, patience: int = 0
) -> str:
    """A run with these validation losses, as its process writes it down; its id."""
    config = RunConfig("set", epochs=max(1, len(losses)), patience=patience)
    folder, lock = create_run(config, settings)
    log = EventLog(folder / "events.jsonl")
    for number, loss in enumerate(losses, 1):
        log.write(Epoch(number, "head", 0.1, 0.9, loss, 0.9, 0.1))
    log.close()
    write_json(folder / "provenance.json", {"images": {"train": 40, "val": 40}})
    (folder / "model.keras").touch()
    if ended:
        outcome = FinalStatus(FINISHED, 1.0, 0.9, val_loss=0.3, epochs=len(losses), best_epoch=kept)
        write_final_status(folder, outcome)
        os.close(lock)
    return folder.name


LOWEST = "Validation loss was lowest after epoch 2 (0.26)"
ROSE = f"{LOWEST} and rose after it, to 0.61 after epoch 3."
RISING, KEPT = [0.5, 0.26, 0.61], "The weights of epoch 2 are kept"
LAST = "This run kept the weights of its last epoch: run it again, and those of the best epoch are"


@pytest.mark.parametrize(
    ("losses", "options", "words"),
    [
        ([0.5, 0.4, 0.3], {"kept": 3}, ""),
        ([], {"kept": 0}, ""),
        (RISING, {"kept": 2}, f"{ROSE} {KEPT}."),
        ([0.5, 0.26, 0.261], {"kept": 2}, f"{LOWEST}. {KEPT}."),
        ([0.5, 0.26, 0.26], {"kept": 2}, f"{LOWEST}. {KEPT}."),
        (RISING, {"kept": 0, "ended": False}, f"{ROSE} {KEPT} so far."),
        (RISING, {"kept": 0, "patience": 1}, f"{ROSE} {KEPT}."),  # of an earlier release
        (RISING, {"kept": 0}, f"{ROSE} {LAST} kept."),
    ],
)
def test_a_run_says_after_which_epoch_its_loss_has_turned(
    losses: list[float], options: dict[str, int], words: str, settings: Settings
) -> None:
    assert describe_overfitting(load_run(written(settings, losses, **options), settings)) == words


def test_what_was_learned_on_another_efficientnet_is_not_gone_on_with(settings: Settings) -> None:
    """Since the checkpoint was written, the network has got a layer more."""
    config = RunConfig("set", backbone="EfficientNetB0", size=64)
    folder, lock = create_run(config, settings)
    values = {"weights": np.zeros(3, np.float32)}
    reached = Checkpoint("head", 2, 2, 1.0, values, {}, 0.5, 0.9, 0, version=1)
    save_checkpoint(folder / "checkpoint.npz", reached)
    write_final_status(folder, FinalStatus(STOPPED, 1.0, 0.9, epochs=2))
    os.close(lock)
    with pytest.raises(RunError, match="Run it again"):
        prepare_resume(folder.name, settings)
    assert load_run(folder.name, settings).info.status == STOPPED
    assert initial_checkpoint(config).version == VERSION
