"""Every layer of a network that a run has fine-tuned, against one plain Keras model of them all."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from tests.activations.test_extract import check_every_layer
from tests.images import write_patches
from tests.training.test_train_run import REAL, run
from tlcore.activations.layers import have_same_weights, read_graph
from tlcore.models.build import build_backbone, flatten
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.status import FINISHED
from tlcore.training.transfer_model import load_run_model

CUT = "conv_dw_12"  # the first layer that learns


def fine_tuned(settings: Settings, folder: Path) -> keras.Model:
    data = write_patches(folder / "set", classes=2)
    recipe = RunConfig(
        str(data), epochs=1, fine_tune_epochs=2, learning_rate=0.01, unfreeze_from=CUT, **REAL
    )
    state, where = run(settings, recipe)
    assert state == FINISHED
    return load_run_model(where.name, settings).model


@pytest.mark.parametrize(
    "nested",
    [pytest.param(False, id="flat"), pytest.param(True, id="nested", marks=pytest.mark.full)],
)
def test_every_layer_of_a_fine_tuned_run(nested: bool, real: Settings, tmp_path: Path) -> None:
    model = fine_tuned(real, tmp_path)
    before, _ = build_backbone(ModelRef("MobileNet-0.25", 64, top=False), real)
    learned, old = model.get_layer("conv_pw_13").get_weights(), before.get_layer("conv_pw_13")
    assert any((a != b).any() for a, b in zip(learned, old.get_weights(), strict=True))
    first, second = read_graph(before), read_graph(model)
    assert have_same_weights(first, second, "conv_pw_11_relu")
    assert not have_same_weights(first, second, "conv_pw_13")
    if nested:
        image = keras.Input(model.input_shape[1:])
        whole = keras.Model(image, model(keras.layers.ReLU(name="before")(image)))
        model = flatten(whole)
        assert model.get_layer("conv_pw_13")
    check_every_layer(model)
