"""The path of shapes against Keras' own counts."""

from __future__ import annotations

import keras
import pytest

from tests.models.test_gradcam import flat_head, nested_head, network
from tlcore.models.build import freeze_base, unfreeze_from
from tlcore.models.catalog import BACKBONES
from tlcore.models.loaded_model import compute_shape_path, load_pretrained
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings


def test_mobilenet_v2_at_160(settings: Settings) -> None:
    loaded = load_pretrained(ModelRef("MobileNetV2", 160, random=True), settings)
    path = compute_shape_path(loaded, 4)
    assert path.input == (160, 160, 3)
    assert path.bottleneck == (5, 5, 1280)
    assert path.body_parameters == 2_257_984
    assert path.learned_parameters == 0
    assert [layer.output_shape for layer in path.top] == [(1280,), (1000,)]
    assert path.top_parameters == 1280 * 1000 + 1000
    by_pooling = {head.pooling: head for head in path.heads}
    assert by_pooling["avg"].pooled == by_pooling["max"].pooled == (1280,)
    assert by_pooling["avg"].parameters == 1280 * 4 + 4
    assert by_pooling["flatten"].pooled == (5 * 5 * 1280,)
    assert by_pooling["flatten"].parameters == 5 * 5 * 1280 * 4 + 4
    assert path.body_seconds > 0
    assert path.head_seconds > 0


@pytest.mark.parametrize("name", ["MobileNet-0.25", "EfficientNetB0", "ConvNeXtTiny"])
def test_other_networks_end_where_keras_without_the_top_ends(name: str, settings: Settings) -> None:
    row = BACKBONES[name]
    whole = load_pretrained(ModelRef(name, 64, random=True), settings)
    path = compute_shape_path(whole, 2)
    options = {"alpha": row.alpha} if row.alpha else {}
    constructor = getattr(keras.applications, row.constructor)
    with keras.StatelessScope():  # shapes only: no values drawn
        bare = constructor(weights=None, include_top=False, input_shape=(64, 64, 3), **options)
    assert path.bottleneck == bare.output_shape[1:]
    # ConvNeXt without its top ends in a normalisation that its top has behind the pooling
    after = bare.layers[-1].count_params() if name == "ConvNeXtTiny" else 0
    assert path.body_parameters == bare.count_params() - after
    assert path.body_parameters + path.top_parameters == whole.model.count_params()


@pytest.mark.parametrize("build", [flat_head, nested_head])
def test_a_runs_network_flat_or_nested(build: object) -> None:
    path = compute_shape_path(network(build(3), 3), 3)
    assert path.bottleneck == (2, 2, 256)
    assert path.body_parameters == 218_544
    assert path.top[-1].output_shape == (1000,)  # what the top would be, built to be counted
    assert path.pooling == "avg"
    [mine] = [head for head in path.heads if head.pooling == "avg"]
    assert mine.parameters == 256 * 3 + 3


def test_fine_tuned_blocks_are_counted_without_batch_normalization() -> None:
    loaded = network(keras.models.clone_model(flat_head(3)), 3)
    freeze_base(loaded.model)
    unfreeze_from(loaded.model, "conv_pw_13")
    path = compute_shape_path(loaded, 3)
    assert path.learned_from == "conv_pw_13"
    assert path.learned_parameters == 256 * 256  # one pointwise convolution, no bias
