"""Which layers learn: the frozen base, the top blocks unfrozen, and where one may cut between them.

BatchNormalization layers are never unfrozen. In Keras 3 a call with ``training=False`` at build
time does not protect their moving statistics from a fit; only ``trainable=False`` does, and it
also makes them normalise by those statistics (https://keras.io/guides/transfer_learning/ asks for
inference mode; the statistics' being bit-identical afterwards is held by a test).
"""

from __future__ import annotations

from collections.abc import Iterator

import keras

from tlcore.errors import UnknownName


def freeze_base(base: keras.Model) -> None:
    """Let none of the base's layers learn; a head built on it still does."""
    for layer in base.layers:
        layer.trainable = False


def unfreeze_from(base: keras.Model, name: str) -> None:
    """Let the base learn from layer ``name`` on, in the order of ``summary``, but no
    BatchNormalization.

    Raises:
        UnknownName: the base has no such layer.
    """
    names = [layer.name for layer in base.layers]
    if name not in names:
        raise UnknownName.of("layer to unfreeze from", name, names)
    for layer in base.layers[names.index(name) :]:
        layer.trainable = True
    for part in _leaves(base):
        if isinstance(part, keras.layers.BatchNormalization):
            part.trainable = False


def _leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


def cuts(model: keras.Model) -> tuple[str, ...]:
    """Return the layers through whose output everything behind them must pass, first to last.

    Only there can a network be cut in two with one stack of activations between the halves; inside
    a residual block the shortcut would be lost.
    """
    order = {id(operation): place for place, operation in enumerate(model.operations)}
    last_use = dict.fromkeys(range(len(order)), 0)
    for place, operation in enumerate(model.operations):
        for node in operation._inbound_nodes[0].parent_nodes:
            last_use[order[id(node.operation)]] = place
    found, reach = [], 0
    for place, operation in enumerate(model.operations[:-1]):
        if reach <= place and isinstance(operation, keras.layers.Layer):
            found.append(operation.name)
        reach = max(reach, last_use[place])
    return tuple(found)


def cut_below(model: keras.Model, name: str) -> str:
    """Return the last cut before layer ``name``: all that is unfrozen from there lies behind it.

    For the first layers this is the input itself.
    """
    possible = set(cuts(model))
    below = model.layers[0].name
    for layer in model.layers:
        if layer.name == name:
            return below
        if layer.name in possible:
            below = layer.name
    raise UnknownName.of("layer to unfreeze from", name, [layer.name for layer in model.layers])
