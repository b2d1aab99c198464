"""The layer list and the feature maps against plain Keras."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tlcore.errors import UnknownName
from tlcore.models.build import architecture, freeze_base
from tlcore.models.catalog import backbone
from tlcore.models.layers import graph, summarize
from tlcore.models.model import load_pretrained
from tlcore.models.predictions import ModelRef
from tlcore.settings import Limits, Settings


@pytest.mark.parametrize(
    ("name", "size", "shape", "total"),
    [
        ("MobileNetV2", 160, (5, 5, 1280), 2_257_984),
        ("MobileNetV2", 128, (4, 4, 1280), 2_257_984),
        ("Xception", 200, (7, 7, 2048), 20_861_480),
    ],
)
def test_summary_of_a_frozen_base(name: str, size: int, shape: tuple[int, ...], total: int) -> None:
    model = architecture(backbone(name), size, top=False)
    freeze_base(model)
    summary = summarize(model)
    assert summary.layers[-1].output_shape == shape
    assert (summary.total, summary.trainable, summary.non_trainable) == (total, 0, total)
    assert sum(layer.parameters for layer in summary.layers) == total


def test_summary_says_what_keras_prints() -> None:
    model = architecture(backbone("MobileNet-0.25"), 64, top=True)
    printed: list[str] = []
    model.summary(print_fn=printed.append, line_length=200)
    summary = summarize(model)
    for layer in summary.layers:
        assert f"{layer.name} ({layer.type})" in printed[0]
    assert f"Trainable params: {summary.trainable:,}" in printed[0]


def test_connections_of_a_residual_block() -> None:
    rows = {
        row.name: row for row in summarize(architecture(backbone("ResNet50"), 64, top=False)).layers
    }
    assert rows["conv2_block1_add"].connected_to == ("conv2_block1_0_bn", "conv2_block1_3_bn")


def nested() -> keras.Model:
    """A small network of each kind of nesting: functional, sequential, one inside the other."""
    keras.utils.set_random_seed(1)
    inner_input = keras.Input((8, 8, 4))
    inner = keras.Model(
        inner_input,
        keras.layers.Add()(
            [keras.layers.Conv2D(4, 3, padding="same", name="c")(inner_input), inner_input]
        ),
        name="residual",
    )
    block = keras.Sequential(
        [keras.layers.Conv2D(4, 3, strides=2, padding="same", name="a"), inner], name="block"
    )
    image = keras.Input((16, 16, 3))
    tensor = keras.layers.ReLU(name="end")(block(keras.layers.Rescaling(2.0, name="scale")(image)))
    return keras.Model(image, keras.layers.Flatten(name="flat")(tensor))


def test_layers_of_nested_models_are_listed_by_path() -> None:
    names = graph(nested()).spatial
    assert "block/a" in names
    assert "block/residual/c" in names
    assert "end" in names
    assert "flat" not in names


def test_maps_inside_a_nested_model_equal_its_parts_run_by_hand() -> None:
    model = nested()
    pixels = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    block = model.get_layer("block")
    a = block.layers[0](pixels * 2.0)
    c = block.layers[1].get_layer("c")(a)
    opened = graph(model)
    np.testing.assert_allclose(opened.to("block/a")(pixels), a, atol=1e-6)
    np.testing.assert_allclose(opened.to("block/residual/c")(pixels), c, atol=1e-6)
    np.testing.assert_allclose(opened.to("end")(pixels), np.maximum(c + a, 0), atol=1e-5)


def test_a_layer_without_maps_is_refused_with_the_list() -> None:
    with pytest.raises(UnknownName, match=r"block/residual/c.*Received 'flat'"):
        graph(nested()).to_spatial("flat")


@pytest.mark.parametrize("name", ["MobileNetV2", "ConvNeXtTiny", "InceptionV3"])
def test_every_spatial_layer_of_a_random_network_has_maps(name: str) -> None:
    row = backbone(name)
    model = architecture(row, 96, top=False)
    opened = graph(model)
    pixels = np.random.default_rng(0).random((1, 96, 96, 3), np.float32)
    everything = keras.Model(opened.input, [opened.outputs[layer] for layer in opened.spatial])
    for layer, maps in zip(opened.spatial, everything(pixels), strict=True):
        assert maps.shape[1:] == tuple(opened.outputs[layer].shape[1:])
    np.testing.assert_allclose(model(pixels), opened.to(opened.spatial[-1])(pixels), atol=1e-5)


def test_maps_of_a_photograph_equal_plain_keras_at_every_layer(
    real: Settings, photos: list[Path]
) -> None:
    from tlcore.datasets.image_io import read

    image = read(photos[0], Limits())
    network = load_pretrained(ModelRef("MobileNetV2", 224, top=False), real)
    plain = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(224, 224, 3)
    )
    plain.load_weights(
        real.weights / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    )
    inputs = keras.applications.mobilenet_v2.preprocess_input(
        central_crop(image, 224).astype(np.float32)
    )[None]
    names = [layer.name for layer in plain.layers if len(layer.output.shape) == 4][1:]
    assert names == list(network.graph.spatial)[1:]
    wanted = keras.Model(plain.input, [plain.get_layer(name).output for name in names])(inputs)
    mine = network.graph
    found = keras.Model(mine.input, [mine.outputs[name] for name in names])(inputs)
    for name, expected, maps in zip(names, wanted, found, strict=True):
        np.testing.assert_allclose(maps, expected, atol=1e-5, err_msg=name)
    for name, expected in list(zip(names, wanted, strict=True))[::19]:  # each its own sub-model
        np.testing.assert_allclose(
            network.activations(image, name).maps, expected[0], atol=1e-5, err_msg=name
        )


def central_crop(image: Image.Image, size: int) -> np.ndarray:
    from tlcore.datasets.geometry import fit

    return fit(image, size, "crop")
