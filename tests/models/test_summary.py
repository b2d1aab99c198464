"""Layers, parameters and the path of shapes against Keras' own counts."""

from __future__ import annotations

import keras
import pytest

from tests.models.test_gradcam import flat_head, nested_head, network
from tlcore.activations.extract import get_layer_outputs
from tlcore.activations.layers import list_layers
from tlcore.models.build import build_architecture, freeze_base, unfreeze_from
from tlcore.models.catalog import BACKBONES, get_backbone
from tlcore.models.loaded_model import compute_shape_path, load_pretrained
from tlcore.models.predictions import ModelRef
from tlcore.models.summary import summarize
from tlcore.settings import Settings


@pytest.mark.parametrize(
    ("name", "size", "shape", "total"),
    [
        ("MobileNetV2", 160, (5, 5, 1280), 2_257_984),
        ("MobileNetV2", 128, (4, 4, 1280), 2_257_984),
        pytest.param("Xception", 200, (7, 7, 2048), 20_861_480, marks=pytest.mark.full),
    ],
)
def test_summary_of_a_frozen_base(name: str, size: int, shape: tuple[int, ...], total: int) -> None:
    model = build_architecture(get_backbone(name), size, top=False)
    freeze_base(model)
    summary = summarize(model)
    assert summary.layers[-1].output_shape == shape
    assert (summary.total, summary.trainable, summary.non_trainable) == (total, 0, total)
    assert sum(layer.parameters for layer in summary.layers) == total


def test_summary_says_what_keras_prints() -> None:
    model = build_architecture(get_backbone("MobileNet-0.25"), 64, top=True)
    printed: list[str] = []
    model.summary(print_fn=printed.append, line_length=200)
    summary = summarize(model)
    assert all(f"{layer.name} ({layer.type})" in printed[0] for layer in summary.layers)
    assert f"Trainable params: {summary.trainable:,}" in printed[0]


def test_path_of_mobilenet_v2_at_160(settings: Settings) -> None:
    loaded = load_pretrained(ModelRef("MobileNetV2", 160, random=True), settings)
    path = compute_shape_path(loaded, 4)
    assert (path.input, path.bottleneck) == ((160, 160, 3), (5, 5, 1280))
    assert (path.body_parameters, path.learned_parameters) == (2_257_984, 0)
    assert [layer.output_shape for layer in path.top] == [(1280,), (1000,)]
    assert path.top_parameters == 1280 * 1000 + 1000
    assert [(head.pooling, head.pooled, head.units, head.parameters) for head in path.heads] == [
        ("avg", (1280,), 4, 1280 * 4 + 4),
        ("max", (1280,), 4, 1280 * 4 + 4),
        ("flatten", (5 * 5 * 1280,), 4, 5 * 5 * 1280 * 4 + 4),
    ]
    rows = list_layers(get_layer_outputs(loaded).graph)
    assert path.body_layers == sum(row.layer.spatial for row in rows) == 154  # one way to count


FULL = [pytest.param(name, marks=pytest.mark.full) for name in ("EfficientNetB0", "ConvNeXtTiny")]


@pytest.mark.parametrize("name", ["MobileNet-0.25", *FULL])
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
    assert [head.units for head in path.heads] == [1, 1, 1]


@pytest.mark.parametrize("build", [flat_head, nested_head])
def test_path_of_a_run_flat_or_nested_and_what_it_fine_tuned(build: object) -> None:
    loaded = network(keras.models.clone_model(build(3)), 3)
    freeze_base(loaded.model)
    unfreeze_from(loaded.model, "conv_pw_13")
    path = compute_shape_path(loaded, 3)
    assert (path.bottleneck, path.body_parameters) == ((2, 2, 256), 218_544)
    assert path.top[-1].output_shape == (1000,)  # what the top would be, built to be counted
    assert path.pooling == "avg"
    assert path.learned_from == "conv_pw_13"
    assert path.learned_parameters == 256 * 256  # one pointwise convolution, no bias
