"""The layer list of a run says what learned: unfrozen blocks and the head, no normalisation."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.images import write_patches
from tests.training.test_train_run import SMALL, run
from tlcore.inference.tasks import list_layers
from tlcore.models.build import add_head, unfreeze_from
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.storage import write_json
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, EventLog
from tlcore.training.lifecycle import create_run
from tlcore.training.status import FINISHED, STOPPED
from tlcore.training.transfer_model import load_run_model


def learned(run_id: str, settings: Settings) -> set[str]:
    rows = [info.layer for info in list_layers(ModelRef(run=run_id), settings)]
    return {row.name for row in rows if row.trainable and row.parameters}


def test_the_list_says_what_learned(settings: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "set", classes=2)
    recipe = RunConfig(
        str(data), epochs=0, fine_tune_epochs=1, unfreeze_from="conv_pw_12", hidden_units=(4,),
        **SMALL,
    )  # fmt: skip
    state, folder = run(settings, recipe)
    assert state == FINISHED
    names = learned(folder.name, settings)
    assert names == {"conv_pw_12", "conv_dw_13", "conv_pw_13", "dense_1", "logits"}
    model = load_run_model(folder.name, settings).model
    assert {weight.path.split("/")[0] for weight in model.trainable_weights} == names
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
    assert learned(folder.name, settings) == {"logits"}


@pytest.mark.full  # the normal run builds a nested one in test_backbones
def test_a_nested_backbone_that_was_saved_is_loaded_flat(settings: Settings) -> None:
    """ConvNeXt as it was saved before, from its last downsampling block on, a nested model."""
    block = "convnext_tiny_downsampling_block_2"
    recipe = RunConfig(
        "set", backbone="ConvNeXtTiny", size=32, random_weights=True, unfreeze_from=block
    )
    folder, lock = create_run(recipe, settings)
    os.close(lock)
    base = keras.applications.ConvNeXtTiny(
        include_top=False, weights=None, input_shape=(32, 32, 3), name="convnext_tiny"
    )
    model = add_head(base, 2)
    unfreeze_from(model, block)
    model.save(folder / "model.keras")
    write_json(folder / "split.json", {"classes": ["a", "b"], "train": [], "val": []})
    epoch = Epoch(1, "fine-tune", 0.5, 0.5, 0.5, 0.5, 1.0)
    with closing(EventLog(folder / "events.jsonl")) as log:
        log.write(epoch)
    infos = list_layers(ModelRef(run=folder.name), settings)
    rows = {info.layer.name: info.layer for info in infos}
    assert rows["convnext_tiny_downsampling_conv_2"].trainable
    assert not rows["convnext_tiny_downsampling_conv_1"].trainable
    loaded = load_run_model(folder.name, settings)
    batch = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    before = keras.Model(model.input, model.get_layer("logits").output)(batch, training=False)
    np.testing.assert_array_equal(loaded.model(batch, training=False), before)
