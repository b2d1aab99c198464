"""Cells: the head, the blocks that are unfrozen, and what came of it."""

from __future__ import annotations

from tlcore.evaluation.script.epochs import HEAD, TOP, drops, joined
from tlcore.evaluation.script.facts import Facts
from tlcore.evaluation.script.paper import Cell
from tlcore.training.inputs import FREE
from tlcore.training.order import START


def head_cell(facts: Facts) -> Cell:
    """The dense layers, and their stage."""
    config = facts.config
    dropout = ["Dropout()"] if config.dropout else []
    dense = [f'keras.layers.Dense({units}, activation="relu")' for units in config.hidden]
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
        (config.hidden, _START),
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
    if config.free_augmentation:
        number = f"{FREE + before} + epoch"
        train = f"lambda epoch: values({output}, train_paths, train_names, {number})"
    elif config.views:
        train = (
            f"np.stack(\n    [values({output}, train_paths, train_names, number) "
            f"for number in (None, *range({config.views}))]\n)"
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
        "The figure of the run beside it. Another processor adds in another order, so a picture "
        "on the edge may fall to the other side.",
        f"""\
answers = {model}.predict(x_val, verbose=0)
right = int(({right}).sum())
print(f"{{right}} of {{len(y_val)}} validation pictures are right; the run had {facts.right}.")
network.save("model.keras")  # preprocessed pixels in, probabilities out""",
    )
