"""The layer list of a run says what learned: unfrozen blocks and the head, no normalisation."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import keras
import pytest

from tests.images import write_patches
from tests.training.test_train import SMALL, run
from tlcore.inference.activation_tasks import list_layers
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.storage import write_json
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, EventLog
from tlcore.training.lifecycle import create_run
from tlcore.training.status import FINISHED, STOPPED
from tlcore.training.transfer_model import TransferModel, load_run_model


@pytest.mark.parametrize("fine_tuned", [True, False], ids=["fine-tuned", "head alone"])
def test_the_list_says_what_learned(fine_tuned: bool, settings: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "set", classes=2)
    recipe = RunConfig(
        str(data),
        epochs=int(not fine_tuned),  # on random weights a head's epoch may be the best one
        fine_tune_epochs=int(fine_tuned),
        unfreeze_from="conv_pw_12",
        hidden_units=(4,),
        **SMALL,
    )
    state, folder = run(settings, recipe)
    assert state == FINISHED
    rows = {
        place.layer.name: place.layer for place in list_layers(ModelRef(run=folder.name), settings)
    }
    learned = {row.name for row in rows.values() if row.trainable and row.parameters}
    body = {"conv_pw_12", "conv_dw_13", "conv_pw_13"} if fine_tuned else set()
    assert learned == body | {"dense_1", "logits"}
    model = load_run_model(folder.name, settings).model
    changed = {weight.path.split("/")[0] for weight in model.trainable_weights}
    assert changed == learned
    normalised = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert not any(layer.trainable for layer in normalised)


def test_a_run_stopped_before_fine_tuning_has_learned_its_head_alone(
    settings: Settings, tmp_path: Path
) -> None:
    data = write_patches(tmp_path / "set", classes=2)
    recipe = RunConfig(str(data), epochs=1, fine_tune_epochs=1, **SMALL)

    def stop_after_the_head(event: object) -> None:
        if type(event).__name__ == "Epoch":
            (next(settings.runs.glob("[!.]*")) / "stop").touch()

    state, folder = run(settings, recipe, stop_after_the_head)
    assert state == STOPPED
    rows = [place.layer for place in list_layers(ModelRef(run=folder.name), settings)]
    assert [row.name for row in rows if row.trainable and row.parameters] == ["logits"]


def test_what_learned_inside_a_nested_model_is_said(settings: Settings) -> None:
    """ConvNeXt from its last downsampling block on, which is a model of its own."""
    block = "convnext_tiny_downsampling_block_2"
    recipe = RunConfig(
        "set", backbone="ConvNeXtTiny", size=32, random_weights=True, unfreeze_from=block
    )
    folder, lock = create_run(recipe, settings)
    os.close(lock)
    whole = TransferModel(recipe, 2, settings)
    trained = sorted(tuple(weight.shape) for weight in whole.top().trainable_weights)
    whole.save(folder)
    write_json(folder / "split.json", {"classes": ["a", "b"], "train": [], "val": []})
    epoch = Epoch(1, "fine-tune", 0.5, 0.5, 0.5, 0.5, 1.0)
    with closing(EventLog(folder / "events.jsonl")) as log:
        log.write(epoch)
    rows = {
        place.layer.name: place.layer for place in list_layers(ModelRef(run=folder.name), settings)
    }
    inner = f"{block}/convnext_tiny_downsampling_conv_2"
    assert rows[block].trainable
    assert rows[inner].trainable
    assert not rows[inner.replace("_2", "_1")].trainable
    model = load_run_model(folder.name, settings).model
    assert sorted(tuple(weight.shape) for weight in model.trainable_weights) == trained
