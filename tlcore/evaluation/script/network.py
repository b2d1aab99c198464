"""Cells: the frozen backbone, and what it makes of the pictures."""

from __future__ import annotations

from tlcore.evaluation.script.facts import Facts
from tlcore.evaluation.script.paper import Cell
from tlcore.evaluation.script.pictures import drawn

POOLING = {
    "avg": "GlobalAveragePooling2D",
    "max": "GlobalMaxPooling2D",
    "flatten": "Flatten",
}


def network_cell(facts: Facts) -> Cell:
    row, config = facts.row, facts.config
    before, weights = _weights(facts)
    alpha = f", alpha={row.alpha}" if row.alpha is not None else ""
    return Cell(
        "The backbone",
        f"{row.constructor} without its last layer, and the preprocessing it was trained with. "
        "Frozen: what it has learned is kept, and its BatchNormalization layers use their stored "
        "statistics." + (f" {before[1]}" if before[1] else ""),
        f"""\
keras.utils.clear_session(){"" if not facts.cut else "  # layers get the names of a fresh process"}
{before[0]}base = keras.applications.{row.constructor}(
    input_shape=(SIZE, SIZE, 3), include_top=False, weights={weights}{alpha}
)
base.trainable = False
preprocess = keras.applications.{row.module}.preprocess_input
pooled = keras.layers.{POOLING[config.pooling]}()(base.output)""",
    )


def _weights(facts: Facts) -> tuple[tuple[str, str], str]:
    """Lines before the network with their reason, and its argument."""
    if facts.config.random_weights:
        return (
            "keras.utils.set_random_seed(0)\n",
            "This run was made on random weights; the seed draws the same ones.",
        ), "None"
    name, address = facts.weights
    if name:
        return (
            f'weights = keras.utils.get_file(\n    "{name}",\n    "{address}",\n'
            '    cache_subdir="models",\n)\n',
            "The run used the weights of another resolution, so the file is named.",
        ), "weights"
    return ("", ""), '"imagenet"'


def features_cell(facts: Facts) -> Cell:
    return Cell(
        "What it makes of the pictures",
        "A frozen network gives the same answer in every epoch, so it runs once over the pictures "
        "and not once an epoch. 32 at a time, so that memory does not grow with their number.",
        _VALUES_OF_VIEWS if drawn(facts) else _VALUES,
    )


_VALUES = '''\
def values(output, paths):
    """Return what one layer makes of the pictures."""
    part = keras.Model(base.input, output)
    found = []
    for start in range(0, len(paths), 32):
        pixels = np.stack([square(path) for path in paths[start : start + 32]])
        found.append(part(preprocess(pixels.astype("float32")), training=False).numpy())
    return np.concatenate(found)'''

_VALUES_OF_VIEWS = '''\
def values(output, paths, names=(), number=None):
    """Return what one layer makes of the pictures, or of their views of one number."""
    part = keras.Model(base.input, output)
    found = []
    for start in range(0, len(paths), 32):
        squares = [square(path) for path in paths[start : start + 32]]
        if number is not None:
            squares = [
                view(pixels, KINDS, sha256=name, seed=SEED, number=number)
                for pixels, name in zip(squares, names[start : start + 32])
            ]
        pixels = preprocess(np.stack(squares).astype("float32"))
        found.append(part(pixels, training=False).numpy())
    return np.concatenate(found)'''
