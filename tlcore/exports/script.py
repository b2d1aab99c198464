"""Cells: what is right, and how an epoch goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tlcore.errors import UnknownName
from tlcore.exports.script_steps import (
    ODD,
    TURNED,
    Cell,
    Facts,
    as_notebook,
    as_python,
    drawn,
    facts_of,
    features_cell,
    images_cell,
    network_cell,
    square_cell,
    views_cell,
)
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.storage import write_output
from tlcore.training.batches import COPIES, FIRST_FRESH_COPY, MASKS, ORDER, STAGES, START
from tlcore.training.config import RunConfig
from tlcore.training.head import MOMENTUM
from tlcore.training.run import title_run
from tlcore.training.store import load_run

HEAD, TOP = STAGES["head"], STAGES["fine-tune"]
OPTIMIZERS = {
    "adam": "keras.optimizers.Adam(rate)",
    "rmsprop": "keras.optimizers.RMSprop(rate)",
    "sgd": f"keras.optimizers.SGD(rate, momentum={MOMENTUM})",
}
Part = tuple[object, str]  # whether it is used, and the lines


def joined(*parts: Part) -> str:
    """Return the parts that are used, one below the other."""
    return "\n".join(text for used, text in parts if used)


def targets_cell(facts: Facts) -> Cell:
    """What is right, how wrong an answer is, and what an image weighs."""
    config = facts.config
    soft = f", label_smoothing={config.label_smoothing}" if config.label_smoothing else ""
    one = facts.units == 1
    return Cell(
        "What is right",
        "One unit is enough for two classes: its logit says how much more likely the second is."
        if one
        else "One unit a class. The loss takes logits: a softmax and its logarithm at once are "
        "exact where one after the other is not.",
        joined(
            (one, 'def targets(labels):\n    return labels[:, None].astype("float32")\n\n'),
            (
                not one,
                "def targets(labels):\n"
                '    return np.eye(len(CLASSES), dtype="float32")[labels]\n\n',
            ),
            (True, "y_train, y_val = targets(train_labels), targets(val_labels)"),
            (one, f"loss = keras.losses.BinaryCrossentropy(from_logits=True{soft})"),
            (not one, f"loss = keras.losses.CategoricalCrossentropy(from_logits=True{soft})"),
            (
                config.class_weights == "balanced",
                "# Every class counts the same: images of rare classes weigh more.\n"
                "counts = np.bincount(train_labels)\n"
                "weights = len(train_labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))\n"
                'weights = weights[train_labels].astype("float32")',
            ),
        ),
    )


def epochs_cell(facts: Facts) -> Cell:
    """The function that goes through a stage."""
    config = facts.config
    best = facts.keeps_best
    words = (
        "The order of an epoch is drawn from seed, stage and epoch, as the run drew it; a fit of "
        "one epoch at a time keeps the optimizer's memory."
    )
    if best:
        words += " The weights of the epoch with the lowest validation loss are kept."
    if config.patience:
        words += f" After {config.patience} epochs without a lower one a stage ends."
    code = joined(
        (config.class_weights == "oversampling", _SAMPLING + "\n"),
        (True, f"def learn(model, stage, x_train, x_val, epochs, rate{_best(best)}):"),
        (config.learning_rate_schedule == "cosine", _cosine(facts)),
        (True, _compile(facts)),
        (best, "    kept = model.get_weights()"),
        (config.patience, "    waited = 0"),
        (True, "    for epoch in range(epochs):"),
        (
            config.class_weights != "oversampling",
            f"        order = random(stage, epoch, {ORDER}).permutation(len(y_train))",
        ),
        (
            config.class_weights == "oversampling",
            f"        order = even_order(random(stage, epoch, {ORDER}))",
        ),
        (drops(facts), _MASKS),
        (config.augmented_copies, _PICK),
        (
            config.on_the_fly_augmentation,
            "        x = x_train(epoch)  # views that never come again",
        ),
        (True, _fit(facts)),
        (best, _better(config.patience)),
        (best, "    model.set_weights(kept)\n    return best_loss"),
    )
    return Cell("An epoch", words, f"{_RANDOM}\n\n\n{code}")


_RANDOM = '''\
def random(stage, epoch, what):
    """Numbers for one purpose in one epoch: nothing is carried from epoch to epoch."""
    return np.random.default_rng([SEED, stage, epoch, what])'''

_SAMPLING = '''\
def even_order(draw):
    """Every class as often as the others: images of rare ones come again."""
    labels = np.unique(train_labels)
    each, drawn = -(-len(train_labels) // len(labels)), []
    for label in labels:
        own = np.flatnonzero(train_labels == label)
        rounds = [draw.permutation(own) for _ in range(-(-each // len(own)))]
        drawn.append(np.concatenate(rounds)[:each])
    return draw.permutation(np.concatenate(drawn))[: len(train_labels)]
'''

_MASKS = f"""\
        draw = random(stage, epoch, {MASKS})
        Dropout.draw = draw  # the head's, in NumPy
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
                layer.seed_generator.state.assign(draw.integers(0, 2**31, 2).astype("uint32"))"""

_PICK = f"""\
        pick = random(stage, epoch, {COPIES}).integers(0, len(x_train), len(y_train))
        x = x_train[pick, np.arange(len(y_train))]  # each image in one of its views"""


