"""The layers and parameters of a model against Keras' own summary."""

from __future__ import annotations

import pytest

from tlcore.models.build import build_architecture, freeze_base
from tlcore.models.catalog import get_backbone
from tlcore.models.summary import summarize


@pytest.mark.parametrize(
    ("name", "size", "shape", "total"),
    [
        ("MobileNetV2", 160, (5, 5, 1280), 2_257_984),
        ("MobileNetV2", 128, (4, 4, 1280), 2_257_984),
        ("Xception", 200, (7, 7, 2048), 20_861_480),
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
    for layer in summary.layers:
        assert f"{layer.name} ({layer.type})" in printed[0]
    assert f"Trainable params: {summary.trainable:,}" in printed[0]


def test_connections_of_a_residual_block() -> None:
    summary = summarize(build_architecture(get_backbone("ResNet50"), 64, top=False))
    rows = {row.name: row for row in summary.layers}
    assert rows["conv2_block1_add"].connected_to == ("conv2_block1_0_bn", "conv2_block1_3_bn")
