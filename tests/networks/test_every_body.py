"""Every backbone without its top, built once each: what its row says, and each of its layers."""

from __future__ import annotations

import keras
import pytest

from tests.networks.test_walk import check_every_layer
from tlcore.networks.build import architecture
from tlcore.networks.catalogue import BACKBONES, Backbone
from tlcore.networks.freeze import cut_below, cuts

Body = tuple[Backbone, keras.Model]


@pytest.fixture(scope="module", params=BACKBONES.values(), ids=lambda row: row.name)
def body(request: pytest.FixtureRequest) -> Body:
    """A row of the catalogue and its network at the smallest size that the row says."""
    row: Backbone = request.param
    return row, architecture(row, row.smallest, top=False)


def test_a_row_says_what_keras_builds(body: Body) -> None:
    row, model = body
    assert model.input_shape == (None, row.smallest, row.smallest, 3)
    assert model.count_params() / 1e6 == pytest.approx(row.million, abs=0.0006)
    names = [layer.name for layer in model.layers]
    assert [names.index(name) for name in row.layers] == sorted(map(names.index, row.layers))
    assert all(len(model.get_layer(name).output.shape) == 4 for name in row.layers)
    assert set(row.layers[:-1]) <= set(cuts(model))
    assert row.unfreeze_from in names


def test_what_is_unfrozen_from_a_block_on_is_all_that_lies_above_its_cut(body: Body) -> None:
    row, model = body
    names = [layer.name for layer in model.layers]
    assert [names.index(name) for name in row.blocks] == sorted(map(names.index, row.blocks))
    for name in (*row.blocks, row.unfreeze_from):
        between = model.layers[names.index(cut_below(model, name)) + 1 : names.index(name)]
        assert [layer.name for layer in between if layer.weights] == [], name


def test_below_the_smallest_size_keras_refuses(body: Body) -> None:
    row, _ = body
    side = row.smallest - 1
    with pytest.raises(ValueError, match="Input size must be at least"):
        getattr(keras.applications, row.constructor)(
            weights=None, include_top=False, input_shape=(side, side, 3)
        )


def test_every_spatial_layer_equals_a_direct_model(body: Body) -> None:
    row, model = body
    check_every_layer(model, compiled=1 if row.name in ("MobileNetV2", "MobileNet") else 8)