def _best(best: bool) -> str:
    return ", best_loss=np.inf" if best else ""


def _better(patience: int) -> str:
    """After an epoch: keep what is better, and end the stage that has waited for it too long."""
    return joined(
        (True, '        val_loss = fitted.history["val_loss"][0]'),
        (patience, "        waited += 1"),
        (True, "        if val_loss < best_loss:"),
        (True, "            best_loss, kept = val_loss, model.get_weights()"),
        (patience, "            waited = 0"),
        (patience, f"        if waited >= {patience}:\n            break"),
    )


def drops(facts: Facts) -> bool:
    """Whether some layer drops values at random; EfficientNet's blocks do."""
    inner = facts.done["fine-tune"] and facts.row.constructor.startswith("EfficientNet")
    return bool(facts.config.dropout or inner)


def _cosine(facts: Facts) -> str:
    config = facts.config
    planned = {HEAD: config.epochs, TOP: config.fine_tune_epochs}
    return (
        f"    steps = {planned}[stage] * -(-len(y_train) // BATCH)  # of all planned epochs\n"
        "    rate = keras.optimizers.schedules.CosineDecay(rate, steps)  # falls to zero"
    )


def _compile(facts: Facts) -> str:
    one = facts.units == 1
    metric = (
        'keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)'  # of logits
        if one
        else 'keras.metrics.CategoricalAccuracy("accuracy")'
    )
    eager = f", run_eagerly=stage == {HEAD}" if facts.config.dropout else ""
    optimizer = OPTIMIZERS[facts.config.optimizer]
    return f"    metric = {metric}\n    model.compile({optimizer}, loss, metrics=[metric]{eager})"


def _fit(facts: Facts) -> str:
    config = facts.config
    x = "x" if config.augmented_copies or config.on_the_fly_augmentation else "x_train"
    weights = (
        "            sample_weight=weights[order],\n" if config.class_weights == "balanced" else ""
    )
    return (
        f"        {'fitted = ' if facts.keeps_best else ''}model.fit(\n"
        f"            {x}[order],\n            y_train[order],\n{weights}"
        "            batch_size=BATCH,\n            shuffle=False,  # it is shuffled already\n"
        "            validation_data=(x_val, y_val),\n            initial_epoch=epoch,\n"
        "            epochs=epoch + 1,\n            verbose=2,\n        )"
    )


# Cells: the head, the blocks that are unfrozen, and what came of it.


def head_cell(facts: Facts) -> Cell:
    """The dense layers, and their stage."""
    config = facts.config
    dropout = ["Dropout()"] if config.dropout else []
    dense = [f'keras.layers.Dense({units}, activation="relu")' for units in config.hidden_units]
    last = f'keras.layers.Dense({facts.units}, kernel_initializer="zeros", name="logits")'
    layers = [layer for each in (*dense, last) for layer in (*dropout, each)]
    listed = "".join(f"    {layer},\n" for layer in layers)
    words = (
        "The last layer starts from zero: every class is as likely. On frozen features one dense "
        "layer has a single best answer, and needs no luck at the start."
    )
    if config.dropout:
        words += " The dropout is NumPy's, so that its numbers are those of the run."
    code = joined(
        (drops(facts), _DROPOUT.replace("RATE", str(config.dropout)) + "\n"),
        (True, f"layers = [\n{listed}]"),
        (True, "head = keras.Sequential([keras.Input(pooled.shape[1:]), *layers])"),
        (config.hidden_units, _START),
        (facts.done["head"], _learned(facts)),
    )
    return Cell("The head", words, code)


_DROPOUT = '''\
class Dropout(keras.layers.Layer):
    """Dropout whose random numbers are drawn anew in each epoch."""

    draw = None  # this epoch's numbers

    def call(self, x, training=False):
        if not training:
            return x
        kept = self.draw.random(x.shape, np.float32) >= RATE
        return x * (kept * np.float32(1 / (1 - RATE)))
'''

