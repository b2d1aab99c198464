"""Every row of the catalogue against the installed Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from tests.backbones import get_preprocessing
from tlcore.errors import BadConfig, UnknownName
from tlcore.models.build import build_architecture
from tlcore.models.catalog import BACKBONES, Backbone, get_backbone
from tlcore.models.imagenet import imagenet_classes
from tlcore.models.weights import weights_file_name, weights_url
from tlcore.settings import Settings

FULL_WIDTH = [row for row in BACKBONES.values() if row.alpha in (None, 1.0)]


class Asked(Exception):
    """Keras asked for a file: (name, address, hash)."""


@pytest.mark.parametrize("top", [True, False])
def test_files_addresses_and_hashes_are_those_keras_asks_for(
    row: Backbone, top: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(fname: str, origin: str, **options: object) -> None:
        raise Asked(fname, origin, options.get("file_hash") or "")

    constructor = getattr(keras.applications, row.constructor)
    monkeypatch.setattr(file_utils, "get_file", ask)
    options = {"alpha": row.alpha} if row.alpha else {}
    with pytest.raises(Asked) as asked, keras.StatelessScope():  # shapes only: no values drawn
        constructor(
            weights="imagenet", include_top=top, input_shape=(row.size, row.size, 3), **options
        )
    expected = row.files.top_hash if top else row.files.no_top_hash
    name = weights_file_name(row, row.size, top=top)
    assert asked.value.args == (name, weights_url(row, row.size, settings, top=top), expected)


@pytest.mark.parametrize("backbone", FULL_WIDTH, ids=lambda row: row.name)
def test_mode_is_what_the_preprocessing_does(backbone: Backbone) -> None:
    pixel = np.array([[[[0.0, 127.5, 255.0]]]], np.float32)  # R, G, B
    means, deviations = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = {
        "tf": [-1, 0, 1],
        "caffe": [255 - 103.939, 127.5 - 116.779, 0 - 123.68],  # B, G, R less their means
        "torch": (np.array([0, 0.5, 1]) - means) / deviations,
        "inside": [0, 127.5, 255],
    }[backbone.mode]
    assert get_preprocessing(backbone)(pixel.copy())[0, 0, 0] == pytest.approx(expected, abs=1e-4)


def test_layer_names_do_not_depend_on_what_was_built_before() -> None:
    row = get_backbone("Xception")
    first = [layer.name for layer in build_architecture(row, 71, top=False).layers]
    second = [layer.name for layer in build_architecture(row, 71, top=False).layers]
    assert first == second
    assert "add_11" in second


@pytest.mark.parametrize(
    ("name", "size", "top", "said"),
    [
        ("MobileNetV2", 160, False, ""),
        ("Xception", 200, False, ""),
        ("VGG16", 224, True, ""),
        ("MobileNetV2", 31, False, "from 32 to 1024"),
        ("Xception", 70, False, "from 71"),
        ("VGG16", 160, True, "Expected 224 px"),
        ("ResNet50", 5000, False, "Received 5000"),
    ],
)
def test_sizes(name: str, size: int, top: bool, said: str) -> None:
    row = get_backbone(name)
    if said:
        with pytest.raises(BadConfig, match=said):
            row.check_size(size, top=top)
    else:
        assert row.check_size(size, top=top) == size


def test_an_unknown_backbone_lists_the_known() -> None:
    with pytest.raises(UnknownName, match=r"MobileNetV2.*Received 'AlexNet'"):
        get_backbone("AlexNet")


def test_the_class_names_are_keras_own(shared: object) -> None:
    wnids, labels = imagenet_classes()
    assert len(wnids) == len(labels) == 1000
    assert list(wnids) == sorted(wnids)
    assert (wnids[0], labels[0]) == ("n01440764", "tench")
    assert (wnids[999], labels[999]) == ("n15075141", "toilet_tissue")
