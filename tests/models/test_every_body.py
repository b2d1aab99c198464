"""Every backbone without its top, built once each: what its row says, and each of its layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.every_layer import Whole, assert_same, draw_statistics, inside, learn
from tests.models.test_walk import check_every_layer, pixels, plain_part
from tlcore.models.build import architecture, cut_below, cuts
from tlcore.models.catalog import BACKBONES, Backbone
from tlcore.models.folding import folded
from tlcore.models.layers import graph
from tlcore.ui.feature_maps.layer_text import UNKNOWN, layer_text

Body = tuple[Backbone, keras.Model]


@pytest.fixture(scope="module", params=BACKBONES.values(), ids=lambda row: row.name)
def body(request: pytest.FixtureRequest) -> Body:
    """A row of the catalogue, and its network for ImageNet's weights at the row's smallest size."""
    row: Backbone = request.param
    return row, architecture(row, row.smallest, top=False, imagenet=True)


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


def test_every_kind_of_layer_has_its_words(body: Body) -> None:
    opened = graph(body[1])
    kinds = {type(layer).__name__ for layer in opened.layers.values()}
    assert {kind for kind in kinds if layer_text(kind) == UNKNOWN} == set()


def test_every_spatial_layer_equals_a_direct_model(body: Body) -> None:
    row, model = body
    check_every_layer(model, compiled=1 if row.name in ("MobileNetV2", "MobileNet") else 8)


def test_folding_the_normalisations_changes_no_layer(body: Body) -> None:
    """At the end of each stage, with statistics unlike those of a fresh network."""
    row, model = body
    fresh = model.get_weights()
    draw_statistics(model)
    drawn = model.get_weights()
    part = keras.Model(model.input, [model.get_layer(name).output for name in row.layers])
    batch = pixels(row.smallest)
    found = tf.function(folded(part), autograph=False)(tf.constant(batch))
    for name, ours, wanted in zip(row.layers, found, part(batch, training=False), strict=True):
        assert_same(ours.numpy(), np.asarray(wanted), name)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, model.get_weights(), strict=True))
    model.set_weights(fresh)


def test_before_and_after_fine_tuning_flat_and_nested(body: Body) -> None:
    """The oracle is the flat network's own sub-model, run by Keras as it is, for all four."""
    row, model = body
    layers = [layer for layer in model.layers if len(layer.output.shape) == 4]
    direct = keras.Model(model.input, [layer.output for layer in layers])
    flat, nested = Whole(model), Whole(inside(model), plain_part)
    batch = pixels(row.smallest)
    seen = []
    for stage in ("before", "after"):
        if stage == "after":
            learn(model, row.unfreeze_from)  # the last test of a body: it changes the network
        expected = [np.asarray(maps[0]) for maps in direct(batch, training=False)]
        alone, within = flat.maps(batch), nested.maps(batch)
        for layer, wanted in zip(layers, expected, strict=True):
            assert_same(alone[layer.name], wanted, f"{stage}: {layer.name}")
            if not isinstance(layer, keras.layers.InputLayer):
                path = f"{model.name}/{layer.name}"
                assert_same(within[path], wanted, f"{stage}: {path}")
        seen.append(expected)
    names = [layer.name for layer in layers]
    learned = next(place for place, name in enumerate(names) if name == row.unfreeze_from)
    assert all((a == b).all() for a, b in zip(seen[0][:learned], seen[1], strict=False))
    assert not np.array_equal(seen[0][-1], seen[1][-1])