_START = f"""\
draw = random({HEAD}, 0, {START})  # as Glorot and Bengio (2010) have it, in the run's numbers
for layer in layers[:-1]:
    if isinstance(layer, keras.layers.Dense):
        limit = np.sqrt(6 / sum(layer.kernel.shape))
        layer.kernel.assign(draw.uniform(-limit, limit, layer.kernel.shape))"""


def _learned(facts: Facts) -> str:
    config = facts.config
    result = "best_loss = " if facts.keeps_best and facts.done["fine-tune"] else ""
    return (
        f"{_inputs(facts, 'pooled', 0)}\n"
        f"{result}learn(head, {HEAD}, x_train, x_val, epochs={_epochs(facts, 'head')}, "
        f"rate={config.learning_rate!r})"
    )


def _inputs(facts: Facts, output: str, before: int) -> str:
    config = facts.config
    if config.on_the_fly_augmentation:
        number = f"{FIRST_FRESH_COPY + before} + epoch"
        train = f"lambda epoch: values({output}, train_paths, train_names, {number})"
    elif config.augmented_copies:
        train = (
            f"np.stack(\n    [values({output}, train_paths, train_names, number) "
            f"for number in (None, *range({config.augmented_copies}))]\n)"
        )
    else:
        train = f"values({output}, train_paths)"
    return f"x_train = {train}\nx_val = values({output}, val_paths)"


def _epochs(facts: Facts, stage: str) -> int:
    """Those that were planned, since early stopping finds its own end; or that a person let be."""
    config = facts.config
    planned = config.epochs if stage == "head" else config.fine_tune_epochs
    return facts.done[stage] if facts.stopped else planned


def whole_cell(facts: Facts) -> Cell:
    """The backbone and the head as one network."""
    swap = (
        f"    if isinstance(layer, Dropout):  # Keras' own, which can be saved\n"
        f"        layer = keras.layers.Dropout({facts.config.dropout})\n"
        if facts.config.dropout
        else ""
    )
    last = "sigmoid" if facts.units == 1 else "softmax"
    return Cell(
        "The whole network",
        "The layers of the head are shared, not copied: what they learn, both have learned.",
        f"logits = pooled\nfor layer in layers:\n{swap}    logits = layer(logits)\n"
        f'network = keras.Model(base.input, keras.layers.Activation("{last}")(logits))',
    )


def top_cell(facts: Facts) -> Cell | None:
    """The unfrozen blocks, where some were."""
    config = facts.config
    if not facts.done["fine-tune"]:
        return None
    best = ", best_loss" if facts.keeps_best and facts.done["head"] else ""
    return Cell(
        "The top blocks learn as well",
        "Unfrozen at a much lower rate, so that what ImageNet has taught them is bent and not "
        "broken. BatchNormalization layers stay frozen: in Keras 3 nothing else keeps their "
        "statistics as they are. What lies below still gives the same answers, so those are "
        "computed once, and only the part above them runs.",
        f"""\
names = [layer.name for layer in base.layers]
for layer in base.layers[names.index("{config.unfreeze_from}") :]:
    layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
cut = base.get_layer("{facts.cut}").output
top = keras.Model(cut, logits)
{_inputs(facts, "cut", facts.done["head"])}
learn(top, {TOP}, x_train, x_val, {_epochs(facts, "fine-tune")}, \
{config.fine_tune_learning_rate!r}{best})""",
    )


def end_cell(facts: Facts) -> Cell:
    """What came of it, beside what the run has."""
    model = "top" if facts.done["fine-tune"] else "head"
    right = (
        "(answers > 0) == (y_val > 0.5)"
        if facts.units == 1
        else "answers.argmax(axis=1) == val_labels"
    )
    return Cell(
        "What came of it",
        "The figure of the run beside it. Another processor adds in another order, so an image "
        "on the edge may fall to the other side.",
        f"""\
answers = {model}.predict(x_val, verbose=0)
right = int(({right}).sum())
print(f"{{right}} of {{len(y_val)}} validation images are right; the run had {facts.right}.")
network.save("model.keras")  # preprocessed pixels in, probabilities out""",
    )


# All cells of a run's script in order, and the words at its top.


NEEDED = ("tensorflow", "keras", "numpy", "pillow")


