"""Cells: what is right, and how an epoch goes."""

from __future__ import annotations

from tlcore.evaluation.script.facts import Facts
from tlcore.evaluation.script.paper import Cell
from tlcore.training.optimizers import MOMENTUM
from tlcore.training.order import MASKS, ORDER, STAGES, VIEWS

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
    """What is right, how wrong an answer is, and what a picture weighs."""
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
                config.balance == "weights",
                "# Every class counts the same: pictures of rare classes weigh more.\n"
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
        (config.balance == "sampling", _SAMPLING + "\n"),
        (True, f"def learn(model, stage, x_train, x_val, epochs, rate{_best(best)}):"),
        (config.schedule == "cosine", _cosine(facts)),
        (True, _compile(facts)),
        (best, "    kept = model.get_weights()"),
        (config.patience, "    waited = 0"),
        (True, "    for epoch in range(epochs):"),
        (
            config.balance != "sampling",
            f"        order = random(stage, epoch, {ORDER}).permutation(len(y_train))",
        ),
        (
            config.balance == "sampling",
            f"        order = even_order(random(stage, epoch, {ORDER}))",
        ),
        (drops(facts), _MASKS),
        (config.views, _PICK),
        (config.free_augmentation, "        x = x_train(epoch)  # views that never come again"),
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
    """Every class as often as the others: pictures of rare ones come again."""
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
        pick = random(stage, epoch, {VIEWS}).integers(0, len(x_train), len(y_train))
        x = x_train[pick, np.arange(len(y_train))]  # each picture in one of its views"""


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
    x = "x" if config.views or config.free_augmentation else "x_train"
    weights = "            sample_weight=weights[order],\n" if config.balance == "weights" else ""
    return (
        f"        {'fitted = ' if facts.keeps_best else ''}model.fit(\n"
        f"            {x}[order],\n            y_train[order],\n{weights}"
        "            batch_size=BATCH,\n            shuffle=False,  # it is shuffled already\n"
        "            validation_data=(x_val, y_val),\n            initial_epoch=epoch,\n"
        "            epochs=epoch + 1,\n            verbose=2,\n        )"
    )