def cells_of(facts: Facts, data: str) -> list[Cell]:
    """Return what the script does, step by step.

    Args:
        facts: of the run.
        data: an expression for the folder with the images.
    """
    cells = (
        _settings_cell(facts, data),
        images_cell(facts),
        square_cell(facts),
        views_cell(facts),
        network_cell(facts),
        features_cell(facts),
        targets_cell(facts),
        epochs_cell(facts),
        head_cell(facts),
        whole_cell(facts),
        top_cell(facts),
        end_cell(facts),
    )
    return [cell for cell in cells if cell is not None]


def doc_of(facts: Facts, how: str) -> str:
    """Return what stands at the top.

    Args:
        facts: of the run.
        how: how it is started, a few lines.
    """
    exact = " ".join(f"{name}=={facts.versions[name]}" for name in NEEDED if name in facts.versions)
    return (
        f"{_plain(facts.title)}: run {facts.id} as plain Keras.\n\n"
        f"    pip install {exact}\n{how}\n\n"
        "The images are those of the dataset, as its folder or as its unpacked export. The\n"
        "script divides them as the run did, starts from the same weights and draws the same\n"
        f"random numbers, so it arrives at the same figures: {facts.right} of {facts.judged} "
        f"validation\nimages right ({percent(facts.val_accuracy, 1)}). {_cannot(facts)}\n"
    )


def _plain(title: str) -> str:
    """A person's words, made harmless inside a docstring."""
    return " ".join(title.replace("\\", "/").replace('"', "'").split())


def _cannot(facts: Facts) -> str:
    if facts.stopped:
        return (
            "The run was stopped by hand, and the\nscript stops after the same epoch. What a "
            "broken epoch had begun is not in either."
        )
    return (
        "Not the same to the last digit:\nthe run adds up in another order and on another "
        "processor."
    )


def _settings_cell(facts: Facts, data: str) -> Cell:
    config = facts.config
    views = drawn(facts)
    pillow = "Image, ImageOps" if facts.reading == TURNED else "Image"
    standard = [
        "import hashlib",
        *(["import math"] if views else []),
        *(["import sys"] if "sys." in data else []),
        *(["from collections.abc import Sequence"] if views else []),
        "from pathlib import Path",
        *(["from typing import Any"] if facts.reading == ODD else []),
    ]
    called = [
        "",
        "if len(sys.argv) != 2:  # before Keras, which takes seconds to load",
        '    print(f"Expected the folder of the images: python {sys.argv[0]} FOLDER", '
        "file=sys.stderr)",
        "    raise SystemExit(2)",
    ]
    lines = [
        *standard,
        *(called if "sys." in data else []),
        "",
        "import keras",
        "import numpy as np",
        f"from PIL import {pillow}",
        "",
        f"DATA = Path({data})",
        f"SIZE, BATCH, SEED = {config.size}, {config.batch_size}, {config.seed}",
    ]
    return Cell("Settings", "Where the images lie, and what the run was told.", "\n".join(lines))


# The recipe of a script: gather the facts, write the cells, put them on paper.


def render_script(run: str, ending: str, settings: Settings) -> str:
    """Return a run as the text of a script or of a notebook.

    Args:
        run: the id of a run with a network.
        ending: a key of PAPERS.
        settings: where runs and weights lie.

    Raises:
        RunError: no such run, or it has no network or no epoch behind it.
        UnknownName: no such ending.
    """
    if ending not in PAPERS:
        raise UnknownName.of("ending of a script's file", ending, PAPERS)
    found = load_run(run, settings)
    return PAPERS[ending](facts_of(found, title_run(found.info), settings, _cut))


def write_script(run: str, target: Path, settings: Settings) -> None:
    """Write a run as a script or a notebook, by the file's ending, whole or not at all.

    Raises:
        RunError, UnknownName: as ``render_script``; nowhere to write.
    """
    write_output(target, render_script(run, target.suffix, settings).encode())


def _cut(config: RunConfig) -> str:
    from tlcore.models.build import (
        architecture,  # loads TensorFlow: only where it is needed
        cut_below,
    )
    from tlcore.models.catalog import backbone

    row, imagenet = backbone(config.backbone), not config.random_weights
    base = architecture(row, config.size, top=False, imagenet=imagenet)
    return cut_below(base, config.unfreeze_from)


def _python(facts: Facts) -> str:
    doc = doc_of(facts, "    python script.py FOLDER")
    return as_python(doc, cells_of(facts, "sys.argv[1]"))


def _notebook(facts: Facts) -> str:
    doc = doc_of(facts, "\nPut the folder of the images into DATA below.")
    return as_notebook(f"# {doc}", cells_of(facts, '"images"'))


PAPERS: Mapping[str, Callable[[Facts], str]] = MappingProxyType(
    {".py": _python, ".ipynb": _notebook}
)
